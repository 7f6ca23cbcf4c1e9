"""From the network to each host's flow program, whole or by difference. Pure.

``host_pieces(net, host_id, first=()) -> Iterator[Piece]`` says what a host has, in order: base,
peers, then VPC by VPC; ports named in ``first`` and what they need come before the rest.
``compile_host(net, host_id) -> Iterator[tuple[Flow, ...]]`` is its whole program, piece by piece.
``plan_changes(net, batch) -> Transition`` applies a batch and says what it changes on which host;
with a ``Memory`` it makes nothing again that it made for the batch before, and
with a ``Relaying`` it also chooses who forwards for hosts on which a VPC is new, and ``ended`` says
what is to change when these are done.
"""

from vpcctl.compile.memory import Memory
from vpcctl.compile.plan import plan_changes
from vpcctl.compile.relaying import Relaying, ended
from vpcctl.compile.transition import HostChange, Transition
from vpcctl.compile.view import compile_host, host_pieces

__all__ = [
    "HostChange",
    "Memory",
    "Relaying",
    "Transition",
    "compile_host",
    "ended",
    "host_pieces",
    "plan_changes",
]
