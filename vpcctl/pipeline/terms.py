"""Terms and actions that several tables use, and the constants they need."""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, CheckLarger, Load, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP, Table
from vpcctl.model.addresses import IPAddress, IPNetwork

ETH_IPV4, ETH_ARP, ETH_IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO6_REQUEST, ECHO6_REPLY = 128, 129
ROUTER_SOLICIT, ROUTER_ADVERT, NEIGHBOUR_SOLICIT, NEIGHBOUR_ADVERT, ND_REDIRECT = range(133, 138)
ON_LINK_TYPES = (130, 131, 132, *range(ROUTER_SOLICIT, ND_REDIRECT + 1), 143)
"""ICMPv6 types of multicast listener discovery (RFC 2710, RFC 3810) and neighbour discovery
(RFC 4861): without them no address works, so no group is asked about them on their link; and they
mean nothing beyond it, so no router passes them on (RFC 4890, section 4.3.3)."""
ARP_REQUEST, ARP_REPLY = 1, 2
BROADCAST = 0xFFFF_FFFF_FFFF
GROUP = 0x0100_0000_0000
"""The bit that broadcast and multicast MACs have and others have not."""
_ETHERNET = 14
"""Bytes in front of a packet."""

IS_IPV4: Term = (f.ETH_TYPE, ETH_IPV4, None)
IS_ARP: Term = (f.ETH_TYPE, ETH_ARP, None)
IS_IPV6: Term = (f.ETH_TYPE, ETH_IPV6, None)
IS_ICMP: Term = (f.IP_PROTO, ICMP, None)
IS_ICMP6: Term = (f.IP_PROTO, ICMP6, None)
IS_UDP: Term = (f.IP_PROTO, UDP, None)
IS_SOLICIT: tuple[Term, ...] = (
    (f.ICMP6_TYPE, NEIGHBOUR_SOLICIT, None),
    (f.ICMP6_CODE, 0, None),
)
IS_ADVERT: tuple[Term, ...] = (
    (f.ICMP6_TYPE, NEIGHBOUR_ADVERT, None),
    (f.ICMP6_CODE, 0, None),
)
FIRST_FRAGMENT: Term = (f.IP_FRAG, 1, None)
LATER_FRAGMENT: Term = (f.IP_FRAG, 3, None)
NOT_LATER: Term = (f.IP_FRAG, 0, 2)
NOT_REWRITTEN: Match = (IS_IPV4, (f.IP_PROTO, 0, None))
"""IPv4 packets of protocol 0: Open vSwitch leaves their addresses and TTL as they are."""
TRACKED: Term = (f.CT_STATE, f.CT_TRK, f.CT_TRK | f.CT_INV)
"""It belongs to a connection, be it a new one."""
TO_GROUP: Term = (f.ETH_DST, GROUP, GROUP)

BASE = cookie(Feature.BASE)


def flag(bits: f.Bits, value: int = 1) -> Term:
    """Return the term that matches a flag's value."""
    return (bits.field, value << bits.offset, bits.mask)


def flags(*wanted: tuple[f.Bits, int]) -> Term:
    """Return the term that matches the values of several flags."""
    value = sum(number << bits.offset for bits, number in wanted)
    return (f.FLAGS, value, sum(bits.mask for bits, _ in wanted))


def family(version: int) -> Term:
    """Return the term that matches IPv4 or IPv6."""
    return IS_IPV4 if version == 4 else IS_IPV6


def on_link(*scope: Term) -> Iterator[Match]:
    """Yield the matches of what stays on its link (``ON_LINK_TYPES``), within *scope*."""
    for kind in ON_LINK_TYPES:
        yield match(*scope, IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, kind))


def within(field: f.Field, network: IPNetwork) -> tuple[Term, ...]:
    """Return the term that matches addresses of *network*; none when that is all of them."""
    if not network.prefixlen:
        return ()
    if network.prefixlen == network.max_prefixlen:
        return ((field, int(network.network_address), None),)
    return ((field, int(network.network_address), int(network.netmask)),)


def because(reason: Reason) -> tuple[Action, ...]:
    """Return the actions that precede going to table Drop."""
    return _BECAUSE[reason]


_BECAUSE: dict[Reason, tuple[Action, ...]] = {r: (SetField(f.REASON, int(r)),) for r in Reason}


def drop(
    table: Table, priority: int, match: tuple[Term, ...], reason: Reason, owner: int = BASE
) -> Flow:
    """Return a flow that drops what *match* says, counted as *reason*."""
    return Flow(table, priority, match, _BECAUSE[reason], DROP, owner)


def with_flag(terms: Match, bits: f.Bits, value: int = 1) -> Match:
    """Return a match that wants a flag's value as well."""
    others = [term for term in terms if term[0] is not bits.field]
    before = next((term for term in terms if term[0] is bits.field), (bits.field, 0, 0))
    number, mask = before[1] | value << bits.offset, (before[2] or 0) | bits.mask
    return match(*others, (bits.field, number, mask))


def mark(bits: f.Bits, value: int = 1) -> Load:
    """Return the action that sets a flag."""
    return Load(bits, value)


def sized(table: Table, most: int) -> tuple[Action, ...]:
    """Return the actions that look a packet up again, ``TOO_LARGE`` when longer than *most*.

    Args:
        table: the table that it is in, which has to match ``SIZED``.
        most: bytes without the Ethernet header.
    """
    return (mark(f.SIZED), CheckLarger(most + _ETHERNET, f.TOO_LARGE), Resubmit(table))


def to_vtep(vtep: IPAddress) -> SetField:
    """Return the action that names the host to send a packet to."""
    return SetField(f.TUN_DST if vtep.version == 4 else f.TUN_IPV6_DST, int(vtep))


NOWHERE: tuple[Action, ...] = (SetField(f.TUN_DST, 0), SetField(f.TUN_IPV6_DST, 0))
"""Forget the host that an earlier copy of the packet was sent to."""
