"""Frames as a malicious guest would build them, byte by byte, against the real parser."""

import ipaddress
import re
import struct

import pytest

from tests.oracle.oracle import ROUTER_MAC, eui64, text
from tests.support.dummy_ovs import DummyOvs
from tests.support.showcase import HOST_1, WEB_1, WEB_2
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason

pytestmark = pytest.mark.ovs
MAC, PEER, LOCAL = text(WEB_1.mac), text(WEB_2.mac), eui64(WEB_1.mac)
SIX, ALL_NODES, ALL_NODES_MAC = "fd00:1::10", "ff02::1", "33:33:00:00:00:01"
ICMP6, DESTINATION_OPTIONS, FRAGMENT, UDP = 58, 60, 44, 17
MORE = 1


def _bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _eth(to: str, kind: int, payload: bytes) -> bytes:
    return _bytes(to) + _bytes(MAC) + struct.pack("!H", kind) + payload


def _ip6(header: int, payload: bytes, source: str = LOCAL, to: str = ALL_NODES) -> bytes:
    ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(to).packed
    return struct.pack("!IHBB", 6 << 28, len(payload), header, 255) + ends + payload


def _multicast(header: int, payload: bytes) -> bytes:
    return _eth(ALL_NODES_MAC, 0x86DD, _ip6(header, payload))


def _fragment(header: int, payload: bytes, offset: int = 0, more: int = MORE) -> bytes:
    return struct.pack("!BBHI", header, 0, offset | more, 7) + payload


def _options(header: int, length: int = 0) -> bytes:
    """A destination options header that says it is 8 * (length + 1) bytes long; 8 are there."""
    return bytes((header, length, 1, 4, 0, 0, 0, 0))


def _ip4(payload: bytes, fragment: int) -> bytes:
    fixed = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, fragment, 64, UDP, 0)
    ends = (ipaddress.IPv4Address(address).packed for address in ("10.0.1.10", "10.0.1.11"))
    return fixed + b"".join(ends) + payload


def _udp(source: int, to: int) -> bytes:
    return struct.pack("!HHHH", source, to, 16, 0) + bytes(8)


ADVERT = struct.pack("!BBHI", 134, 0, 0, 0) + bytes(8)
SOLICITED = ipaddress.IPv6Address(SIX).packed
ANSWER = struct.pack("!BBHI", 136, 0, 0, 0x2000_0000) + SOLICITED
QUESTION = struct.pack("!BBHI", 135, 0, 0, 0) + ipaddress.IPv6Address("fd00:1::11").packed
OPTION = b"\2\1" + _bytes(MAC)

FRAMES: dict[str, tuple[Reason, bytes]] = {
    "advertisement behind options": (
        Reason.ROUTER_ADVERTISEMENT,
        _multicast(DESTINATION_OPTIONS, _options(ICMP6) + ADVERT),
    ),
    "advertisement in an atomic fragment": (
        Reason.ROUTER_ADVERTISEMENT,
        _multicast(FRAGMENT, _fragment(ICMP6, ADVERT, more=0)),
    ),
    "advertisement in a first fragment": (
        Reason.ROUTER_ADVERTISEMENT,
        _multicast(FRAGMENT, _fragment(ICMP6, ADVERT[:8])),
    ),
    "options alone in the first fragment": (
        Reason.HIDDEN_HEADER,
        _multicast(FRAGMENT, _fragment(DESTINATION_OPTIONS, _options(ICMP6))),
    ),
    "half the options in the first fragment": (
        Reason.HIDDEN_HEADER,
        _multicast(FRAGMENT, _fragment(DESTINATION_OPTIONS, _options(ICMP6, 5))),
    ),
    "DHCPv6 server's port in the second fragment": (
        Reason.HIDDEN_HEADER,
        _multicast(FRAGMENT, _fragment(DESTINATION_OPTIONS, _options(UDP))),
    ),
    "solicitation whose option comes later": (
        Reason.FRAGMENTED_ND,
        _multicast(FRAGMENT, _fragment(ICMP6, QUESTION)),
    ),
    "answer whose option comes later": (
        Reason.FRAGMENTED_ND,
        _multicast(FRAGMENT, _fragment(ICMP6, ANSWER)),
    ),
    "answer with two options": (
        Reason.SPOOFED_ND,
        _multicast(ICMP6, ANSWER + OPTION + b"\2\1" + _bytes(PEER)),
    ),
    "DHCP server in a first fragment": (
        Reason.DHCP_SERVER,
        _eth(PEER, 0x0800, _ip4(_udp(67, 68), 0x2000)),
    ),
    "DHCP server by the client's port alone in a first fragment": (
        Reason.DHCP_SERVER,
        _eth(PEER, 0x0800, _ip4(_udp(1067, 68), 0x2000)),
    ),
    "DHCPv6 server in a first fragment": (
        Reason.DHCP_SERVER,
        _multicast(FRAGMENT, _fragment(UDP, _udp(547, 546))),
    ),
    "link-local source, routed": (
        Reason.UNROUTABLE_SOURCE,
        _eth(ROUTER_MAC, 0x86DD, _ip6(UDP, _udp(5, 6), to="fd00:2::10")),
    ),
    "ARP for other hardware": (
        Reason.SPOOFED_ARP,
        _eth(PEER, 0x0806, struct.pack("!HHBBH", 6, 0x0800, 8, 4, 2) + bytes(24)),
    ),
    "IPv4 as LLC says": (
        Reason.SPOOFED_IPV4,
        _eth(PEER, 48, b"\xaa\xaa\3\0\0\0\x08\0" + b"\x45" + bytes(39)),
    ),
    "spanning tree": (Reason.ETHERTYPE, _eth("01:80:c2:00:00:00", 38, b"BB\3" + bytes(35))),
}
ORDINARY = {
    "first fragment of a datagram": _eth(PEER, 0x0800, _ip4(_udp(5, 6), 0x2000)),
    "later fragment of a datagram": _eth(PEER, 0x0800, _ip4(bytes(16), 2)),
    "first fragment of a long echo": _eth(
        PEER,
        0x86DD,
        _ip6(FRAGMENT, _fragment(ICMP6, b"\x80" + bytes(15)), SIX, "fd00:1::11"),
    ),
    "later fragment of a long echo": _eth(
        PEER, 0x86DD, _ip6(FRAGMENT, _fragment(ICMP6, bytes(16), 16, 0), SIX, "fd00:1::11")
    ),
    "answer of its own": _multicast(ICMP6, ANSWER + OPTION),
}


def _trace(ovs: DummyOvs, frame: bytes) -> str:
    return ovs.control.call("ofproto/trace", "br-0", "in_port=11", frame.hex())


def _reason(shown: str) -> Reason | None:
    found = re.findall(r"set_field:(0x[0-9a-f]+)->reg6", shown)
    return Reason(int(found[-1], 16)) if found else None


@pytest.mark.parametrize("name", FRAMES)
def test_a_guest_hides_nothing(name: str, ovs: DummyOvs, fabric: Fabric) -> None:
    del fabric
    reason, frame = FRAMES[name]
    shown = _trace(ovs, frame)
    assert "Datapath actions: drop" in shown
    assert _reason(shown) is reason


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_ordinary_passes(name: str, ovs: DummyOvs, fabric: Fabric) -> None:
    assert fabric.flows(HOST_1.id)
    shown = _trace(ovs, ORDINARY[name])
    assert "Datapath actions: drop" not in shown, shown


@pytest.mark.parametrize(
    "name", ["advertisement in a first fragment", "DHCP server in a first fragment"]
)
def test_a_switch_that_was_not_told_to_look_drops(name: str, ovs: DummyOvs, fabric: Fabric) -> None:
    del fabric
    ovs.ofctl("set-frags", "br-0", "normal")
    try:
        assert _reason(_trace(ovs, FRAMES[name][1])) is Reason.HIDDEN_HEADER
    finally:
        ovs.ofctl("set-frags", "br-0", "nx-match")
