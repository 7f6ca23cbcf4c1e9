"""Frames of external networks: questions of the flows, ARP (RFC 826) and ND (RFC 4861).

Who is behind a frame may be anybody on the provider's network: lengths and checksums are looked at
before a field is.
"""

import struct
from dataclasses import dataclass

from agent.decide.guest.frames import ETH_IPV6, HOP_LIMIT, ICMP6, Refused, icmp6_packet, take_apart
from agent.decide.guest.options import parse_nd
from agent.decide.world.book import Address
from vpcctl.model.host import Question, outside_question

ETH_ARP = 0x0806
ALL_MACS = b"\xff" * 6
REQUEST, REPLY = 1, 2
SOLICIT, ADVERT = 135, 136

_QUESTION = (outside_question(0, Question.HEARD) >> 32).to_bytes(2, "big")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_SOLICITED, _OVERRIDE = 0x4000_0000, 0x2000_0000
_SOURCE_OPTION, _TARGET_OPTION = 1, 2
_UNSPECIFIED = bytes(16)
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_SOLICITED_NODES = bytes.fromhex("ff0200000000000000000001ff")


def asked(frame: bytes) -> tuple[int, int] | None:
    """Return the key of the network and the question of a frame from the flows, or None."""
    if len(frame) < 14 or frame[:2] != _QUESTION:
        return None
    network, question = struct.unpack("!HH", frame[2:6])
    return network, question


def ethernet(target: bytes, source: bytes, kind: int, packet: bytes) -> bytes:
    """Return a frame."""
    return target + source + struct.pack("!H", kind) + packet


def question_about(hop: bytes, address: Address) -> bytes:
    """Return the frame by which one of our addresses asks for the MAC of *hop*."""
    if len(hop) == 4:
        return _arp(address, hop)
    to = _SOLICITED_NODES + hop[13:]
    option = bytes((_SOURCE_OPTION, 1)) + address.mac
    message = struct.pack("!BBHI", SOLICIT, 0, 0, 0) + hop + option
    packet = icmp6_packet((address.ip, to), message)
    return ethernet(_multicast(to), address.mac, ETH_IPV6, packet)


def announcement(address: Address) -> bytes:
    """Return the frame that tells everybody where an address is.

    IPv4: an ARP request of the address for itself (RFC 5227, section 2.3), which switches and
    neighbours learn from. IPv6: an unsolicited advertisement (RFC 4861, section 7.2.6).
    """
    if len(address.ip) == 4:
        return _arp(address, address.ip)
    return _advertisement(address, _ALL_NODES, _multicast(_ALL_NODES), _OVERRIDE)


def _arp(address: Address, target: bytes) -> bytes:
    body = _ARP.pack(1, 0x0800, 6, 4, REQUEST, address.mac, address.ip, bytes(6), target)
    return ethernet(ALL_MACS, address.mac, ETH_ARP, body)


def answer_to(solicitation: "Neighbour", address: Address) -> bytes:
    """Return the advertisement that answers a solicitation for one of our addresses."""
    if solicitation.source == _UNSPECIFIED:
        return announcement(address)
    flags = _SOLICITED | _OVERRIDE
    return _advertisement(address, solicitation.source, solicitation.sender, flags)


def _advertisement(address: Address, to: bytes, mac: bytes, flags: int) -> bytes:
    option = bytes((_TARGET_OPTION, 1)) + address.mac
    message = struct.pack("!BBHI", ADVERT, 0, 0, flags) + address.ip + option
    return ethernet(mac, address.mac, ETH_IPV6, icmp6_packet((address.ip, to), message))


def _multicast(group: bytes) -> bytes:
    return b"\x33\x33" + group[12:]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What an ARP reply, a solicitation or an advertisement says.

    Attributes:
        target: the address that it is about.
        mac: MAC of the target; in a solicitation of its sender.
        source: address of the sender.
        sender: MAC that the frame came from.
    """

    target: bytes
    mac: bytes
    source: bytes
    sender: bytes


def arp_reply(frame: bytes) -> Neighbour:
    """Return what an ARP reply says.

    Raises:
        Refused: it is none, or malformed.
    """
    if len(frame) < 14 + _ARP.size:
        raise Refused("arp-malformed")
    kind, protocol, hlen, plen, operation, mac, ip, _, _ = _ARP.unpack_from(frame, 14)
    if (kind, protocol, hlen, plen, operation) != (1, 0x0800, 6, 4, REPLY) or not _is_one(mac):
        raise Refused("arp-malformed")
    return Neighbour(ip, mac, ip, frame[6:12])


def discovery(frame: bytes, kind: int) -> Neighbour:
    """Return what a solicitation or an advertisement says (RFC 4861, section 7.1).

    Raises:
        Refused: it is none, or malformed.
    """
    packet = take_apart(0, frame)
    message = packet.payload
    if packet.protocol != ICMP6 or packet.hops != HOP_LIMIT or len(message) < 24:
        raise Refused("nd-malformed")
    if message[0] != kind or message[1] != 0 or message[8] == 0xFF:
        raise Refused("nd-malformed")
    wanted = _SOURCE_OPTION if kind == SOLICIT else _TARGET_OPTION
    mac = parse_nd(message[24:], "nd-malformed").get(wanted, packet.mac)[:6]
    if not _is_one(mac):
        raise Refused("nd-malformed")
    return Neighbour(message[8:24], mac, packet.source, packet.mac)


def _is_one(mac: bytes) -> bool:
    return not mac[0] & 1 and any(mac)
