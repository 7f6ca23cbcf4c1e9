"""IPv4 packets and ICMP errors about them, built from scratch by the RFCs: an oracle for those who
translate them. Checksums are summed word by word, and always over everything that they cover.
"""

import struct
from dataclasses import dataclass

ICMP, TCP, UDP, SCTP = 1, 6, 17, 132


@dataclass(frozen=True)
class Inner:
    """A packet that an error is about.

    Attributes:
        protocol: above IP.
        source: address, 4 bytes.
        target: address, 4 bytes.
        body: what follows the ports or the ICMP header.
        options: of the IP header, a multiple of 4 bytes.
        offset: of the fragment, in units of 8 bytes; the body is all that it has then.
        summed: whether a UDP datagram has a checksum.
    """

    protocol: int
    source: bytes
    target: bytes
    body: bytes = b""
    options: bytes = b""
    offset: int = 0
    summed: bool = True


def sum_of(data: bytes) -> int:
    """The Internet checksum (RFC 1071), one word after the other."""
    total = 0
    for at in range(0, len(data) + len(data) % 2, 2):
        total += int.from_bytes((data[at : at + 2] + b"\0")[:2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(
    protocol: int, ends: tuple[bytes, bytes], body: bytes, options: bytes = b"", offset: int = 0
) -> bytes:
    """An IPv4 packet."""
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHH", 0x40 | words, 0, words * 4 + len(body), 0x1234, offset)
    tail = ends[0] + ends[1] + options
    total = sum_of(head + struct.pack("!BBH", 61, protocol, 0) + tail)
    return head + struct.pack("!BBH", 61, protocol, total) + tail + body


def packet(inner: Inner) -> bytes:
    """The packet, whole."""
    ends = inner.source, inner.target
    body = inner.body if inner.offset else _transport(inner)
    return ip(inner.protocol, ends, body, inner.options, inner.offset)


def _transport(inner: Inner) -> bytes:
    pseudo = inner.source + inner.target + struct.pack("!BB", 0, inner.protocol)
    if inner.protocol == TCP:
        head = struct.pack("!HHIIBBH", 4321, 80, 7, 9, 0x50, 0x18, 1000)
        data = pseudo + struct.pack("!H", 20 + len(inner.body))
        total = sum_of(data + head + bytes(4) + inner.body)
        return head + struct.pack("!HH", total, 0) + inner.body
    if inner.protocol == UDP:
        length = 8 + len(inner.body)
        head = struct.pack("!HHH", 5000, 53, length)
        total = sum_of(pseudo + struct.pack("!H", length) + head + bytes(2) + inner.body)
        return head + struct.pack("!H", (total or 0xFFFF) if inner.summed else 0) + inner.body
    if inner.protocol == ICMP:
        head = struct.pack("!BBHHH", 8, 0, 0, 77, 3)
        return head[:2] + struct.pack("!H", sum_of(head + inner.body)) + head[4:] + inner.body
    return struct.pack("!HHI", 1, 2, 3) + inner.body


def error(kind: int, ends: tuple[bytes, bytes], quote: bytes, options: bytes = b"") -> bytes:
    """The ICMP error from one end to the other that quotes some bytes."""
    message = struct.pack("!BBHI", kind, 1, 0, 1400) + quote
    message = message[:2] + struct.pack("!H", sum_of(message)) + message[4:]
    return ip(ICMP, ends, message, options)
