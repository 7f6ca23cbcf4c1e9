"""The engine's view of the pure packages: one network in memory and its compiled pieces."""

from collections.abc import Iterable, Iterator, Sequence

from vpcctl.compile.plan import plan_changes
from vpcctl.compile.relaying import Relaying, ended
from vpcctl.compile.transition import FlowTuple, Transition
from vpcctl.compile.view import host_pieces
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.host import Host
from vpcctl.model.network import Network
from vpcctl.model.relay import Relay
from vpcctl.pipeline.pieces import Piece
from vpcctl.pipeline.program import compile_piece


class NetworkProgram:
    """A network and the flow programs that follow from it (``program.Program``)."""

    def __init__(self) -> None:
        self._network = Network()

    @property
    def revision(self) -> int:
        """Revision that the network is at."""
        return self._network.revision

    def load(self, batch: ChangeBatch) -> None:
        """Replace the whole network."""
        network = Network()
        network.apply(batch)
        self._network = network

    def apply(self, batch: ChangeBatch, relaying: Relaying) -> Transition:
        """Apply changes and say what they mean for each host."""
        return plan_changes(self._network, batch, relaying)

    def relays(self, host_id: str) -> tuple[Relay, ...]:
        """Return the relays that wait for a host to confirm something."""
        return tuple(one for one in self._network.relays.values() if one.host_id == host_id)

    def advance(self, relays: Sequence[Relay]) -> Transition:
        """Go on with relays whose hosts have confirmed what they were waiting for."""
        changes = ended(self._network, relays)
        return plan_changes(self._network, ChangeBatch(self._network.revision, changes))

    def hosts(self) -> Iterable[Host]:
        """Return every host."""
        return tuple(self._network.hosts.values())

    def host(self, host_id: str) -> Host | None:
        """Return a host, or None."""
        return self._network.hosts.get(host_id)

    def pieces(self, host_id: str) -> Iterator[tuple[Piece, FlowTuple]]:
        """Yield a host's whole program, lazily; changes may be applied meanwhile."""
        network = self._network
        for piece in host_pieces(network, host_id):
            flows = compile_piece(network, piece)
            if flows:
                yield piece, flows

    def flows(self, piece: Piece) -> FlowTuple:
        """Return the flows of one piece as they are now."""
        return compile_piece(self._network, piece)
