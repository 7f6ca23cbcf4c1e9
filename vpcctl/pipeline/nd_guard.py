"""Table NdGuard: neighbour discovery must not lie in its payload (RFC 4861, RFC 6620's aim).

SpoofGuard has checked the packet's source. Here a solicitation's source link-layer option and an
advertisement's target and link-layer option must be the port's own, or the option absent, which
Open vSwitch shows as zero.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import ARP_ND, ND_GUARD
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.spoof_guard import sources
from vpcctl.pipeline.terms import (
    BASE,
    IS_ADVERT,
    IS_ICMP6,
    IS_IPV6,
    IS_SOLICIT,
    NEIGHBOUR_ADVERT,
    NEIGHBOUR_SOLICIT,
    drop,
    within,
)

STATIC: tuple[Flow, ...] = (
    *(
        drop(ND_GUARD, 50, (IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, kind, None)), Reason.SPOOFED_ND)
        for kind in (NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT)
    ),
    Flow(ND_GUARD, 0, (), (), ARP_ND, BASE),
)


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield what a port's neighbour discovery may say."""
    if not facts.port.port_security:
        return
    claims = [(mac, block) for mac, block in sources(facts) if block.version == 6]
    for mac in dict.fromkeys(mac for mac, _ in claims):
        for option in (0, mac):
            yield _allow(facts, mac, (*IS_SOLICIT, (f.ND_SLL, option, None)))
    for mac, block in claims:
        for option in (0, mac):
            terms = (*IS_ADVERT, *within(f.ND_TARGET, block), (f.ND_TLL, option, None))
            yield _allow(facts, mac, terms)


def _allow(facts: PortFacts, mac: int, terms: Match) -> Flow:
    match = (
        (f.SOURCE_PORT, facts.port.key, None),
        (f.ETH_SRC, mac, None),
        IS_IPV6,
        IS_ICMP6,
        *terms,
    )
    return Flow(ND_GUARD, 100, match, (), ARP_ND, facts.edge_cookie)
