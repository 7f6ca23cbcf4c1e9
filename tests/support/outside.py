"""Host states with an external network and addresses on it, and frames as flows hand them over."""

import ipaddress
import struct

from msgspec import convert

from agent.wire.state import ExternalNetworkState, HostState, OutsideAddress
from vpcctl.model.host import Question, outside_question

HOST = "host-00000000000000001"
NETWORK = "ext-00000000000000001"
KEY = 9
EIP, FIXED, EIP_MAC = "198.51.100.7", "10.0.1.20", "0a:76:00:00:00:2a"
PORT_IP, PORT_MAC = "2001:db8:1::20", "0a:77:00:00:00:2b"
PEER_MAC = bytes.fromhex("020000000009")


def network(**more: object) -> ExternalNetworkState:
    """An external network of both versions of IP."""
    values: dict[str, object] = {
        "network_id": NETWORK,
        "key": KEY,
        "provider": "public",
        "cidr": "198.51.100.0/24",
        "gateway": "198.51.100.1",
        "ipv6_cidr": "2001:db8::/64",
        "ipv6_gateway": "2001:db8::1",
    }
    return convert(values | more, ExternalNetworkState)


def eip(**more: object) -> OutsideAddress:
    """An EIP of a port of this host."""
    values: dict[str, object] = {
        "address": EIP,
        "mac": EIP_MAC,
        "network_id": NETWORK,
        "fixed_address": FIXED,
        "port_key": 43,
    }
    return convert(values | more, OutsideAddress)


def global_address(**more: object) -> OutsideAddress:
    """A global address of a port of this host."""
    values: dict[str, object] = {"address": PORT_IP, "mac": PORT_MAC, "network_id": NETWORK}
    return convert(values | more, OutsideAddress)


def state(*addresses: OutsideAddress, **more: object) -> HostState:
    """A host state."""
    values: dict[str, object] = {
        "revision": 1,
        "host_id": HOST,
        "name": "h1",
        "dpid": 1,
        "openflow_targets": (),
        "external_networks": (network(),),
        "outside_addresses": addresses,
    }
    return convert(values | more, HostState)


def packed(text: str) -> bytes:
    """An address or a MAC as bytes."""
    if text.count(":") == 5 and len(text) == 17:
        return bytes.fromhex(text.replace(":", ""))
    return ipaddress.ip_address(text).packed


def asked(question: Question, source: bytes, kind: int, packet: bytes, key: int = KEY) -> bytes:
    """A frame as flows hand it over."""
    target = outside_question(key, question).to_bytes(6, "big")
    return target + source + struct.pack("!H", kind) + packet


def udp_packet(source: str, target: str) -> bytes:
    """A datagram on its way out, as far as next hops are concerned."""
    ends = packed(source) + packed(target)
    if ":" in source:
        return struct.pack("!IHBB", 6 << 28, 8, 17, 63) + ends + bytes(8)
    return struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 63, 17, 0) + ends + bytes(8)


def arp(operation: int, sender: tuple[bytes, str], target: str) -> bytes:
    """The body of an ARP packet."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + sender[0] + packed(sender[1]) + packed(EIP_MAC) + packed(target)
