"""What the engine needs of the pure part: the network in memory and what it means for a host."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from vpcctl.compile.transition import FlowTuple, Transition
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.host import Host
from vpcctl.pipeline.pieces import Piece


class Program(Protocol):
    """The network and the flow programs that follow from it."""

    @property
    def revision(self) -> int:
        """Revision that the network is at."""
        ...

    async def load(self, batch: ChangeBatch) -> None:
        """Replace the whole network, once all of it is there; others run in between."""
        ...

    def apply(self, batch: ChangeBatch) -> Transition:
        """Apply changes and say what they mean for each host."""
        ...

    def hosts(self) -> Iterable[Host]:
        """Return every host."""
        ...

    def host(self, host_id: str) -> Host | None:
        """Return a host, or None."""
        ...

    def pieces(self, host_id: str) -> Iterator[tuple[Piece, FlowTuple]]:
        """Yield a host's whole program, lazily; changes may be applied meanwhile."""
        ...

    def flows(self, piece: Piece) -> FlowTuple:
        """Return the flows of one piece as they are now."""
        ...
