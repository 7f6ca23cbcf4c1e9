"""What the pieces that changed last are now, so that it need not be made again to be compared."""

from collections import OrderedDict

from vpcctl.compile.transition import FlowTuple
from vpcctl.model.network import Network
from vpcctl.pipeline.pieces import Piece, own_host
from vpcctl.pipeline.program import compile_piece

_PIECES = 16
_FLOWS = 128
"""Flows of one piece that are kept; of larger ones, sending takes longer than making them again."""


class Memory:
    """Flows of a network's pieces; whoever changes the network through plans keeps one of it.

    What a shared piece was after one plan it is before the next: a plan names every one that
    changes, whether any host has it or not.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Piece, FlowTuple] = OrderedDict()

    def flows(self, net: Network, piece: Piece) -> FlowTuple:
        """Return the flows of a piece as they are now."""
        kept = self._kept.get(piece)
        return compile_piece(net, piece) if kept is None else kept

    def keep(self, piece: Piece, flows: FlowTuple) -> None:
        """Remember what a plan has made of a piece; what changed long ago is forgotten."""
        self._kept.pop(piece, None)
        if 0 < len(flows) <= _FLOWS and own_host(piece) is None:
            self._kept[piece] = flows
            if len(self._kept) > _PIECES:
                self._kept.popitem(last=False)
