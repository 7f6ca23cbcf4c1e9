"""Which protocol a guest speaks, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
    parse,
    port_key,
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
    kind: Literal["dhcp", "neighbour", "other"]


def asking(frame: bytes) -> Asking:
    """Return who asks, and what kind of question."""
    protocol = (frame[12:14], frame[23:24] if frame[12:14] == _IPV4 else frame[20:21])
    return Asking(port_key(frame), _KINDS.get(protocol, "other"))


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


def _is_solicitation(frame: bytes) -> bool:
    kind = frame[12:14] == _IPV6 and frame[20:21] == bytes((ICMP6,))
    return kind and frame[_AT_TYPE : _AT_TYPE + 1] == bytes((_SOLICIT,))


def _kind(packet: Packet) -> int:
    return packet.ports[1] if packet.protocol == UDP else packet.payload[0]
