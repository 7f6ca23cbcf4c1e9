"""From the network to flows: one module per table. Pure.

``compile_piece(net, piece)`` gives the flows of one piece; everything else is how.
"""

from vpcctl.pipeline.program import compile_piece

__all__ = ["compile_piece"]
