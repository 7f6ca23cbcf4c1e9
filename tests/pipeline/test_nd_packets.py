"""Neighbour advertisements of gateways, byte for byte as the userspace datapath sends them."""

import ipaddress
import struct
from pathlib import Path

import pytest

from tests.support.dummy_ovs import DummyOvs, wait_until
from tests.support.tracing import Fabric

pytestmark = pytest.mark.ovs
GUEST, GATEWAY = bytes.fromhex("0e0000000001"), bytes.fromhex("0e7670630001")
_PCAP_HEADER, _RECORD_HEADER = 24, 16


def packed(address: str) -> bytes:
    return ipaddress.IPv6Address(address).packed


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source: bytes, target: bytes, length: int) -> bytes:
    return source + target + struct.pack("!IHBB", length, 0, 0, 58)


def solicitation(source: str, asked: str, option: bytes) -> bytes:
    ends = packed(source), packed("ff02::1:ff00:1")
    body = struct.pack("!BBHI", 135, 0, 0, 0) + packed(asked) + option
    body = body[:2] + struct.pack("!H", checksum(pseudo(*ends, len(body)) + body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, 255)
    return bytes.fromhex("3333ff000001") + GUEST + b"\x86\xdd" + header + b"".join(ends) + body


def answer(ovs: DummyOvs, interface: str, frame: bytes) -> bytes:
    """The frame that an interface gets back."""
    capture = Path(ovs.directory, f"{interface}.pcap")
    ovs.vsctl("set", "interface", interface, f"options:tx_pcap={capture}")
    wait_until(lambda: capture.exists() and capture.stat().st_size >= _PCAP_HEADER, "no capture")
    before = capture.stat().st_size
    ovs.control.call("netdev-dummy/receive", interface, frame.hex())
    wait_until(lambda: capture.stat().st_size > before + _RECORD_HEADER, "no answer")
    return capture.read_bytes()[before + _RECORD_HEADER :]


@pytest.mark.parametrize(
    ("option", "answered"),
    [(b"\x01\x01" + GUEST, b"\x02\x01" + GATEWAY), (b"", b"")],
    ids=["with the sender's MAC", "without"],
)
def test_an_advertisement_is_valid(
    option: bytes, answered: bytes, ovs: DummyOvs, fabric: Fabric
) -> None:
    frame = answer(ovs, "br-0-11", solicitation("fd00:1::10", "fd00:1::1", option))
    ip, body = frame[14:54], frame[54:]
    assert (frame[:6], frame[6:12], frame[12:14]) == (GUEST, GATEWAY, b"\x86\xdd")
    assert (ip[7], ip[8:24], ip[24:40]) == (255, packed("fd00:1::1"), packed("fd00:1::10"))
    assert body[0:2] == bytes((136, 0))
    assert body[4:8] == bytes.fromhex("e0000000")
    assert body[8:24] == packed("fd00:1::1")
    assert body[24:] == answered
    assert checksum(pseudo(ip[8:24], ip[24:40], len(body)) + body) == 0
