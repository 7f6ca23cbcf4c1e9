"""What becomes of a question of the flows about an external network."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.decide import too_large
from agent.decide.guest.frames import ETH_IPV4, ETH_IPV6, Refused
from agent.decide.world import icmp
from agent.decide.world.book import Address, Book, Network
from agent.decide.world.frames import (
    ADVERT,
    ETH_ARP,
    SOLICIT,
    answer_to,
    arp_reply,
    asked,
    discovery,
    ethernet,
)
from agent.decide.world.neighbours import Neighbours
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import Question, error_inwards, error_outwards

_GATEWAY = GATEWAY_MAC.to_bytes(6, "big")
"""Destination of errors on their way on: flows look at the source alone."""


@dataclass(frozen=True, slots=True)
class Known:
    """What answers depend on.

    Attributes:
        book: addresses and networks.
        neighbours: what waits.
        now: the time, seconds.
    """

    book: Book
    neighbours: Neighbours
    now: float


def asker(frame: bytes) -> tuple[tuple[int, bytes], ...]:
    """Return what a frame counts for when it comes to how much is answered.

    That is the question, and the address of ours that it concerns, as far as can be told at one
    look: bytes, and where they are in the frame.
    """
    question = asked(frame)
    if question is None:
        return ((0, frame[:14]),)
    if question[1] in (Question.UNRESOLVED, Question.ERROR_OUT):
        at, end = 6, 12
    elif question[1] in (Question.ERROR_IN, Question.TOO_LARGE):
        at, end = (38, 54) if _kind(frame) == ETH_IPV6 else (30, 34)
    else:
        at, end = (28, 32) if _kind(frame) == ETH_ARP else (62, 78)
    whole = len(frame) >= end
    return ((0, frame[:6]), (at, frame[at:end])) if whole else ((0, frame),)


def answer(frame: bytes, known: Known) -> tuple[str, list[bytes]]:
    """Return the name of what was asked, and what to send.

    Raises:
        Refused: it is malformed, unknown, or nothing is to be sent.
    """
    question = asked(frame)
    if question is None:
        raise Refused("no-question")
    network = known.book.networks.get(question[0])
    if network is None:
        raise Refused("unknown-network")
    found = _ANSWERS.get(question[1])
    if found is None:
        raise Refused("unknown-question")
    name, reply = found
    return name, reply(frame, network, known)


def _kind(frame: bytes) -> int:
    return int.from_bytes(frame[12:14], "big")


def _unresolved(frame: bytes, network: Network, known: Known) -> list[bytes]:
    address = _own(known.book.of(frame[6:12], network.key))
    if _kind(frame) == ETH_IPV6:  # a port's addresses have one MAC
        address = _own(known.book.at(network.key, frame[22:38]))
    return known.neighbours.ask(network, frame, address, known.now)


def _heard(frame: bytes, network: Network, known: Known) -> list[bytes]:
    said = arp_reply(frame) if _kind(frame) == ETH_ARP else discovery(frame, ADVERT)
    return known.neighbours.heard(network.key, said.target, said.mac, known.now)


def _solicited(frame: bytes, network: Network, known: Known) -> list[bytes]:
    said = discovery(frame, SOLICIT)
    return [answer_to(said, _own(known.book.at(network.key, said.target)))]


def _error_in(frame: bytes, network: Network, known: Known) -> list[bytes]:
    address, fixed = _eip(frame, known.book.at(network.key, frame[30:34]))
    packet = icmp.inwards(frame[14:], address.ip, fixed)
    return [_onwards(error_inwards(address.key), packet)]


def _error_out(frame: bytes, network: Network, known: Known) -> list[bytes]:
    address, fixed = _eip(frame, known.book.of(frame[6:12], network.key))
    packet = icmp.outwards(frame[14:], address.ip, fixed)
    return [_onwards(error_outwards(address.key), packet)]


def _too_large(frame: bytes, network: Network, known: Known) -> list[bytes]:
    """Tell who has sent it, as the address that it is for, by whoever has brought it."""
    kind = _kind(frame)
    to = frame[30:34] if kind == ETH_IPV4 else frame[38:54]
    address = _own(known.book.at(network.key, to))
    if frame[6] & 1:
        raise Refused("too-large-malformed")
    packet = too_large.answer(frame[14:], network.port_mtu, address.ip)
    return [ethernet(frame[6:12], address.mac, kind, packet)]


def _onwards(source: int, packet: bytes) -> bytes:
    return ethernet(_GATEWAY, source.to_bytes(6, "big"), ETH_IPV4, packet)


def _own(address: Address | None) -> Address:
    if address is None:
        raise Refused("unknown-address")
    return address


def _eip(frame: bytes, address: Address | None) -> tuple[Address, bytes]:
    found = _own(address)
    if _kind(frame) != ETH_IPV4 or found.fixed is None or len(found.fixed) != len(found.ip):
        raise Refused("unknown-address")
    return found, found.fixed


_ANSWERS: dict[int, tuple[str, Callable[[bytes, Network, Known], list[bytes]]]] = {
    Question.UNRESOLVED: ("unresolved", _unresolved),
    Question.HEARD: ("heard", _heard),
    Question.SOLICITED: ("solicited", _solicited),
    Question.ERROR_IN: ("error-in", _error_in),
    Question.ERROR_OUT: ("error-out", _error_out),
    Question.TOO_LARGE: ("too-large", _too_large),
}
"""Name and function of each question."""
