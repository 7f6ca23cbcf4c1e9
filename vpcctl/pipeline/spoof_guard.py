"""Table SpoofGuard: a port sends with its own MAC and addresses only.

What a port may claim: its fixed addresses with its MAC, its allowed pairs with theirs and, where
its subnet has IPv6, the EUI-64 link-local address of its MAC. One that forwards others' packets
(``checks_addresses`` is off) may send them with its own MAC from any address, but resolve and
announce only its own.

A DHCP client speaks from the address that it has, which need not be its port's any more: it could
not hear that it has to give it up. So what leads to the agent, and past SpoofGuard to nobody else
(``guest_services.FROM_ANYWHERE``), may come from any IPv4 address, with the port's MAC as all else,
also where the port has no IPv4 address left.
So may the question for the gateway's MAC that comes before, whose answer goes back to the port.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import ARP_ND, ND_GUARD, SPOOF_GUARD, Table
from vpcctl.model.addresses import IPNetwork, block_of, link_local
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.guest_services import FROM_ANYWHERE
from vpcctl.pipeline.terms import (
    ARP_REQUEST,
    FIRST_FRAGMENT,
    GROUP,
    IS_ARP,
    IS_ICMP6,
    IS_IPV4,
    IS_IPV6,
    IS_SOLICIT,
    IS_UDP,
    ND_REDIRECT,
    NEIGHBOUR_ADVERT,
    NEIGHBOUR_SOLICIT,
    ROUTER_ADVERT,
    ROUTER_SOLICIT,
    drop,
    within,
)

_BEFORE_IPV6 = (131, 132, ROUTER_SOLICIT, 143)
"""What a host may send before it has an address: MLD messages (RFC 3590, RFC 3810) and router
solicitations (RFC 4861, section 6.3.7)."""

_DHCP_ANSWERS: tuple[Match, ...] = (
    (IS_IPV4, IS_UDP, (f.UDP_SRC, 67, None)),
    (IS_IPV4, IS_UDP, (f.UDP_DST, 68, None)),
    (IS_IPV6, IS_UDP, (f.UDP_SRC, 547, None)),
    (IS_IPV6, IS_UDP, (f.UDP_DST, 546, None)),
)
"""What DHCP servers send: clients look at one of the two ports, or at the other alone."""

STATIC: tuple[Flow, ...] = (
    drop(SPOOF_GUARD, 500, ((f.VLAN_VID, 0x1000, 0x1000),), Reason.ETHERTYPE),
    drop(SPOOF_GUARD, 450, ((f.ETH_SRC, GROUP, GROUP),), Reason.INVALID_SOURCE),
    drop(
        SPOOF_GUARD,
        300,
        (IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, ROUTER_ADVERT, None)),
        Reason.ROUTER_ADVERTISEMENT,
    ),
    drop(SPOOF_GUARD, 300, (IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, ND_REDIRECT, None)), Reason.REDIRECT),
    *(drop(SPOOF_GUARD, 300, terms, Reason.DHCP_SERVER) for terms in _DHCP_ANSWERS),
    # What cannot be seen cannot be judged: the header above IP is cut off, or in a later fragment.
    drop(SPOOF_GUARD, 300, (IS_IPV6, (f.IP_PROTO, 0, None)), Reason.HIDDEN_HEADER),
    drop(SPOOF_GUARD, 300, (IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, 0, None)), Reason.HIDDEN_HEADER),
    *(
        drop(
            SPOOF_GUARD,
            300,
            (family, FIRST_FRAGMENT, IS_UDP, (f.UDP_SRC, 0, None)),
            Reason.HIDDEN_HEADER,
        )
        for family in (IS_IPV4, IS_IPV6)
    ),
    # RFC 6980: nobody needs fragments of neighbour discovery but to hide its options.
    *(
        drop(
            SPOOF_GUARD,
            300,
            (IS_IPV6, FIRST_FRAGMENT, IS_ICMP6, (f.ICMP6_TYPE, kind, None)),
            Reason.FRAGMENTED_ND,
        )
        for kind in (NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT)
    ),
    drop(SPOOF_GUARD, 10, (IS_ARP,), Reason.SPOOFED_ARP),
    drop(SPOOF_GUARD, 10, (IS_IPV4,), Reason.SPOOFED_IPV4),
    drop(SPOOF_GUARD, 10, (IS_IPV6,), Reason.SPOOFED_IPV6),
    drop(SPOOF_GUARD, 0, (), Reason.ETHERTYPE),
)


def sources(facts: PortFacts) -> dict[tuple[int, IPNetwork], None]:
    """Return the (MAC, addresses) that a port may claim, without repetition, in order."""
    port = facts.port
    found: dict[tuple[int, IPNetwork], None] = {}
    for ip in port.ips:
        found[port.mac, block_of(ip)] = None
    if facts.subnet.ipv6_cidr is not None:
        found[port.mac, block_of(link_local(port.mac))] = None
    for pair in port.allowed_pairs:
        found[port.mac if pair.mac is None else pair.mac, pair.cidr] = None
    return found


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield what one port may send."""
    if not facts.port.port_security:
        yield from _anything(facts)
        return
    claims, own = sources(facts), facts.port.mac
    for mac in dict.fromkeys((own, *(mac for mac, _ in claims))):
        blocks = [block for owner, block in claims if owner == mac]
        has_ipv4 = any(block.version == 4 for block in blocks)
        if has_ipv4:
            yield _allow(facts, mac, (IS_ARP, (f.ARP_SPA, 0, None), (f.ARP_SHA, mac, None)))
        if has_ipv4 or mac == own:
            yield from _asking_dhcp(facts, mac)
        if any(block.version == 6 for block in blocks):
            yield from _before_ipv6(facts, mac)
        for block in blocks:
            yield from (
                _from_ipv4(facts, mac, block)
                if block.version == 4
                else _from_ipv6(facts, mac, block)
            )
    if not facts.port.checks_addresses:
        yield from _forwarding(facts)


def _forwarding(facts: PortFacts) -> Iterator[Flow]:
    """Yield what a port may send that forwards others' packets, but for what is its own."""
    own = ((f.SOURCE_PORT, facts.port.key, None), (f.ETH_SRC, facts.port.mac, None))
    for kind in (*_BEFORE_IPV6, NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT):
        terms = (*own, IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, kind, None))
        yield drop(SPOOF_GUARD, 95, terms, Reason.SPOOFED_ND, facts.edge_cookie)
    for family in (IS_IPV4, IS_IPV6):
        yield Flow(SPOOF_GUARD, 90, (*own, family), (), ARP_ND, facts.edge_cookie)


def _anything(facts: PortFacts) -> Iterator[Flow]:
    """Yield flows of a port without port security: any source, but no other protocols."""
    source = (f.SOURCE_PORT, facts.port.key, None)
    for protocol in (IS_ARP, IS_IPV4, IS_IPV6):
        yield Flow(SPOOF_GUARD, 400, (source, protocol), (), ARP_ND, facts.edge_cookie)


def _allow(facts: PortFacts, mac: int, terms: Match, goto: Table = ARP_ND) -> Flow:
    match = ((f.SOURCE_PORT, facts.port.key, None), (f.ETH_SRC, mac, None), *terms)
    return Flow(SPOOF_GUARD, 100, match, (), goto, facts.edge_cookie)


def _asking_dhcp(facts: PortFacts, mac: int) -> Iterator[Flow]:
    """Yield what a DHCP client sends whatever IPv4 address it uses, or none.

    That includes the question for the MAC of its server, the gateway.
    """
    asks = ((f.ARP_OP, ARP_REQUEST, None), (f.ARP_TPA, int(facts.subnet.gateway), None))
    yield _allow(facts, mac, (IS_ARP, *asks, (f.ARP_SHA, mac, None)))
    source, sender = (f.SOURCE_PORT, facts.port.key, None), (f.ETH_SRC, mac, None)
    for to, question in FROM_ANYWHERE:
        terms = (source, *to, sender, *question)
        yield Flow(SPOOF_GUARD, 100, terms, (), ARP_ND, facts.edge_cookie)


def _from_ipv4(facts: PortFacts, mac: int, block: IPNetwork) -> Iterator[Flow]:
    yield _allow(facts, mac, (IS_ARP, *within(f.ARP_SPA, block), (f.ARP_SHA, mac, None)))
    yield _allow(facts, mac, (IS_IPV4, *within(f.IPV4_SRC, block)))


def _before_ipv6(facts: PortFacts, mac: int) -> Iterator[Flow]:
    """Yield what a guest sends from the unspecified address, but for address detection."""
    unspecified = (f.IPV6_SRC, 0, None)
    for kind in _BEFORE_IPV6:
        terms = (IS_IPV6, IS_ICMP6, unspecified, (f.ICMP6_TYPE, kind, None))
        yield _allow(facts, mac, terms)


def _from_ipv6(facts: PortFacts, mac: int, block: IPNetwork) -> Iterator[Flow]:
    yield _allow(facts, mac, (IS_IPV6, *within(f.IPV6_SRC, block)), ND_GUARD)
    unspecified = (f.IPV6_SRC, 0, None)
    target = within(f.ND_TARGET, block)
    yield _allow(facts, mac, (IS_IPV6, IS_ICMP6, unspecified, *IS_SOLICIT, *target))
