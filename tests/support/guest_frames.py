"""Frames as guests send them to their host's agent, and answers taken apart: by hand, from RFCs."""

import ipaddress
import struct
from dataclasses import dataclass

from msgspec import convert

from agent.wire.state import Guest, GuestOptions, GuestSubnet, HostState

KEY = 0x101
MAC = bytes.fromhex("060000000001")
SERVICE = bytes.fromhex("0e76") + KEY.to_bytes(4, "big")
COOKIE = bytes.fromhex("63825363")
GATEWAY_LINK_LOCAL = ipaddress.ip_address("fe80::c76:70ff:fe63:1")
LINK_LOCAL = ipaddress.ip_address("fe80::400:ff:fe00:1")
DUID = bytes.fromhex("00030001060000000001")
SERVER_DUID = bytes.fromhex("000300010e7670630001")


def state(*guests: Guest, subnet: GuestSubnet | None = None) -> HostState:
    """A host state with one subnet."""
    return HostState(
        revision=1,
        host_id="host-00000000000000001",
        name="h1",
        dpid=1,
        openflow_targets=(),
        guests=guests or (guest(),),
        guest_subnets=(subnet or block(),),
    )


def guest(key: int = KEY, mac: bytes = MAC, *addresses: str, **more: object) -> Guest:
    """A guest; without addresses it has one of each version."""
    values = {
        "port_id": f"port-{key:017x}",
        "key": key,
        "subnet_id": "subnet-00000000000000001",
        "mac": mac.hex(":"),
        "addresses": addresses or ("10.0.1.20", "fd00:1::20"),
        "host_name": "web-1",
    }
    return convert(values | more, Guest)


def block(mode: str | None = "dhcpv6-stateful", **more: object) -> GuestSubnet:
    """A subnet with both versions, or IPv4 alone."""
    six = {"ipv6_cidr": "fd00:1::/64", "ipv6_gateway": "fd00:1::1", "ipv6_mode": mode}
    values = {
        "subnet_id": "subnet-00000000000000001",
        "vpc_id": "vpc-00000000000000001",
        "cidr": "10.0.1.0/24",
        "gateway": "10.0.1.1",
        "mtu": 1450,
        **(six if mode else {}),
    }
    return convert(values | more, GuestSubnet, dec_hook=lambda kind, value: kind(value))


OPTIONS = GuestOptions(
    lease_time_s=3600,
    dns_servers=("10.0.0.2", "fd00::2"),
    domain="shop.internal",
    search=("shop.internal", "example.com"),
    ntp_servers=("10.0.0.3", "fd00::3"),
    routes=(("192.0.2.0/25", "10.0.1.9"), ("198.51.100.0/24", "10.0.1.8")),
)


def total(data: bytes) -> int:
    """The Internet checksum, the slow way."""
    words = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    value = sum(words)
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def udp(source: str, target: str, ports: tuple[int, int], payload: bytes) -> bytes:
    """An IP packet with a datagram."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    length = 8 + len(payload)
    pseudo = ends + (struct.pack("!HH", 17, length) if len(ends) == 8 else _pseudo6(17, length))
    head = struct.pack("!HHH", *ports, length)
    datagram = head + struct.pack("!H", total(pseudo + head + bytes(2) + payload)) + payload
    if len(ends) == 32:
        return struct.pack("!IHBB", 6 << 28, length, 17, 64) + ends + datagram
    header = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0, 64, 17)
    return header + struct.pack("!H", total(header + bytes(2) + ends)) + ends + datagram


def icmp6(source: str, target: str, message: bytes, hops: int = 255) -> bytes:
    """An IP packet with an ICMPv6 message, whose checksum is filled in."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    value = total(ends + _pseudo6(58, len(message)) + message[:2] + bytes(2) + message[4:])
    message = message[:2] + struct.pack("!H", value) + message[4:]
    return struct.pack("!IHBB", 6 << 28, len(message), 58, hops) + ends + message


def _pseudo6(protocol: int, length: int) -> bytes:
    return struct.pack("!II", length, protocol)


def frame(packet: bytes, mac: bytes = MAC, service: bytes = SERVICE) -> bytes:
    """A frame as br-int hands it to the agent."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return service + mac + kind + packet


def dhcp4(kind: int, *options: tuple[int, bytes], **fields: object) -> bytes:
    """A message of a DHCP client; *fields*: ciaddr, giaddr, chaddr, flags, op, xid."""
    message = bytes((int(str(fields.get("op", 1))), 1, 6, 0))
    message += bytes(fields.get("xid", b"\1\2\3\4")) + bytes(2)  # type: ignore[call-overload]
    message += struct.pack("!H", int(str(fields.get("flags", 0))))
    message += ipaddress.ip_address(str(fields.get("ciaddr", "0.0.0.0"))).packed + bytes(8)
    message += ipaddress.ip_address(str(fields.get("giaddr", "0.0.0.0"))).packed
    message += bytes(fields.get("chaddr", MAC)).ljust(16, b"\0") + bytes(192) + COOKIE  # type: ignore[call-overload]
    message += bytes((53, 1, kind))
    return message + b"".join(bytes((c, len(v))) + v for c, v in options) + b"\xff"


def from_dhcp4(message: bytes, source: str = "0.0.0.0", target: str = "255.255.255.255") -> bytes:
    """The frame of a client's message."""
    return frame(udp(source, target, (68, 67), message))


@dataclass(frozen=True)
class Datagram:
    """An answer taken apart: its checksums are right and its lengths too."""

    to_mac: bytes
    from_mac: bytes
    source: str
    target: str
    ports: tuple[int, int]
    payload: bytes


def opened(answer: bytes) -> Datagram:
    """Take an answer apart, and demand that it is well formed."""
    to_mac, from_mac, kind, packet = answer[:6], answer[6:12], answer[12:14], answer[14:]
    if kind == b"\x08\x00":
        assert total(packet[:20]) == 0
        assert int.from_bytes(packet[2:4], "big") == len(packet)
        source, target, body = packet[12:16], packet[16:20], packet[20:]
        pseudo = source + target + struct.pack("!HH", 17, len(body))
    else:
        assert int.from_bytes(packet[4:6], "big") == len(packet) - 40
        source, target, body = packet[8:24], packet[24:40], packet[40:]
        pseudo = source + target + _pseudo6(packet[6], len(body))
    assert total(pseudo + body) == 0
    ends = str(ipaddress.ip_address(source)), str(ipaddress.ip_address(target))
    if kind != b"\x08\x00" and packet[6] == 58:
        return Datagram(to_mac, from_mac, *ends, (0, 0), body)
    ports = (int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big"))
    assert int.from_bytes(body[4:6], "big") == len(body)
    return Datagram(to_mac, from_mac, *ends, ports, body[8:])


def options4(message: bytes) -> dict[int, bytes]:
    """Options of a DHCP message."""
    found: dict[int, bytes] = {}
    rest = message[240:]
    while rest[0] != 255:
        code, length = rest[0], rest[1]
        found[code] = found.get(code, b"") + rest[2 : 2 + length]
        rest = rest[2 + length :]
    return found


def options6(options: bytes) -> list[tuple[int, bytes]]:
    """Options of a DHCPv6 message, in order."""
    found: list[tuple[int, bytes]] = []
    while options:
        code, length = struct.unpack("!HH", options[:4])
        assert len(options) >= 4 + length
        found.append((code, options[4 : 4 + length]))
        options = options[4 + length :]
    return found


def option6(code: int, value: bytes) -> bytes:
    """An option of DHCPv6."""
    return struct.pack("!HH", code, len(value)) + value


def from_dhcp6(kind: int, *options: tuple[int, bytes], target: str = "ff02::1:2") -> bytes:
    """The frame of a DHCPv6 client's message."""
    message = bytes((kind,)) + b"\xab\xcd\xef" + b"".join(option6(c, v) for c, v in options)
    return frame(udp(str(LINK_LOCAL), target, (546, 547), message))
