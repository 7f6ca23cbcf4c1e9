"""DHCPv6 (RFC 8415): a guest gets the IPv6 addresses of its port, or parameters alone.

As with DHCP there are no leases to keep. The gateway is the server, known by its MAC.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from agent.decide.guest import router
from agent.decide.guest.book import Entry
from agent.decide.guest.frames import Packet, Refused, udp
from agent.decide.guest.options import names, parse6, write6
from vpcctl.model.addresses import GATEWAY_MAC

SERVER, CLIENT = 547, 546
ALL_SERVERS = IPv6Address("ff02::1:2").packed
SERVER_DUID = struct.pack("!HH", 3, 1) + GATEWAY_MAC.to_bytes(6, "big")
"""DUID-LL (RFC 8415, section 11.4)."""

_SOLICIT, _ADVERTISE, _REQUEST, _CONFIRM, _RENEW, _REBIND = range(1, 7)
_REPLY, _RELEASE, _DECLINE, _INFORMATION = 7, 8, 9, 11
_WITH_SERVER = frozenset({_REQUEST, _RENEW, _RELEASE, _DECLINE})
_WITHOUT_SERVER = frozenset({_SOLICIT, _CONFIRM, _REBIND})
_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_ADDRESS, _ASKED_FOR = 1, 2, 3, 5, 6
_STATUS, _RAPID, _DNS, _SEARCH, _IA_PD, _REFRESH, _FQDN, _NTP = 13, 14, 23, 24, 25, 32, 39, 56
_SUCCESS, _NO_ADDRESSES, _NO_BINDING, _NOT_ON_LINK, _NO_PREFIXES = 0, 2, 3, 4, 6
_MAX_DUID, _MAX_IAS, _MAX_ADDRESSES = 130, 8, 16
_LINK_LOCAL = bytes.fromhex("fe80000000000000")


@dataclass(frozen=True, slots=True)
class Association:
    """An identity association for addresses (IA_NA), as a client asks for it.

    Attributes:
        iaid: the client's number for it, 4 bytes.
        addresses: those that the client names, 16 bytes each.
    """

    iaid: bytes
    addresses: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A message of a client.

    Attributes:
        kind: message type.
        transaction: 3 bytes.
        client: its DUID, empty when it says none.
        server: DUID of the server it speaks to; None: any.
        associations: for addresses, in order.
        prefixes: IAIDs of associations for prefixes, of which there are none to give.
        asked: codes of the options it asks for.
        rapid: whether it takes a reply to its solicitation at once.
    """

    kind: int
    transaction: bytes
    client: bytes
    server: bytes | None
    associations: tuple[Association, ...]
    prefixes: tuple[bytes, ...]
    asked: frozenset[int]
    rapid: bool


def answer(packet: Packet, entry: Entry) -> list[bytes]:
    """Return the answer to a client's message.

    Raises:
        Refused: the message is malformed, for another server, or one that is not answered.
    """
    if packet.mac != entry.mac:
        raise Refused("dhcp6-wrong-mac")
    if packet.ports[0] != CLIENT or packet.target != ALL_SERVERS:
        raise Refused("dhcp6-malformed")
    if packet.source[:8] != _LINK_LOCAL:
        raise Refused("dhcp6-malformed")
    question = parse(packet.payload)
    own = router.makes_own_address(entry)
    if not router.is_served(entry) or (own and entry.subnet.ipv6_mode == "slaac"):
        raise Refused("dhcp6-not-served")
    kind, options = _answer(question, entry)
    heading = write6(_SERVER_ID, SERVER_DUID)
    if question.client:
        heading = write6(_CLIENT_ID, question.client) + heading
    message = bytes((kind,)) + question.transaction + heading + options
    ends, ips = (entry.key, entry.mac), (router.GATEWAY_LINK_LOCAL, packet.source)
    return [udp(ends, ips, (SERVER, CLIENT), message)]


def parse(message: bytes) -> Question:
    """Return a client's message, checked as RFC 8415, section 16 demands.

    Raises:
        Refused: it is malformed, not a client's, or for another server.
    """
    if len(message) < 4:
        raise Refused("dhcp6-malformed")
    options: dict[int, list[bytes]] = {}
    for code, value in parse6(message[4:]):
        options.setdefault(code, []).append(value)
    client, server = _single(options, _CLIENT_ID) or b"", _single(options, _SERVER_ID)
    _check(message[0], client, server)
    asked = _single(options, _ASKED_FOR) or b""
    if len(asked) % 2 or len(options.get(_IA_NA, ())) > _MAX_IAS:
        raise Refused("dhcp6-malformed")
    return Question(
        message[0],
        message[1:4],
        client,
        server,
        tuple(_association(value) for value in options.get(_IA_NA, ())),
        tuple(value[:4] for value in options.get(_IA_PD, ())[:_MAX_IAS] if len(value) >= 12),
        frozenset(code for (code,) in struct.iter_unpack("!H", asked)),
        _RAPID in options,
    )


def _single(options: dict[int, list[bytes]], code: int) -> bytes | None:
    values = options.get(code, [])
    if len(values) > 1:
        raise Refused("dhcp6-malformed")
    return values[0] if values else None


def _check(kind: int, client: bytes, server: bytes | None) -> None:
    if kind not in _WITH_SERVER | _WITHOUT_SERVER | {_INFORMATION}:
        raise Refused("dhcp6-not-a-client")
    if len(client) > _MAX_DUID or not (client or kind == _INFORMATION):
        raise Refused("dhcp6-malformed")
    if server is not None and server != SERVER_DUID:
        raise Refused("dhcp6-other-server")
    if (kind in _WITH_SERVER and server is None) or (kind in _WITHOUT_SERVER and server):
        raise Refused("dhcp6-malformed")


def _association(value: bytes) -> Association:
    if len(value) < 12:
        raise Refused("dhcp6-malformed")
    found = [inner for code, inner in parse6(value[12:]) if code == _IA_ADDRESS]
    if len(found) > _MAX_ADDRESSES or any(len(inner) < 24 for inner in found):
        raise Refused("dhcp6-malformed")
    return Association(value[:4], tuple(inner[:16] for inner in found))


def _answer(question: Question, entry: Entry) -> tuple[int, bytes]:
    """Return type and options of the answer."""
    if question.kind == _INFORMATION:
        if question.associations:
            raise Refused("dhcp6-malformed")
        lease = struct.pack("!I", entry.options.lease_time_s)
        return _REPLY, b"".join(_parameters(question, entry)) + write6(_REFRESH, lease)
    if router.makes_own_address(entry):
        raise Refused("dhcp6-not-served")
    if question.kind == _CONFIRM:
        return _REPLY, _confirmed(question, entry)
    if question.kind in (_RELEASE, _DECLINE):
        return _REPLY, _status(_SUCCESS) + b"".join(_not_known(question, entry))
    options = b"".join((*_granted(question, entry), *_parameters(question, entry)))
    if question.kind != _SOLICIT:
        return _REPLY, options
    return (_REPLY, write6(_RAPID, b"") + options) if question.rapid else (_ADVERTISE, options)


def _confirmed(question: Question, entry: Entry) -> bytes:
    """Say whether the addresses that a client has are right where it is now (section 18.3.3)."""
    named = [one for each in question.associations for one in each.addresses]
    if not named:
        raise Refused("dhcp6-malformed")
    own = {ip.packed for ip in entry.ipv6}
    return _status(_SUCCESS if own.issuperset(named) else _NOT_ON_LINK)


def _not_known(question: Question, entry: Entry) -> Iterator[bytes]:
    """Yield the associations that hold nothing of the port's (sections 18.3.7 and 18.3.8)."""
    own = {ip.packed for ip in entry.ipv6}
    for one in question.associations:
        if own.isdisjoint(one.addresses):
            yield _none_for(_IA_NA, one.iaid, _NO_BINDING)
    for iaid in question.prefixes:
        yield _none_for(_IA_PD, iaid, _NO_BINDING)


def _granted(question: Question, entry: Entry) -> Iterator[bytes]:
    """Yield the associations: the first gets the port's addresses, there are none for others."""
    for place, one in enumerate(question.associations):
        yield _grant(one, entry) if place == 0 else _none_for(_IA_NA, one.iaid, _NO_ADDRESSES)
    for iaid in question.prefixes:
        yield _none_for(_IA_PD, iaid, _NO_PREFIXES)


def _grant(one: Association, entry: Entry) -> bytes:
    lease = min(entry.options.lease_time_s, 2**32 - 2)
    own = [ip.packed for ip in entry.ipv6[:_MAX_ADDRESSES]]
    held = b"".join(_address(ip, lease) for ip in own)
    # An address that is not the port's has to go at once (section 18.3.4).
    lost = b"".join(_address(ip, 0) for ip in dict.fromkeys(one.addresses) if ip not in own)
    times = struct.pack("!II", lease // 2, lease * 4 // 5)
    return write6(_IA_NA, one.iaid + times + held + lost)


def _address(ip: bytes, lease: int) -> bytes:
    return write6(_IA_ADDRESS, ip + struct.pack("!II", lease, lease))


def _none_for(code: int, iaid: bytes, status: int) -> bytes:
    return write6(code, iaid + bytes(8) + _status(status))


def _status(code: int) -> bytes:
    return write6(_STATUS, struct.pack("!H", code))


def _parameters(question: Question, entry: Entry) -> Iterator[bytes]:
    """Yield what the client asks for and is known."""
    known = {
        _DNS: b"".join(ip.packed for ip in entry.resolvers.ipv6),
        _SEARCH: names(entry.search),
        # Suboption 1: a server's address (RFC 5908, section 4).
        _NTP: b"".join(write6(1, ip.packed) for ip in entry.time_servers.ipv6),
        _FQDN: _fqdn(entry),
    }
    for code, value in known.items():
        if value and code in question.asked:
            yield write6(code, value)


def _fqdn(entry: Entry) -> bytes:
    """Return the name of the guest (RFC 4704): the server sees to its records (flag S)."""
    if not entry.guest.host_name:
        return b""
    domain = entry.options.domain
    name = entry.guest.host_name if domain is None else f"{entry.guest.host_name}.{domain}"
    return b"\x01" + names([name])
