"""Neighbour solicitations for a gateway → the gateway's advertisement (RFC 4861). No I/O.

Frames come from br-int's flows, which have checked the sender; everything is checked again all
the same, as a parser must not depend on who feeds it.
"""

import struct

from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import GUEST_SERVICE_MAC

MAX_FRAME = 1514
_ETHERNET, _IPV6, _SOLICITATION = 14, 40, 24
_ETH_IPV6, _ICMP6, _HOP_LIMIT = 0x86DD, 58, 255
_SOLICIT, _ADVERT = 135, 136
_TARGET_LINK_LAYER = 2
_ROUTER, _SOLICITED, _OVERRIDE = 0x8000_0000, 0x4000_0000, 0x2000_0000
_UNSPECIFIED = bytes(16)
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_GATEWAY = GATEWAY_MAC.to_bytes(6, "big")
_SERVICE = (GUEST_SERVICE_MAC >> 32).to_bytes(2, "big")


def port_key(frame: bytes) -> int | None:
    """Return the key of the port that asks, or None when the frame names none."""
    return int.from_bytes(frame[2:6], "big") if frame[:2] == _SERVICE else None


def advertisement(frame: bytes) -> bytes | None:
    """Return the frame that answers a solicitation, or None when *frame* is not a valid one.

    The answer's source MAC is the one that the question was sent to: it names the port.
    """
    body = frame[_ETHERNET + _IPV6 :]
    if port_key(frame) is None or len(frame) > MAX_FRAME or not _is_solicitation(frame, body):
        return None
    asker, target = frame[22:38], body[8:24]
    if asker == _UNSPECIFIED:
        mac, to, flags = _ALL_NODES_MAC, _ALL_NODES, _ROUTER | _OVERRIDE
    else:
        mac, to, flags = frame[6:12], asker, _ROUTER | _SOLICITED | _OVERRIDE
    option = bytes((_TARGET_LINK_LAYER, 1)) + _GATEWAY
    answer = struct.pack("!BBHI", _ADVERT, 0, 0, flags) + target + option
    total = _sum(_pseudo_header(target, to, len(answer)) + answer)
    answer = answer[:2] + struct.pack("!H", total) + answer[4:]
    header = struct.pack("!IHBB", 6 << 28, len(answer), _ICMP6, _HOP_LIMIT)
    return mac + frame[:6] + struct.pack("!H", _ETH_IPV6) + header + target + to + answer


def _is_solicitation(frame: bytes, body: bytes) -> bool:
    """Check what RFC 4861, section 7.1.1 demands, lengths first."""
    if len(body) < _SOLICITATION or frame[12:14] != struct.pack("!H", _ETH_IPV6):
        return False
    length, protocol, hops = struct.unpack("!HBB", frame[18:22])
    if frame[14] >> 4 != 6 or protocol != _ICMP6 or hops != _HOP_LIMIT:
        return False
    if not _SOLICITATION <= length <= len(body):
        return False
    message = body[:length]
    if message[0] != _SOLICIT or message[1] != 0 or message[8] == 0xFF:
        return False
    return _sum(_pseudo_header(frame[22:38], frame[38:54], length) + message) == 0


def _pseudo_header(source: bytes, target: bytes, length: int) -> bytes:
    """RFC 8200, section 8.1."""
    return source + target + struct.pack("!II", length, _ICMP6)


def _sum(data: bytes) -> int:
    """Internet checksum (RFC 1071); 0 for data that carries its own right one."""
    padded = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
