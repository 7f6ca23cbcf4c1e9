"""The engine's view of the pure packages: one network in memory and its compiled pieces."""

import gc
from collections.abc import Iterable, Iterator, Sequence

from vpcctl.compile.memory import Memory
from vpcctl.compile.plan import plan_changes
from vpcctl.compile.relaying import Relaying, ended
from vpcctl.compile.transition import FlowTuple, Transition
from vpcctl.compile.view import host_pieces
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.host import Host
from vpcctl.model.network import Network
from vpcctl.model.relay import Relay
from vpcctl.pipeline.counters import Subject, subject
from vpcctl.pipeline.pieces import Piece
from vpcctl.pipeline.program import compile_piece
from vpcctl.southbound.slicing import Slicer

_SLICE = 500
"""Changes that are applied between two looks at the clock."""


class NetworkProgram:
    """A network and the flow programs that follow from it (``program.Program``)."""

    def __init__(self) -> None:
        self._network, self._memory = Network(), Memory()

    @property
    def revision(self) -> int:
        """Revision that the network is at."""
        return self._network.revision

    async def load(self, batch: ChangeBatch) -> None:
        """Replace the whole network, once all of it is there; others run in between."""
        network, slicer = Network(), Slicer()
        for start in range(0, len(batch.changes), _SLICE):
            network.apply(batch.changes[start : start + _SLICE])
            gc.freeze()  # or collections would look through all of it again and again
            await slicer.breathe()
        network.revision = batch.revision
        self._network, self._memory = network, Memory()

    def apply(self, batch: ChangeBatch, relaying: Relaying) -> Transition:
        """Apply changes and say what they mean for each host."""
        return plan_changes(self._network, batch, relaying, self._memory)

    def relays(self, host_id: str) -> tuple[Relay, ...]:
        """Return the relays that wait for a host to confirm something."""
        return tuple(one for one in self._network.relays.values() if one.host_id == host_id)

    def advance(self, relays: Sequence[Relay]) -> Transition:
        """Go on with relays whose hosts have confirmed what they were waiting for."""
        changes = ended(self._network, relays)
        batch = ChangeBatch(self._network.revision, changes)
        return plan_changes(self._network, batch, memory=self._memory)

    def hosts(self) -> Iterable[Host]:
        """Return every host."""
        return tuple(self._network.hosts.values())

    def host(self, host_id: str) -> Host | None:
        """Return a host, or None."""
        return self._network.hosts.get(host_id)

    def subject(self, port_id: str) -> Subject | None:
        """Return what is to be read for the counters of a port; None when it is nowhere."""
        return subject(self._network, port_id)

    def pieces(self, host_id: str) -> Iterator[Piece]:
        """Yield the pieces of a host's program, lazily; changes may be applied meanwhile."""
        return host_pieces(self._network, host_id)

    def flows(self, piece: Piece) -> FlowTuple:
        """Return the flows of one piece as they are now."""
        return compile_piece(self._network, piece)
