"""What the engine needs of the pure part: the network in memory and what it means for a host."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from vpcctl.compile.relaying import Relaying
from vpcctl.compile.transition import FlowTuple, Transition
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.host import Host
from vpcctl.model.relay import Relay
from vpcctl.pipeline.counters import Subject
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

    def apply(self, batch: ChangeBatch, relaying: Relaying) -> Transition:
        """Apply changes and say what they mean for each host."""
        ...

    def relays(self, host_id: str) -> tuple[Relay, ...]:
        """Return the relays that wait for a host to confirm something."""
        ...

    def advance(self, relays: Sequence[Relay]) -> Transition:
        """Go on with relays whose hosts have confirmed what they were waiting for."""
        ...

    def hosts(self) -> Iterable[Host]:
        """Return every host."""
        ...

    def host(self, host_id: str) -> Host | None:
        """Return a host, or None."""
        ...

    def subject(self, port_id: str) -> Subject | None:
        """Return what is to be read for the counters of a port; None when it is nowhere."""
        ...

    def pieces(self, host_id: str) -> Iterator[Piece]:
        """Yield the pieces of a host's program, lazily; changes may be applied meanwhile."""
        ...

    def flows(self, piece: Piece) -> FlowTuple:
        """Return the flows of one piece as they are now."""
        ...
