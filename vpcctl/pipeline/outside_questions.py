"""What flows ask the agent about external networks, as often as a meter lets them.

Anybody outside can make flows ask, and so can a workload. Each address of ours has meters of its
own on each host, so that a flood takes nothing from others: one for errors, which come from
anywhere, and one for neighbours and next hops, so that errors do not keep a packet from its way.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Output, SetField
from vpcctl.flows.meter import OUTSIDE, Meter
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.host import (
    GUEST_SERVICE_OFPORT,
    QUESTION_SLOTS,
    Question,
    outside_question,
    question_slot,
)
from vpcctl.model.network import Network
from vpcctl.pipeline.pieces import EipPiece, GlobalPiece

RATE, BURST = 50, 100
"""Packets a second and at once that the agent hears about one address: it answers no more."""
_RESOLUTION = frozenset({Question.UNRESOLVED, Question.HEARD, Question.SOLICITED})
_EACH = len(OUTSIDE) // QUESTION_SLOTS


def to_agent(network: ExternalNetwork, question: Question) -> tuple[Action, ...]:
    """Return the actions that ask the agent."""
    name = SetField(f.ETH_DST, outside_question(network.key, question))
    return (name, Output(GUEST_SERVICE_OFPORT))


def meter(mac: int, question: Question) -> Meter:
    """Return the meter of a question about the address that a MAC of ours answers for."""
    number = OUTSIDE.start + _EACH * question_slot(mac) + (question in _RESOLUTION)
    return Meter(number, "pktps", RATE, BURST)


def metered_addresses(net: Network, host_id: str, number: int) -> Iterator[EipPiece | GlobalPiece]:
    """Yield the pieces of addresses that may name a meter of this number on a host."""
    if number in OUTSIDE:
        slot = (number - OUTSIDE.start) // _EACH
        for one in sorted(net.outside.asking.get(slot, ())):
            is_eip = one in net.outside.eips
            yield EipPiece(host_id, one) if is_eip else GlobalPiece(host_id, one)
