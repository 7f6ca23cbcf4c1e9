"""Neighbour solicitations for a gateway → the gateway's advertisement (RFC 4861). No I/O.

Frames come from br-int's flows, which have checked the sender; everything is checked again all
the same, as a parser must not depend on who feeds it.
"""

import struct

from agent.decide.guest.frames import HOP_LIMIT, ICMP6, Packet, Refused, icmp6, parse
from agent.decide.guest.options import parse_nd
from vpcctl.model.addresses import GATEWAY_MAC

_SOLICITATION = 24
_SOLICIT, _ADVERT = 135, 136
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2
_ROUTER, _SOLICITED, _OVERRIDE = 0x8000_0000, 0x4000_0000, 0x2000_0000
_UNSPECIFIED = bytes(16)
_SOLICITED_NODES = bytes.fromhex("ff0200000000000000000001ff")
"""What all solicited-node addresses begin with (RFC 4291, section 2.7.1)."""
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_GATEWAY = GATEWAY_MAC.to_bytes(6, "big")
_MALFORMED = "nd-malformed"


def advertisement(frame: bytes) -> bytes | None:
    """Return the frame that answers a solicitation, or None when *frame* is not a valid one.

    The answer's source MAC is the one that the question was sent to: it names the port.
    """
    try:
        packet = parse(frame)
        _check(packet)
    except Refused:
        return None
    if packet.source == _UNSPECIFIED:
        mac, to, flags = _ALL_NODES_MAC, _ALL_NODES, _ROUTER | _OVERRIDE
    else:
        mac, to, flags = packet.mac, packet.source, _ROUTER | _SOLICITED | _OVERRIDE
    target = packet.payload[8:_SOLICITATION]
    option = bytes((_TARGET_LINK_LAYER, 1)) + _GATEWAY
    answer = struct.pack("!BBHI", _ADVERT, 0, 0, flags) + target + option
    return icmp6((packet.key, mac), (target, to), answer)


def _check(packet: Packet) -> None:
    """Check what RFC 4861, section 7.1.1 demands of a whole packet.

    Raises:
        Refused: something of it does not hold.
    """
    message = packet.payload
    if packet.protocol != ICMP6 or packet.hops != HOP_LIMIT or len(message) < _SOLICITATION:
        raise Refused(_MALFORMED)
    if message[0] != _SOLICIT or message[1] != 0 or message[8] == 0xFF:
        raise Refused(_MALFORMED)
    options = parse_nd(message[_SOLICITATION:], _MALFORMED)
    if packet.source != _UNSPECIFIED:
        return
    if _SOURCE_LINK_LAYER in options or not packet.target.startswith(_SOLICITED_NODES):
        raise Refused(_MALFORMED)
