"""Tables Outside and OutsideNeighbour: from here to the next hop on an external network.

An address of ours that is resident here is not looked for outside: the packet comes in again as if
it had come from there, and from no port of the bridge, so that it may go back to where it is from.
Neighbours are learned by flows; for one that is not known yet the agent asks, and keeps the packet:
each address of ours may have it do so some times a second.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Move, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import OUTSIDE, OUTSIDE_IN, OUTSIDE_NEIGHBOUR
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.host import Question
from vpcctl.pipeline.outside_in import on_network
from vpcctl.pipeline.outside_questions import meter, to_agent
from vpcctl.pipeline.residence import EipFacts, GlobalFacts, if_active
from vpcctl.pipeline.terms import IS_IPV4, IS_IPV6, NOWHERE, drop, mark, within

STATIC: tuple[Flow, ...] = (
    drop(OUTSIDE, 0, (), Reason.NO_ROUTE),
    drop(OUTSIDE_NEIGHBOUR, 0, (), Reason.NO_GATEWAY),
)


def network(network: ExternalNetwork) -> Iterator[Flow]:
    """Yield the flows that find next hops on a network."""
    scope, owner = on_network(network), cookie(Feature.OUTSIDE, network.key)
    if network.cidr is not None and network.cidr.prefixlen < 31:
        for ip in (network.cidr.network_address, network.cidr.broadcast_address):
            nobody = match(scope, IS_IPV4, (f.IPV4_DST, int(ip)))
            yield drop(OUTSIDE, 160, nobody, Reason.NO_ROUTE, owner)
    ways = (
        (IS_IPV4, f.IPV4_DST, f.LOOKUP_IPV4, network.cidr, network.gateway),
        (IS_IPV6, f.IPV6_DST, f.LOOKUP_IPV6, network.ipv6_cidr, network.ipv6_gateway),
    )
    for family, field, register, block, router in ways:
        if block is not None:
            on_link = match(scope, family, *within(field, block))
            copy = (Move(field, register, register.bits),)
            yield Flow(OUTSIDE, 150, on_link, copy, OUTSIDE_NEIGHBOUR, owner)
        if router is not None:
            via = (SetField(register, int(router)),)
            yield Flow(OUTSIDE, 100, match(scope, family), via, OUTSIDE_NEIGHBOUR, owner)


def again(mac: int) -> tuple[Action, ...]:
    """Return the actions that have a packet come in from outside, for *mac*."""
    return (
        SetField(f.ETH_DST, mac),
        SetField(f.SOURCE_PORT, 0),
        SetField(f.IN_PORT, 0),
        *(mark(f.FROM_TUNNEL, 0), mark(f.RELAYED, 0), *NOWHERE),
        Resubmit(OUTSIDE_IN),
    )


def _unresolved(network: ExternalNetwork, mac: int, owner: int) -> Flow:
    """Return the flow that has the agent ask for the next hop of what a MAC of ours sends."""
    ask, limit = to_agent(network, Question.UNRESOLVED), meter(mac, Question.UNRESOLVED)
    sent = match(on_network(network), (f.ETH_SRC, mac))
    return Flow(OUTSIDE_NEIGHBOUR, 10, sent, ask, None, owner, limit)


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows that find an EIP's next hops, and have packets for it come in again."""
    yield _unresolved(facts.via.network, facts.eip.mac, facts.cookie)
    terms = match(on_network(facts.via.network), IS_IPV4, (f.IPV4_DST, int(facts.eip.address)))
    flow = Flow(OUTSIDE, 200, terms, again(facts.eip.mac), None, facts.cookie)
    yield from if_active(flow, facts.members)


def global_ips(facts: GlobalFacts) -> Iterator[Flow]:
    """Yield the flows that find next hops, and have packets for global addresses come in again."""
    yield _unresolved(facts.via.network, facts.mac, facts.cookie)
    for ip in facts.ips:
        terms = match(on_network(facts.via.network), IS_IPV6, (f.IPV6_DST, int(ip)))
        flow = Flow(OUTSIDE, 200, terms, again(facts.mac), None, facts.cookie)
        yield from if_active(flow, facts.members)
