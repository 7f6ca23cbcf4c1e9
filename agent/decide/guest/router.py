"""Router advertisements (RFC 4861, RFC 4862, RFC 8106): the gateway speaks to one guest at a time.

Each guest hears what is true of its own port: the prefix is for making an address of it only when
the port has the address that the guest would make, so nobody uses one that is dropped. What it was
told before and is true no more is taken back: an address that nobody withdraws stays for hours.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from agent.decide.guest.book import Entry
from agent.decide.guest.frames import HOP_LIMIT, Packet, Refused, icmp6
from agent.decide.guest.options import names, parse_nd
from agent.decide.ipv6_mode import OWN_ADDRESS, mode_of_port
from vpcctl.model.addresses import GATEWAY_MAC, eui64, link_local

SOLICIT, _ADVERT = 133, 134
GATEWAY_LINK_LOCAL = link_local(GATEWAY_MAC).packed
LIFETIME_S = 1_800
"""How long a guest uses the router without hearing of it again, seconds."""
_VALID_S, _PREFERRED_S = 86_400, 14_400
_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_SOURCE, _PREFIX, _MTU, _RDNSS, _DNSSL = 1, 3, 5, 25, 31
_HOPS = 64
_OWN_MAC = bytes((_SOURCE, 1)) + GATEWAY_MAC.to_bytes(6, "big")
_UNSPECIFIED = bytes(16)
_ALL_NODES, _ALL_NODES_MAC = IPv6Address("ff02::1").packed, bytes.fromhex("333300000001")
_HEADER = 8
_SMALLEST_MTU = 1_280
_MAX_NAMES = 255 * 8 - 8


def answer(packet: Packet, entry: Entry) -> list[bytes]:
    """Return the advertisement that answers a solicitation.

    Raises:
        Refused: it is malformed (RFC 4861, section 6.1.1), or there is nothing to advertise.
    """
    _check(packet)
    if packet.mac != entry.mac:
        raise Refused("rs-wrong-mac")
    if packet.source == _UNSPECIFIED:
        return [advertise(entry)]
    ends, ips = (entry.key, entry.mac), (GATEWAY_LINK_LOCAL, packet.source)
    return [icmp6(ends, ips, _message(entry))]


def advertise(entry: Entry, *, made_own: bool = False) -> bytes:
    """Return the advertisement that a guest gets unasked, or before it has an address.

    Args:
        entry: the guest.
        made_own: whether it was told before to make its address, in whatever mode it is now.

    Raises:
        Refused: there is nothing to advertise.
    """
    return _to_all(entry, _message(entry, made_own=made_own))


def farewell(entry: Entry) -> bytes:
    """Return what takes back what was advertised to a guest (RFC 4861, section 6.2.5).

    Args:
        entry: the guest as it was when that was true.
    """
    options = (*_withdrawn(entry, _ON_LINK | _AUTONOMOUS), *_names(entry, 0))
    return _to_all(entry, _head(0, 0) + _OWN_MAC + b"".join(options))


def _to_all(entry: Entry, message: bytes) -> bytes:
    return icmp6((entry.key, _ALL_NODES_MAC), (GATEWAY_LINK_LOCAL, _ALL_NODES), message)


def is_served(entry: Entry) -> bool:
    """Tell whether there is anything to advertise to a guest."""
    return entry.block6 is not None and bool(entry.ipv6)


def makes_own_address(entry: Entry) -> bool:
    """Tell whether the guest is to make its address of the prefix: its port must have it."""
    mac = int.from_bytes(entry.mac, "big")
    return mode_of_port(entry.subnet.ipv6_mode, entry.block6, mac, entry.ipv6) in OWN_ADDRESS


def _check(packet: Packet) -> None:
    message = packet.payload
    if packet.hops != HOP_LIMIT or len(message) < _HEADER or message[1] != 0:
        raise Refused("rs-malformed")
    options = parse_nd(message[_HEADER:], "rs-malformed")
    if _SOURCE in options and packet.source == _UNSPECIFIED:
        raise Refused("rs-malformed")


def _message(entry: Entry, *, made_own: bool = False) -> bytes:
    if not is_served(entry):
        raise Refused("rs-no-ipv6")
    own = makes_own_address(entry)
    flags = 0 if own else _MANAGED | _OTHER
    if entry.subnet.ipv6_mode == "dhcpv6-stateless":
        flags |= _OTHER
    options = _options(entry, autonomous=own)
    withdrawn = _withdrawn(entry, _AUTONOMOUS) if _holds_lost(entry, made_own=made_own) else ()
    return _head(flags, LIFETIME_S) + _OWN_MAC + b"".join((*options, *withdrawn))


def _head(flags: int, lifetime_s: int) -> bytes:
    return struct.pack("!BBHBBHII", _ADVERT, 0, 0, _HOPS, flags, lifetime_s, 0, 0)


def _holds_lost(entry: Entry, *, made_own: bool) -> bool:
    """Tell whether the guest may hold the address that it once made, and that its port has not."""
    block = entry.block6
    might = made_own or entry.subnet.ipv6_mode in OWN_ADDRESS
    if not might or block is None:
        return False
    return eui64(block, int.from_bytes(entry.mac, "big")) not in entry.ipv6


def _options(entry: Entry, *, autonomous: bool) -> Iterator[bytes]:
    if entry.subnet.mtu >= _SMALLEST_MTU:
        yield struct.pack("!BBHI", _MTU, 1, 0, entry.subnet.mtu)
    if entry.block6 is not None:
        flags = _ON_LINK | (_AUTONOMOUS if autonomous else 0)
        yield _prefix(entry.block6, flags, _VALID_S, _PREFERRED_S)
    yield from _names(entry, LIFETIME_S)


def _withdrawn(entry: Entry, flags: int) -> Iterator[bytes]:
    """Yield that the prefix is good for nothing any more, for what the flags say.

    Of it no address is made, and one that was is preferred no longer: new conversations take
    another one at once (RFC 4862, section 5.5.3).
    """
    if entry.block6 is not None:
        yield _prefix(entry.block6, flags, 0, 0)


def _prefix(block: IPv6Network, flags: int, valid_s: int, preferred_s: int) -> bytes:
    head = struct.pack("!BBBBIII", _PREFIX, 4, block.prefixlen, flags, valid_s, preferred_s, 0)
    return head + block.network_address.packed


def _names(entry: Entry, lifetime_s: int) -> Iterator[bytes]:
    """Yield resolvers and search list (RFC 8106)."""
    servers = entry.resolvers.ipv6
    if servers:
        head = struct.pack("!BBHI", _RDNSS, 1 + 2 * len(servers), 0, lifetime_s)
        yield head + b"".join(ip.packed for ip in servers)
    search = names(entry.search)
    if 0 < len(search) <= _MAX_NAMES:
        padded = search + bytes(-len(search) % 8)
        yield struct.pack("!BBHI", _DNSSL, 1 + len(padded) // 8, 0, lifetime_s) + padded
