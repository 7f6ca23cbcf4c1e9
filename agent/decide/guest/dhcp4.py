"""DHCP (RFC 2131): a guest is offered the address of its port, and nothing else.

There are no leases to keep: what a port has is in the book, so every host of a guest answers alike,
now and after any restart. The gateway is the server.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from agent.decide.guest.book import Entry
from agent.decide.guest.frames import Packet, Refused, udp
from agent.decide.guest.options import names, parse4, write4

SERVER, CLIENT = 67, 68
_HEADER = 240
_COOKIE = bytes.fromhex("63825363")
_ASKS, _ANSWERS = 1, 2
_BROADCAST = bytes((255,)) * 4
_NOWHERE = bytes(4)
_EVERYWHERE = IPv4Network((0, 0))
_TO_ALL = 0x8000
_DISCOVER, _OFFER, _REQUEST, _DECLINE, _ACK, _NAK, _RELEASE, _INFORM = range(1, 9)
_SILENT = {_DECLINE: "dhcp4-declined", _RELEASE: "dhcp4-released"}
"""What is heard, counted and not answered."""

_MASK, _ROUTER, _DNS, _HOST_NAME, _DOMAIN, _MTU, _NTP = 1, 3, 6, 12, 15, 26, 42
_REQUESTED, _LEASE, _KIND, _SERVER_ID, _ASKED_FOR, _MAX_SIZE = 50, 51, 53, 54, 55, 57
_RENEW_AT, _REBIND_AT, _CLIENT_ID, _SEARCH, _ROUTES = 58, 59, 61, 119, 121
_SMALLEST, _LARGEST = 576, 1_500
"""What every client takes (RFC 2131, section 2), and what fits into a frame, bytes with IP."""
_AROUND = 28
"""Headers of IP and UDP, bytes."""
_LONGEST = 255
"""What one option holds, bytes."""
_SHORTEST = 300
"""BOOTP's length, which some clients and relays insist on (RFC 1542, section 2.1)."""

Parameter = tuple[int, bytes, bool]
"""Code, value, and whether it is sent unasked."""


@dataclass(frozen=True, slots=True)
class Question:
    """A message of a client, as far as it decides the answer.

    Attributes:
        kind: message type.
        xid: transaction id, 4 bytes.
        to_all: whether the client wants its answer broadcast.
        ciaddr: address that the client uses already; 4 bytes, zeros for none.
        options: by code.
    """

    kind: int
    xid: bytes
    to_all: bool
    ciaddr: bytes
    options: dict[int, bytes]


def answer(packet: Packet, entry: Entry) -> list[bytes]:
    """Return the answer to a client's message.

    Raises:
        Refused: the message is malformed, another's, or one that is not answered.
    """
    question = parse(packet, entry)
    if packet.target not in (_BROADCAST, entry.gateway4.packed):
        raise Refused("dhcp4-other-server")
    if question.kind in _SILENT:
        raise Refused(_SILENT[question.kind])
    if question.kind in (_DISCOVER, _INFORM) and not entry.ipv4:
        raise Refused("dhcp4-no-address")  # a request hears that it has to give up what it has
    if question.kind == _DISCOVER:
        return [_grant(_OFFER, question, entry, _wished(question, entry) or entry.ipv4[0])]
    if question.kind == _INFORM:
        return [_inform(question, entry)]
    if question.kind == _REQUEST:
        return [_requested(question, entry)]
    raise Refused("dhcp4-malformed")


def parse(packet: Packet, entry: Entry) -> Question:
    """Return a client's message, checked.

    Raises:
        Refused: it is malformed or not the guest's own.
    """
    message = packet.payload
    if not packet.is_ipv4 or packet.ports[0] != CLIENT:
        raise Refused("dhcp4-malformed")
    if len(message) < _HEADER or message[236:240] != _COOKIE:
        raise Refused("dhcp4-malformed")
    if message[:3] != bytes((_ASKS, 1, 6)):
        raise Refused("dhcp4-malformed")
    if message[24:28] != _NOWHERE:
        raise Refused("dhcp4-relayed")
    if message[28:34] != entry.mac or packet.mac != entry.mac:
        raise Refused("dhcp4-wrong-mac")
    options = parse4(message)
    if len(options.get(_KIND, b"")) != 1:
        raise Refused("dhcp4-malformed")
    flags = int.from_bytes(message[10:12], "big")
    kind = options[_KIND][0]
    return Question(kind, message[4:8], bool(flags & _TO_ALL), message[12:16], options)


def _wished(question: Question, entry: Entry) -> IPv4Address | None:
    """Return the address that the client asks for, when it is one of its port's."""
    wish = question.options.get(_REQUESTED, b"")
    return next((ip for ip in entry.ipv4 if ip.packed == wish), None)


def _requested(question: Question, entry: Entry) -> bytes:
    """Return the answer to a request, whose four kinds RFC 2131, section 4.3.2 tells apart."""
    server, wish = question.options.get(_SERVER_ID), question.options.get(_REQUESTED)
    if server is not None and server != entry.gateway4.packed:
        raise Refused("dhcp4-other-server")
    if question.ciaddr == _NOWHERE and (wish is None or len(wish) != 4):
        raise Refused("dhcp4-malformed")
    wanted = question.ciaddr if question.ciaddr != _NOWHERE else wish
    address = next((ip for ip in entry.ipv4 if ip.packed == wanted), None)
    if address is None:
        # It has no address that it may keep, so it can only hear what is for all.
        options = _heading(_NAK, question, entry)
        return _send(question, entry, _NOWHERE, _BROADCAST, options)
    return _grant(_ACK, question, entry, address)


def _grant(kind: int, question: Question, entry: Entry, address: IPv4Address) -> bytes:
    """Return an offer of *address*, or its lease."""
    lease = entry.options.lease_time_s
    options = _heading(kind, question, entry) + write4(_LEASE, struct.pack("!I", lease))
    options += _parameters(question, entry, len(options), (*_known(entry), *_renewals(lease)))
    to = question.ciaddr
    if to == _NOWHERE:
        to = _BROADCAST if question.to_all else address.packed
    return _send(question, entry, address.packed, to, options)


def _inform(question: Question, entry: Entry) -> bytes:
    """Return parameters for a client that has its address already (RFC 2131, section 4.3.5)."""
    if not any(ip.packed == question.ciaddr for ip in entry.ipv4):
        raise Refused("dhcp4-wrong-address")
    options = _heading(_ACK, question, entry)
    options += _parameters(question, entry, len(options), _known(entry))
    return _send(question, entry, _NOWHERE, question.ciaddr, options)


def _heading(kind: int, question: Question, entry: Entry) -> bytes:
    """Return what each answer begins with; the client's id goes back to it (RFC 6842)."""
    client = question.options.get(_CLIENT_ID)
    return (
        write4(_KIND, bytes((kind,)))
        + write4(_SERVER_ID, entry.gateway4.packed)
        + (b"" if client is None else write4(_CLIENT_ID, client[:255]))
    )


def _parameters(question: Question, entry: Entry, taken: int, known: Iterable[Parameter]) -> bytes:
    """Return as many of the *known* parameters as the client takes, the most important first."""
    size = int.from_bytes(question.options.get(_MAX_SIZE, b"")[:2], "big")
    room = min(max(size, _SMALLEST), _LARGEST, entry.subnet.mtu) - _AROUND - _HEADER - 1 - taken
    asked = question.options.get(_ASKED_FOR)
    found: dict[int, bytes] = {}
    for code, value, always in known:
        option = write4(code, value)
        if len(option) <= room and (always or asked is None or code in asked):
            found[code], room = option, room - len(option)
    if _ROUTES in found and entry.subnet.routes:
        routes = _routes(entry)
        routes += _further(entry, min(room, _LONGEST - len(routes)))
        found[_ROUTES] = write4(_ROUTES, routes)
    return b"".join(found.values())


def _known(entry: Entry) -> Iterator[Parameter]:
    """Yield what is told with a lease and without one: without mask or MTU a guest breaks."""
    options = entry.options
    yield _MASK, entry.block4.netmask.packed, True
    yield _MTU, struct.pack("!H", entry.subnet.mtu), True
    yield _ROUTER, entry.gateway4.packed, True
    yield from _known_if(_DNS, b"".join(ip.packed for ip in entry.resolvers.ipv4), always=True)
    yield _ROUTES, _routes(entry), False
    yield from _known_if(_HOST_NAME, entry.guest.host_name.encode())
    yield from _known_if(_DOMAIN, (options.domain or "").encode())
    yield from _known_if(_SEARCH, names(options.search))
    yield from _known_if(_NTP, b"".join(ip.packed for ip in entry.time_servers.ipv4))


def _renewals(lease: int) -> Iterator[Parameter]:
    """Yield what a lease of so many seconds has, and who has none is not told (section 4.3.5)."""
    yield _RENEW_AT, struct.pack("!I", lease // 2), False
    yield _REBIND_AT, struct.pack("!I", lease * 7 // 8), False


def _known_if(code: int, value: bytes, *, always: bool = False) -> Iterator[Parameter]:
    if value:
        yield code, value, always


def _routes(entry: Entry) -> bytes:
    """Return the IPv4 routes that a guest must have: with these it ignores the router option.

    See RFC 3442.
    """
    return b"".join(_route(*each) for each in ((_EVERYWHERE, entry.gateway4), *entry.routes))


def _further(entry: Entry, room: int) -> bytes:
    """Return the routes of the subnet's route table, the most specific first, as many as fit.

    The default route leads what is left out to the same gateway. Who is to pass on what is for a
    destination has its own way to it, and would get back what it sends to the gateway. One option
    has to hold them all: of several (RFC 3396) some clients take the last alone.
    """
    said, found = {block for block, _ in entry.routes}, b""
    for one in entry.subnet.routes:
        if one.destination in said or entry.guest.port_id in one.port_ids:
            continue
        route = _route(one.destination, entry.gateway4)
        if len(found) + len(route) > room:
            break
        found += route
    return found


def _route(block: IPv4Network, hop: IPv4Address) -> bytes:
    significant = (block.prefixlen + 7) // 8
    return bytes((block.prefixlen,)) + block.network_address.packed[:significant] + hop.packed


def _send(question: Question, entry: Entry, yiaddr: bytes, to: bytes, options: bytes) -> bytes:
    """Return the frame of an answer."""
    message = (
        bytes((_ANSWERS, 1, 6, 0))
        + question.xid
        + struct.pack("!HH", 0, _TO_ALL if question.to_all else 0)
        + (_NOWHERE if to == _BROADCAST else question.ciaddr)
        + yiaddr
        + bytes(8)
        + entry.mac.ljust(16, b"\0")
        + bytes(192)
        + _COOKIE
        + options
        + b"\xff"
    )
    mac = b"\xff" * 6 if to == _BROADCAST else entry.mac
    ends, ips = (entry.key, mac), (entry.gateway4.packed, to)
    return udp(ends, ips, (SERVER, CLIENT), message.ljust(_SHORTEST, b"\0"))
