"""Neighbour solicitations for a gateway → the gateway's advertisement (RFC 4861). No I/O.

Frames come from br-int's flows, which have checked the sender; everything is checked again all
the same, as a parser must not depend on who feeds it.
"""

import struct

from agent.decide.guest.frames import ICMP6, MAX_FRAME, checksum, icmp6, port_key, pseudo_header
from vpcctl.model.addresses import GATEWAY_MAC

_ETHERNET, _IPV6, _SOLICITATION = 14, 40, 24
_ETH_IPV6, _HOP_LIMIT = 0x86DD, 255
_SOLICIT, _ADVERT = 135, 136
_TARGET_LINK_LAYER = 2
_ROUTER, _SOLICITED, _OVERRIDE = 0x8000_0000, 0x4000_0000, 0x2000_0000
_UNSPECIFIED = bytes(16)
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_GATEWAY = GATEWAY_MAC.to_bytes(6, "big")


def advertisement(frame: bytes) -> bytes | None:
    """Return the frame that answers a solicitation, or None when *frame* is not a valid one.

    The answer's source MAC is the one that the question was sent to: it names the port.
    """
    body = frame[_ETHERNET + _IPV6 :]
    key = port_key(frame)
    if key is None or len(frame) > MAX_FRAME or not _is_solicitation(frame, body):
        return None
    asker, target = frame[22:38], body[8:24]
    if asker == _UNSPECIFIED:
        mac, to, flags = _ALL_NODES_MAC, _ALL_NODES, _ROUTER | _OVERRIDE
    else:
        mac, to, flags = frame[6:12], asker, _ROUTER | _SOLICITED | _OVERRIDE
    option = bytes((_TARGET_LINK_LAYER, 1)) + _GATEWAY
    answer = struct.pack("!BBHI", _ADVERT, 0, 0, flags) + target + option
    return icmp6((key, mac), (target, to), answer)


def _is_solicitation(frame: bytes, body: bytes) -> bool:
    """Check what RFC 4861, section 7.1.1 demands, lengths first."""
    if len(body) < _SOLICITATION or frame[12:14] != struct.pack("!H", _ETH_IPV6):
        return False
    length, protocol, hops = struct.unpack("!HBB", frame[18:22])
    if frame[14] >> 4 != 6 or protocol != ICMP6 or hops != _HOP_LIMIT:
        return False
    if not _SOLICITATION <= length <= len(body):
        return False
    message = body[:length]
    if message[0] != _SOLICIT or message[1] != 0 or message[8] == 0xFF:
        return False
    return checksum(pseudo_header(frame[22:38], frame[38:54], ICMP6, length) + message) == 0
