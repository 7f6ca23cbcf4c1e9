"""What the sender of a packet that is too large is told (RFC 1191, RFC 8201).

Who has sent it may be anybody: nothing is answered that RFC 1122 (section 3.2.2) or RFC 4443
(section 2.4) forbids to answer. An IPv4 packet that may be cut is answered as well, because nobody
on its way here cuts packets, and its sender can.
"""

import struct

from agent.decide.guest.frames import Refused, checksum, icmp6_packet

_ICMP, _ICMP6 = 1, 58
_UNREACHABLE, _NEEDS_CUTTING, _TOO_BIG = 3, 4, 2
_ERRORS = frozenset({3, 4, 5, 11, 12})
_HEAD4, _HEAD6, _ICMP_HEAD = 20, 40, 8
_MOST4, _MOST6 = 576, 1280
"""Longest error: everybody can get packets of that length."""
_PRECEDENCE, _WHOLE, _TTL = 0xC0, 0x4000, 64
"""Of routers' own messages (RFC 1812, section 4.3.2.5); not to be cut; hops."""


def answer(packet: bytes, mtu: int, source: bytes) -> bytes:
    """Return the packet that tells the sender of *packet* what would fit.

    Args:
        packet: IPv4 or IPv6, or the first 1,280 bytes of it.
        mtu: what would fit, bytes.
        source: address of who says so, 4 or 16 bytes.

    Raises:
        Refused: it is malformed, of another version, fits, or must not be answered.
    """
    if not packet or packet[0] >> 4 != (4 if len(source) == 4 else 6):
        raise Refused("too-large-malformed")
    return _ipv4(packet, mtu, source) if len(source) == 4 else _ipv6(packet, mtu, source)


def _ipv4(packet: bytes, mtu: int, source: bytes) -> bytes:
    length = (packet[0] & 15) * 4
    if not _HEAD4 <= length <= len(packet) or checksum(packet[:length]):
        raise Refused("too-large-malformed")
    total, _, fragment = struct.unpack_from("!HHH", packet, 2)
    sender, target = packet[12:16], packet[16:20]
    is_error = packet[9] == _ICMP and packet[length : length + 1] in map(_byte, _ERRORS)
    if total <= mtu:
        raise Refused("fits")
    if fragment & 0x1FFF or is_error or not _is_one(sender) or not _is_one(target):
        raise Refused("too-large-unanswered")
    message = struct.pack("!BBHHH", _UNREACHABLE, _NEEDS_CUTTING, 0, 0, mtu)
    message += packet[: min(total, _MOST4 - _HEAD4 - _ICMP_HEAD)]
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    whole = _HEAD4 + len(message)
    head = struct.pack("!BBHHHBBH", 0x45, _PRECEDENCE, whole, 0, _WHOLE, _TTL, _ICMP, 0)
    head += source + sender
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + message


def _ipv6(packet: bytes, mtu: int, source: bytes) -> bytes:
    if len(packet) < _HEAD6:
        raise Refused("too-large-malformed")
    total = _HEAD6 + int.from_bytes(packet[4:6], "big")
    sender, target = packet[8:24], packet[24:40]
    is_error = packet[6] == _ICMP6 and packet[_HEAD6 : _HEAD6 + 1] < b"\x80"
    if total <= mtu:
        raise Refused("fits")
    if is_error or not any(sender) or sender[0] == 0xFF or target[0] == 0xFF:
        raise Refused("too-large-unanswered")
    quote = packet[: min(total, _MOST6 - _HEAD6 - _ICMP_HEAD)]
    return icmp6_packet((source, sender), struct.pack("!BBHI", _TOO_BIG, 0, 0, mtu) + quote)


def _byte(number: int) -> bytes:
    return bytes((number,))


def _is_one(address: bytes) -> bool:
    """Tell whether an IPv4 address is one host's, as far as that can be seen."""
    return 0 < address[0] < 224 and address[0] != 127
