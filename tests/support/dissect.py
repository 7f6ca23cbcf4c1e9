"""What is in a frame, in the names of ``ovs-fields(7)``, its checksums checked."""

import ipaddress
import struct

from tests.support.frames import checksum

Packet = dict[str, str]


def dissect(frame: bytes) -> Packet:
    """The headers of *frame*.

    Raises:
        AssertionError: a checksum is wrong.
    """
    (kind,) = struct.unpack_from("!H", frame, 12)
    found = {"eth_dst": _mac(frame[:6]), "eth_src": _mac(frame[6:12])}
    if kind == 0x0806:
        return found | _arp(frame[14:])
    if kind == 0x0800:
        return found | ipv4(frame[14:])
    if kind == 0x86DD:
        return found | _ipv6(frame[14:])
    return found


def _mac(data: bytes) -> str:
    return data.hex(":")


def _arp(data: bytes) -> Packet:
    (op,) = struct.unpack_from("!H", data, 6)
    return {
        "arp_op": str(op),
        "arp_sha": _mac(data[8:14]),
        "arp_spa": str(ipaddress.IPv4Address(data[14:18])),
        "arp_tha": _mac(data[18:24]),
        "arp_tpa": str(ipaddress.IPv4Address(data[24:28])),
    }


def ipv4(data: bytes) -> Packet:
    """The headers of an IPv4 packet."""
    size = (data[0] & 15) * 4
    assert checksum(data[:size]) == 0, "wrong checksum of an IPv4 header"
    (length,) = struct.unpack_from("!H", data, 2)
    found = {
        "nw_src": str(ipaddress.IPv4Address(data[12:16])),
        "nw_dst": str(ipaddress.IPv4Address(data[16:20])),
        "nw_proto": str(data[9]),
        "nw_ttl": str(data[8]),
    }
    fragment = struct.unpack_from("!H", data, 6)[0] & 0x3FFF
    if fragment:
        return found
    return found | _above(data[9], data[12:20], data[size:length])


def _ipv6(data: bytes) -> Packet:
    (length,) = struct.unpack_from("!H", data, 4)
    found = {
        "ipv6_src": str(ipaddress.IPv6Address(data[8:24])),
        "ipv6_dst": str(ipaddress.IPv6Address(data[24:40])),
        "nw_proto": str(data[6]),
        "nw_ttl": str(data[7]),
    }
    return found | _above(data[6], data[8:40], data[40 : 40 + length])


def _above(protocol: int, ends: bytes, body: bytes) -> Packet:
    if protocol == 1:
        assert checksum(body) == 0, "wrong checksum of an ICMP message"
        return {"icmp_type": str(body[0]), "icmp_code": str(body[1])}
    pseudo = ends + struct.pack("!II", len(body), protocol)
    if protocol in (6, 17, 58):
        assert checksum(pseudo + body) == 0, f"wrong checksum of protocol {protocol}"
    if protocol == 58:
        return {"icmpv6_type": str(body[0]), "icmpv6_code": str(body[1])}
    if protocol in (6, 17):
        source, to = struct.unpack_from("!HH", body)
        return {"tp_src": str(source), "tp_dst": str(to)}
    return {}
