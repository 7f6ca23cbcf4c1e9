"""Packets that are longer than what is next on their way takes: their senders are told.

Flows cut no packet into fragments and answer none. They measure, where a network and the ports of
a VPC differ and nowhere else, and the agent says what would fit: to the sender outside as the
address that it has sent to, to a port as its gateway. IPv4 packets that may be cut are answered,
too: who has sent them can cut them as well.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, match
from vpcctl.flows.tables import GATEWAY, OUTSIDE_IN
from vpcctl.model.eip import EIP_MACS, PORT_MACS
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.host import Host, Question, too_large_for
from vpcctl.pipeline import guest_services
from vpcctl.pipeline.outside_in import addressed, addressed_ipv6, on_network
from vpcctl.pipeline.outside_questions import meter, to_agent
from vpcctl.pipeline.residence import EipFacts, GatewayFacts, GlobalFacts, if_active
from vpcctl.pipeline.terms import IS_IPV4, IS_IPV6, flags, sized

_OURS = 0xFFFF << 32
"""The bits of a MAC that say what it answers for."""


def network(network: ExternalNetwork) -> Iterator[Flow]:
    """Yield the flows that measure what comes in for addresses of ours."""
    most = network.most_inwards
    if most is not None:
        owner, scope = cookie(Feature.OUTSIDE, network.key), on_network(network)
        for family, macs in ((IS_IPV4, EIP_MACS), (IS_IPV6, PORT_MACS)):
            ours = match(scope, flags((f.SIZED, 0)), family, (f.ETH_DST, macs, _OURS))
            yield Flow(OUTSIDE_IN, 290, ours, sized(OUTSIDE_IN, most), None, owner)


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows of what is too large for the ports behind an EIP."""
    terms = addressed(facts)
    yield from _refused(facts.via.network, terms, facts.eip.mac, facts)


def global_ips(facts: GlobalFacts) -> Iterator[Flow]:
    """Yield the flows of what is too large for a port with global addresses."""
    for ip in facts.ips:
        yield from _refused(facts.via.network, addressed_ipv6(facts, ip), facts.mac, facts)


def _refused(
    network: ExternalNetwork, terms: Match, mac: int, facts: EipFacts | GlobalFacts
) -> Iterator[Flow]:
    if network.most_inwards is not None:
        ask, limit = to_agent(network, Question.TOO_LARGE), meter(mac, Question.TOO_LARGE)
        large = match(*terms, flags((f.TOO_LARGE, 1)))
        flow = Flow(OUTSIDE_IN, 280, large, ask, None, facts.cookie, limit)
        yield from if_active(flow, facts.members)


def gateway(facts: GatewayFacts, host: Host) -> Iterator[Flow]:
    """Yield the flows that measure what ports of a host send to an external network."""
    most = facts.network.most_outwards
    if most is None or not host.has_guest_port:
        return
    scope = (f.VNI, facts.gateway.vni)
    sent = match(scope, flags((f.FROM_TUNNEL, 0), (f.SIZED, 0)))
    yield Flow(GATEWAY, 300, sent, sized(GATEWAY, most), None, facts.cookie)
    large = match(scope, flags((f.FROM_TUNNEL, 0), (f.TOO_LARGE, 1)))
    name = SetField(f.ETH_SRC, too_large_for(facts.network.key))
    ask = (name, *guest_services.ask(guest_services.Question.NEIGHBOUR))
    yield Flow(GATEWAY, 290, large, ask, None, facts.cookie)
