"""Table ArpNd: address resolution is answered, not flooded.

Requests go to Neighbour with the address asked for in a register.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Move
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import ARP_ND, GUEST_SERVICES, NEIGHBOUR, SWITCH
from vpcctl.model.addresses import link_local
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.terms import (
    ARP_REPLY,
    ARP_REQUEST,
    BASE,
    IS_ARP,
    IS_ICMP6,
    IS_IPV6,
    IS_SOLICIT,
    TO_GROUP,
    drop,
    mark,
)

_ASK_IPV4 = (Move(f.ARP_TPA, f.LOOKUP_IPV4, 32), mark(f.IS_ARP))
_ASK_IPV6 = (Move(f.ND_TARGET, f.LOOKUP_IPV6, 128), mark(f.IS_ND))

STATIC: tuple[Flow, ...] = (
    Flow(ARP_ND, 100, (IS_ARP, (f.ARP_OP, ARP_REQUEST, None)), _ASK_IPV4, NEIGHBOUR, BASE),
    Flow(ARP_ND, 100, (TO_GROUP, IS_ARP, (f.ARP_OP, ARP_REPLY, None)), _ASK_IPV4, NEIGHBOUR, BASE),
    Flow(ARP_ND, 90, (IS_ARP, (f.ARP_OP, ARP_REPLY, None)), (), SWITCH, BASE),
    drop(ARP_ND, 80, (IS_ARP,), Reason.ARP_UNANSWERED),
    Flow(ARP_ND, 100, (IS_IPV6, IS_ICMP6, *IS_SOLICIT), _ASK_IPV6, NEIGHBOUR, BASE),
    Flow(ARP_ND, 0, (), (), GUEST_SERVICES, BASE),
)


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield flows that keep a port's questions about its own addresses unanswered.

    Guests ask before they use an address, to hear whether another has it; hearing their own
    answer, they would give the address up.
    """
    source = (f.SOURCE_PORT, facts.port.key, None)
    targets = [int(ip) for ip in facts.port.ips if ip.version == 6]
    if facts.subnet.ipv6_cidr is not None:
        targets.append(int(link_local(facts.port.mac)))
    for ip in facts.port.ips:
        if ip.version == 4:
            question = (IS_ARP, (f.ARP_OP, ARP_REQUEST, None), (f.ARP_TPA, int(ip), None))
            yield drop(ARP_ND, 200, (source, *question), Reason.OWN_ADDRESS, facts.edge_cookie)
    for target in targets:
        question = (IS_IPV6, IS_ICMP6, *IS_SOLICIT, (f.ND_TARGET, target, None))
        yield drop(ARP_ND, 200, (source, *question), Reason.OWN_ADDRESS, facts.edge_cookie)
