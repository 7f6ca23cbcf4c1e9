"""ICMP errors through an EIP: the packet inside is translated as the packets themselves are.

An error (RFC 792, types 3, 11 and 12) quotes the packet that it is about. Flows translate
addresses of headers and see nothing of the quote, so whoever gets the error would find a packet
that it has never sent. RFC 5508 says what a translator owes its users here.
"""

import struct

from agent.decide.guest.frames import Refused, checksum

ICMP = 1
ERRORS = frozenset({3, 11, 12})
_HEADER, _QUOTE = 20, 8
_SOURCE, _TARGET = 12, 16
_SUMS = {6: 16, 17: 6}
"""Protocol → where its header has a checksum that covers addresses, too (ICMP's does not)."""
_UDP = 17


def inwards(packet: bytes, eip: bytes, fixed: bytes) -> bytes:
    """Return an error for an EIP as its port is to get it.

    Args:
        packet: IPv4 packet, perhaps with padding behind it.
        eip: address of the EIP, 4 bytes.
        fixed: the port's address under it.

    Raises:
        Refused: it is malformed, or not about a packet from the EIP.
    """
    return _translated(packet, (_TARGET, _SOURCE), eip, fixed)


def outwards(packet: bytes, eip: bytes, fixed: bytes) -> bytes:
    """Return an error of a port as the world is to get it.

    Args:
        packet: IPv4 packet, perhaps with padding behind it.
        eip: address of the EIP, 4 bytes.
        fixed: the port's address under it.

    Raises:
        Refused: it is malformed, or not about a packet to the port's address.
    """
    return _translated(packet, (_SOURCE, _TARGET), fixed, eip)


def _translated(packet: bytes, places: tuple[int, int], before: bytes, after: bytes) -> bytes:
    """Translate one address of the header, and one of the quoted packet's.

    Args:
        packet: the error.
        places: where in their headers the two are.
        before: what both are.
        after: what both become.
    """
    length, total = _checked(packet)
    header, message = packet[:length], packet[length:total]
    outer, inner = places
    if header[outer : outer + 4] != before or not _has(message, _QUOTE + inner, before):
        raise Refused("error-foreign")
    header = _with_sum(_replaced(header, outer, after), 10)
    quote = _quote(message[_QUOTE:], inner, after)
    return header + _with_sum(message[:_QUOTE] + quote, 2)


def _checked(packet: bytes) -> tuple[int, int]:
    """Return the lengths of the header and of the packet.

    Raises:
        Refused: it is not a whole, undamaged ICMP error that quotes an IPv4 header.
    """
    if len(packet) < _HEADER or packet[0] >> 4 != 4:
        raise Refused("error-malformed")
    length = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack_from("!HHH", packet, 2)
    if not _HEADER <= length <= total <= len(packet) or packet[9] != ICMP or fragment & 0x3FFF:
        raise Refused("error-malformed")
    message = packet[length:total]
    if len(message) < _QUOTE + _HEADER or message[0] not in ERRORS:
        raise Refused("error-malformed")
    if checksum(packet[:length]) or checksum(message):
        raise Refused("checksum")
    inner = message[_QUOTE]
    if inner >> 4 != 4 or not _HEADER <= (inner & 15) * 4 <= len(message) - _QUOTE:
        raise Refused("error-malformed")
    return length, total


def _has(data: bytes, at: int, address: bytes) -> bool:
    return data[at : at + 4] == address


def _quote(packet: bytes, place: int, after: bytes) -> bytes:
    """Return the quoted packet with another address; it is cut off anywhere behind its header."""
    before = packet[place : place + 4]
    length = (packet[0] & 15) * 4
    first = not struct.unpack_from("!H", packet, 6)[0] & 0x1FFF
    packet = _adjusted(_replaced(packet, place, after), 10, before, after)
    place_of_sum = _SUMS.get(packet[9])
    if not first or place_of_sum is None or len(packet) < length + place_of_sum + 2:
        return packet
    at = length + place_of_sum
    if packet[9] == _UDP and packet[at : at + 2] == b"\0\0":
        return packet  # none
    packet = _adjusted(packet, at, before, after)
    if packet[9] == _UDP and packet[at : at + 2] == b"\0\0":
        return _replaced(packet, at, b"\xff\xff")
    return packet


def _adjusted(packet: bytes, at: int, before: bytes, after: bytes) -> bytes:
    """Return the packet with a checksum that follows a change of what it covers (RFC 1624).

    What it covers need not be there as a whole, and one that was wrong stays wrong.
    """
    old = int.from_bytes(packet[at : at + 2], "big")
    gone = sum(~word & 0xFFFF for word in struct.unpack("!HH", before))
    total = (~old & 0xFFFF) + gone + sum(struct.unpack("!HH", after))
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    return _replaced(packet, at, struct.pack("!H", ~folded & 0xFFFF))


def _with_sum(data: bytes, at: int) -> bytes:
    data = _replaced(data, at, b"\0\0")
    return _replaced(data, at, struct.pack("!H", checksum(data)))


def _replaced(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]
