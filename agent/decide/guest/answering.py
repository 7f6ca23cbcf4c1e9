"""Which protocol a guest speaks, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from agent.decide import too_large
from agent.decide.advertisement import advertisement
from agent.decide.guest import dhcp4, dhcp6, router
from agent.decide.guest.book import Book, Entry
from agent.decide.guest.frames import (
    ETH_IPV4,
    ETH_IPV6,
    ICMP6,
    UDP,
    Packet,
    Refused,
    packet_to,
    parse,
    port_key,
    too_large_network,
)

Service = Callable[[Packet, Entry], list[bytes]]
"""Answers a question of a guest with frames (none: nothing is to be said); raises Refused."""

SERVICES: dict[tuple[int, int], tuple[str, Service]] = {
    (UDP, dhcp4.SERVER): ("dhcp4", dhcp4.answer),
    (UDP, dhcp6.SERVER): ("dhcp6", dhcp6.answer),
    (ICMP6, router.SOLICIT): ("rs", router.answer),
}
"""Name and function, by protocol above IP and UDP destination port (ICMPv6: message type)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a question.

    Attributes:
        service: which one answers, for counting.
        frames: to be sent.
    """

    service: str
    frames: list[bytes]


_SOLICIT = 135
_AT_TYPE = 14 + 40


class Asking(NamedTuple):
    """What a frame counts for when it comes to how much is answered, as one look at it tells.

    Attributes:
        key: of the port that asks; None: it names none.
        kind: of question: what flows meter apart is counted apart.
    """

    key: int | None
    kind: Literal["dhcp", "neighbour", "too-large", "other"]


def asking(frame: bytes) -> Asking:
    """Return who asks, and what kind of question."""
    if too_large_network(frame) is not None:
        return Asking(port_key(frame), "too-large")
    protocol = (frame[12:14], frame[23:24] if frame[12:14] == _IPV4 else frame[20:21])
    return Asking(port_key(frame), _KINDS.get(protocol, "other"))


def marks_of(frame: bytes) -> tuple[tuple[int, bytes], ...]:
    """Return what frames of the same port and kind have, of one Ethernet type: bytes, and where."""
    at, end = (20, 21) if frame[12:14] == _IPV6 else (23, 24)
    if too_large_network(frame) is not None:
        at, end = 6, 8
    return ((0, frame[:6]), (at, frame[at:end]))


_IPV4, _IPV6 = ETH_IPV4.to_bytes(2, "big"), ETH_IPV6.to_bytes(2, "big")
_KINDS: dict[tuple[bytes, bytes], Literal["dhcp", "neighbour"]] = {
    (_IPV4, bytes((UDP,))): "dhcp",
    (_IPV6, bytes((UDP,))): "dhcp",
    (_IPV6, bytes((ICMP6,))): "neighbour",
}
"""By Ethernet type and protocol above IP. What flows find behind other headers of IPv6 is not
answered, and takes nothing from what is."""


def answer(frame: bytes, book: Book) -> Answer:
    """Return what answers *frame*.

    Neighbour solicitations for gateways are answered for any port: what they need to know is in
    the question.

    Raises:
        Refused: it is malformed, of an unknown port, or not for any service.
    """
    network = too_large_network(frame)
    if network is not None:
        return Answer("too-large", [_too_large(frame, network, book)])
    if _is_solicitation(frame):
        found = advertisement(frame)
        if found is None:
            raise Refused("nd-malformed")
        return Answer("nd", [found])
    packet = parse(frame)
    entry = book.get(packet.key)
    if entry is None:
        raise Refused("unknown-port")
    service = SERVICES.get((packet.protocol, _kind(packet)))
    if service is None:
        raise Refused("no-service")
    name, ask = service
    return Answer(name, ask(packet, entry))


def _too_large(frame: bytes, network: int, book: Book) -> bytes:
    """Return what tells a guest, as its gateway, that a packet does not fit a network outside."""
    key, mtu = port_key(frame), book.mtu(network)
    entry = None if key is None else book.get(key)
    if entry is None or mtu is None:
        raise Refused("unknown-port")
    gateway = entry.gateway6 if frame[12:14] == ETH_IPV6.to_bytes(2, "big") else entry.gateway4
    if gateway is None:
        raise Refused("too-large-malformed")
    packet = too_large.answer(frame[14:], mtu, gateway.packed)
    return packet_to((entry.key, entry.mac), packet)


def _is_solicitation(frame: bytes) -> bool:
    kind = frame[12:14] == _IPV6 and frame[20:21] == bytes((ICMP6,))
    return kind and frame[_AT_TYPE : _AT_TYPE + 1] == bytes((_SOLICIT,))


def _kind(packet: Packet) -> int:
    return packet.ports[1] if packet.protocol == UDP else packet.payload[0]
