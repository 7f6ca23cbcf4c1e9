"""Frames byte by byte, with all their checksums right."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass

TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
SYN, RST, ACK, SYN_ACK = 0x02, 0x04, 0x10, 0x12


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Ends:
    """Who sends to whom: MACs and addresses of one family."""

    eth: tuple[str, str]
    ip: tuple[str, str]

    def back(self) -> "Ends":
        return Ends((self.eth[1], self.eth[0]), (self.ip[1], self.ip[0]))

    @property
    def packed(self) -> bytes:
        return b"".join(ipaddress.ip_address(one).packed for one in self.ip)

    @property
    def version(self) -> int:
        return ipaddress.ip_address(self.ip[0]).version


def _summed(ends: Ends, protocol: int, body: bytes, at: int) -> bytes:
    """*body* with its checksum, which covers the pseudo-header, written at byte *at*."""
    pseudo = ends.packed + struct.pack("!II", len(body), protocol)
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]


def tcp(ends: Ends, ports: tuple[int, int], flags: int = SYN, numbers=(1, 0)) -> bytes:
    """A TCP segment without data."""
    head = struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 8192, 0, 0)
    return ip(ends, TCP, _summed(ends, TCP, head, 16))


def ports(source: int, to: int) -> bytes:
    """The first bytes of TCP, UDP and SCTP alike."""
    return struct.pack("!HH", source, to)


def udp_payload(ends: Ends, ports: tuple[int, int], data: bytes = b"data") -> bytes:
    head = struct.pack("!HHHH", *ports, 8 + len(data), 0)
    return _summed(ends, UDP, head + data, 6)


def udp(ends: Ends, ports: tuple[int, int], data: bytes = b"data") -> bytes:
    """A UDP datagram."""
    return ip(ends, UDP, udp_payload(ends, ports, data))


def icmp(
    ends: Ends, kind: int, code: int = 0, rest: bytes = b"\0\7\0\1data", hops: int | None = None
) -> bytes:
    """An ICMP message of the ends' family; IPv6's *hops* are those it should have, if not given."""
    body = struct.pack("!BBH", kind, code, 0) + rest
    if ends.version == 6:
        if hops is None:
            hops = 255 if 133 <= kind <= 137 else 64  # as neighbour discovery demands
        return ip(ends, ICMP6, _summed(ends, ICMP6, body, 2), hops=hops)
    return ip(ends, ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def arp(op: int, eth: tuple[str, str], sender: tuple[str, str], target: tuple[str, str]) -> bytes:
    """An ARP packet; *sender* and *target* are (MAC, address)."""
    ends = ((mac, ipaddress.IPv4Address(address).packed) for mac, address in (sender, target))
    body = b"".join(bytes.fromhex(mac.replace(":", "")) + address for mac, address in ends)
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return _framed(Ends(eth, ("0.0.0.0", "0.0.0.0")), 0x0806, head + body)


def unreachable(ends: Ends, about: bytes) -> bytes:
    """An ICMP port unreachable that quotes a frame."""
    quoted = about[14:]
    kind, code = (1, 4) if ends.version == 6 else (3, 3)
    return icmp(ends, kind, code, bytes(4) + quoted)


def ip(
    ends: Ends, protocol: int, payload: bytes, fragment: int = 0, ident: int = 7, hops: int = 64
) -> bytes:
    """A packet in its frame; *fragment* are IPv4's flags and offset as in its header."""
    if ends.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + ends.packed
        return _framed(ends, 0x86DD, head + payload)
    fixed = (0x45, 0, 20 + len(payload), ident, fragment, hops, protocol)
    head = struct.pack("!BBHHHBBH", *fixed, 0) + ends.packed
    head = struct.pack("!BBHHHBBH", *fixed, checksum(head)) + ends.packed
    return _framed(ends, 0x0800, head + payload)


def fragments(ends: Ends, protocol: int, payload: bytes, ident: int = 7) -> Iterator[bytes]:
    """The packet in pieces; Open vSwitch takes none but the last below 1200 bytes."""
    size = 1280
    for start in range(0, len(payload), size):
        part, more = payload[start : start + size], start + size < len(payload)
        if ends.version == 6:
            head = struct.pack("!BBHI", protocol, 0, start | more, ident)
            yield ip(ends, 44, head + part)
        else:
            yield ip(ends, protocol, part, start >> 3 | more << 13, ident)


def _framed(ends: Ends, kind: int, payload: bytes) -> bytes:
    source, to = (bytes.fromhex(mac.replace(":", "")) for mac in ends.eth)
    return to + source + struct.pack("!H", kind) + payload
