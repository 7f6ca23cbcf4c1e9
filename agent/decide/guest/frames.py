"""Frames from and to br-int's internal port: Ethernet, IP, UDP and ICMPv6, no more.

Whatever comes in is checked for its lengths and checksums before a field is read: who is behind
it may be anybody. Between flows and agent a MAC names the guest (``GUEST_SERVICE_MAC``): frames
come in with it as the destination and go out with it as the source.
"""

import struct
from dataclasses import dataclass

from vpcctl.model.host import GUEST_SERVICE_MAC, too_large_for

MAX_FRAME = 1514
"""Longest frame that is looked at, bytes: no question is longer."""
ETH_IPV4, ETH_IPV6 = 0x0800, 0x86DD
TCP, UDP, ICMP6 = 6, 17, 58
HOP_LIMIT = 255
"""Hop limit of everything that must come from the link (RFC 4861)."""

_ETHERNET, _IPV4, _IPV6, _UDP = 14, 20, 40, 8
_TOO_LARGE = (too_large_for(0) >> 32).to_bytes(2, "big")
_SERVICE = (GUEST_SERVICE_MAC >> 32).to_bytes(2, "big")


class Refused(Exception):
    """A frame or question is not answered; the text is the reason that is counted."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame taken apart.

    Attributes:
        key: of the port that asks.
        mac: of the sender, 6 bytes.
        source: IP address, 4 or 16 bytes.
        target: IP address, of the same length.
        hops: TTL or hop limit.
        protocol: above IP: ``UDP`` or ``ICMP6``.
        ports: source and destination port; zeros for ICMPv6.
        payload: what follows the UDP header, or the whole ICMPv6 message.
    """

    key: int
    mac: bytes
    source: bytes
    target: bytes
    hops: int
    protocol: int
    ports: tuple[int, int]
    payload: bytes

    @property
    def is_ipv4(self) -> bool:
        """Whether it came over IPv4."""
        return len(self.source) == 4


def port_key(frame: bytes) -> int | None:
    """Return the key of the port that asks, or None when the frame names none."""
    return int.from_bytes(frame[2:6], "big") if frame[:2] == _SERVICE else None


def too_large_network(frame: bytes) -> int | None:
    """Return the key of the external network that a frame is too large for, or None."""
    return int.from_bytes(frame[8:12], "big") if frame[6:8] == _TOO_LARGE else None


def service_mac(key: int) -> bytes:
    """Return the MAC that names a port between flows and agent."""
    return _SERVICE + key.to_bytes(4, "big")


def parse(frame: bytes) -> Packet:
    """Return a guest's frame taken apart.

    Raises:
        Refused: it is not a whole, well-formed UDP datagram or ICMPv6 message.
    """
    key = port_key(frame)
    if key is None:
        raise Refused("no-port")
    return take_apart(key, frame)


def take_apart(key: int, frame: bytes) -> Packet:
    """Return a frame taken apart, whatever its destination.

    Args:
        key: of the port that asks.
        frame: from anybody.

    Raises:
        Refused: it is not a whole, well-formed UDP datagram or ICMPv6 message.
    """
    if not _ETHERNET + _IPV4 <= len(frame) <= MAX_FRAME:
        raise Refused("length")
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_IPV4:
        return _ipv4(key, frame[6:12], frame[_ETHERNET:])
    if kind == ETH_IPV6:
        return _ipv6(key, frame[6:12], frame[_ETHERNET:])
    raise Refused("protocol")


def _ipv4(key: int, mac: bytes, packet: bytes) -> Packet:
    length = (packet[0] & 15) * 4
    total, _, fragment = struct.unpack("!HHH", packet[2:8])
    if packet[0] >> 4 != 4 or length < _IPV4 or not length <= total <= len(packet):
        raise Refused("length")
    if fragment & 0x3FFF:  # more to come, or not the first
        raise Refused("fragment")
    if checksum(packet[:length]) != 0:
        raise Refused("checksum")
    if packet[9] != UDP:
        raise Refused("protocol")
    source, target = packet[12:16], packet[16:20]
    ports, payload = _udp(source, target, packet[length:total])
    return Packet(key, mac, source, target, packet[8], UDP, ports, payload)


def _ipv6(key: int, mac: bytes, packet: bytes) -> Packet:
    if len(packet) < _IPV6 or packet[0] >> 4 != 6:
        raise Refused("length")
    length, protocol, hops = struct.unpack("!HBB", packet[4:8])
    if length > len(packet) - _IPV6:
        raise Refused("length")
    source, target, body = packet[8:24], packet[24:40], packet[_IPV6 : _IPV6 + length]
    if protocol == UDP:
        ports, payload = _udp(source, target, body)
        return Packet(key, mac, source, target, hops, UDP, ports, payload)
    if protocol != ICMP6:
        raise Refused("protocol")
    if len(body) < 4:
        raise Refused("length")
    if checksum(pseudo_header(source, target, ICMP6, length) + body) != 0:
        raise Refused("checksum")
    return Packet(key, mac, source, target, hops, ICMP6, (0, 0), body)


def _udp(source: bytes, target: bytes, datagram: bytes) -> tuple[tuple[int, int], bytes]:
    if len(datagram) < _UDP:
        raise Refused("length")
    from_port, to_port, length, sum_ = struct.unpack("!HHHH", datagram[:_UDP])
    if not _UDP <= length <= len(datagram):
        raise Refused("length")
    if sum_ == 0 and len(source) == 16:  # none is for IPv4 alone (RFC 8200, section 8.1)
        raise Refused("checksum")
    pseudo = pseudo_header(source, target, UDP, length)
    # A guest that leaves checksums to its device hands on the sum of the pseudo header alone.
    unfinished = sum_ == ~checksum(pseudo) & 0xFFFF
    if sum_ and not unfinished and checksum(pseudo + datagram[:length]) != 0:
        raise Refused("checksum")
    return (from_port, to_port), datagram[_UDP:length]


def udp(
    ends: tuple[int, bytes], ips: tuple[bytes, bytes], ports: tuple[int, int], payload: bytes
) -> bytes:
    """Return the frame of a datagram to a guest.

    Args:
        ends: key of the port that gets it, and the MAC it is for.
        ips: source and target, both of 4 or 16 bytes.
        ports: source and target.
        payload: of the datagram.
    """
    length = _UDP + len(payload)
    head = struct.pack("!HHHH", *ports, length, 0)
    total = checksum(pseudo_header(*ips, UDP, length) + head + payload) or 0xFFFF
    datagram = head[:6] + struct.pack("!H", total) + payload
    if len(ips[0]) == 16:
        return _frame(ends, ETH_IPV6, _ipv6_header(ips, UDP, length) + datagram)
    header = struct.pack("!BBHHHBBH", 0x45, 0, _IPV4 + length, 0, 0, 64, UDP, 0) + ips[0] + ips[1]
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return _frame(ends, ETH_IPV4, header + datagram)


def packet_to(ends: tuple[int, bytes], packet: bytes) -> bytes:
    """Return the frame of a packet to a guest: the key of its port, and its MAC."""
    return _frame(ends, ETH_IPV4 if packet[0] >> 4 == 4 else ETH_IPV6, packet)


def icmp6(ends: tuple[int, bytes], ips: tuple[bytes, bytes], message: bytes) -> bytes:
    """Return the frame of an ICMPv6 message to a guest; its checksum is filled in."""
    return _frame(ends, ETH_IPV6, icmp6_packet(ips, message))


def icmp6_packet(ips: tuple[bytes, bytes], message: bytes) -> bytes:
    """Return the packet of an ICMPv6 message; its checksum is filled in."""
    message = message[:2] + bytes(2) + message[4:]
    total = checksum(pseudo_header(*ips, ICMP6, len(message)) + message)
    message = message[:2] + struct.pack("!H", total) + message[4:]
    return _ipv6_header(ips, ICMP6, len(message)) + message


def _frame(ends: tuple[int, bytes], kind: int, packet: bytes) -> bytes:
    key, mac = ends
    return mac + service_mac(key) + struct.pack("!H", kind) + packet


def _ipv6_header(ips: tuple[bytes, bytes], protocol: int, length: int) -> bytes:
    return struct.pack("!IHBB", 6 << 28, length, protocol, HOP_LIMIT) + ips[0] + ips[1]


def pseudo_header(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    """Return what checksums above IP cover beside the packet (RFC 768; RFC 8200, section 8.1)."""
    if len(source) == 4:
        return source + target + struct.pack("!HH", protocol, length)
    return source + target + struct.pack("!II", length, protocol)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 for data that carries its own right one."""
    padded = data + bytes(len(data) % 2)
    # 2**16 is 1 modulo 65535, so the sum of words with carries is the number modulo that.
    total = int.from_bytes(padded, "big")
    folded = total % 0xFFFF or (0xFFFF if total else 0)
    return ~folded & 0xFFFF
