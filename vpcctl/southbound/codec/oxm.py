"""Terms of matches as OXM, in the order of Open vSwitch's own ``nx_put_match``.

That order is conj_id, in_port, Ethernet, IP with what it carries or ARP, tunnel, registers,
connection tracking (``nx-match.c``).
128-bit registers do not exist in a match that Open vSwitch writes: it writes the four 32-bit ones.
"""

import struct
from bisect import bisect
from collections.abc import Iterable
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field
from vpcctl.flows.flow import Match, Term
from vpcctl.flows.flow import match as canonical

_WIRE: tuple[Field, ...] = (
    *(f.CONJ_ID, f.IN_PORT),
    *(f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.VLAN_VID),
    *(f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, f.IP_FRAG, f.IP_TTL, f.IP_PROTO),
    *(f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST, f.SCTP_SRC, f.SCTP_DST),
    *(f.ICMP_TYPE, f.ICMP_CODE, f.ICMP6_TYPE, f.ICMP6_CODE),
    *(f.ND_TARGET, f.ND_RESERVED, f.ND_OPTIONS_TYPE, f.ND_SLL, f.ND_TLL),
    *(f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA),
    *(f.TUN_ID, f.TUN_SRC, f.TUN_DST, f.TUN_IPV6_SRC, f.TUN_IPV6_DST),
    *f.REGS,
    *(f.CT_STATE, f.CT_ZONE, f.CT_MARK, f.CT_IPV4_SRC, f.CT_IPV4_DST),
    *(f.CT_IPV6_SRC, f.CT_IPV6_DST, f.CT_PROTO, f.CT_TP_SRC, f.CT_TP_DST),
)
_ORDER = {field: order for order, field in enumerate(_WIRE)}
_XXREG_ORDER = {xxreg: _ORDER[f.REGS[4 * i]] for i, xxreg in enumerate(f.XXREGS)}
_WORD = 0xFFFF_FFFF
_HEAD = struct.Struct("!HH")
_PADDING = tuple(bytes(-length % 8) for length in range(8))


class _Place(NamedTuple):
    """How a field is written.

    Attributes:
        order: its place in a match.
        exact: header in front of a value.
        masked: header in front of a value and a mask.
        n: bytes of a value.
    """

    order: int
    exact: bytes
    masked: bytes
    n: int


_PLACES = {
    field: _Place(
        order,
        field.header.to_bytes(4, "big"),
        field.masked_header.to_bytes(4, "big"),
        field.n_bytes,
    )
    for field, order in _ORDER.items()
}
"""Headers, made once: most terms of a program appear once, so their bytes are not worth keeping."""


def _wide(field: Field, value: int) -> bytes:
    """Return a term of a 128-bit register as terms of its four 32-bit parts."""
    first = 4 * f.XXREGS.index(field)
    parts = (value >> shift & _WORD for shift in (96, 64, 32, 0))
    return b"".join(
        _PLACES[f.REGS[first + i]].exact + part.to_bytes(4, "big") for i, part in enumerate(parts)
    )


def encode_match(match: Match) -> bytes:
    """Return the whole ``ofp_match`` with its padding to 8 bytes."""
    orders: list[int] = []
    parts: list[bytes] = []
    last = -1
    for field, value, mask in match:
        place = _PLACES.get(field)
        if place is None:
            order, part = _XXREG_ORDER[field], _wide(field, value)
        else:
            order, exact, masked, n = place
            if mask is None:
                part = exact + value.to_bytes(n, "big")
            else:
                part = masked + value.to_bytes(n, "big") + mask.to_bytes(n, "big")
        # Few terms, mostly in order: those that are not are put in their place.
        if order > last:
            orders.append(order)
            parts.append(part)
            last = order
        else:
            at = bisect(orders, order)
            orders.insert(at, order)
            parts.insert(at, part)
    oxm = b"".join(parts)
    length = 4 + len(oxm)
    return _HEAD.pack(1, length) + oxm + _PADDING[length & 7]


def decode_match(data: bytes) -> Match:
    """Return the match in *data*, an ``ofp_match``.

    Raises:
        ValueError: malformed, or a field that the pipeline does not know.
    """
    kind, length = struct.unpack_from("!HH", data)
    if kind != 1 or length < 4 or length > len(data):
        raise ValueError("malformed match")
    return canonical(*_terms(data[4:length]))


def _terms(oxm: bytes) -> Iterable[Term]:
    position = 0
    while position < len(oxm):
        if position + 4 > len(oxm):
            raise ValueError("truncated OXM header")
        oxm_class, number, length = struct.unpack_from("!HBB", oxm, position)
        field = f.BY_OXM.get((oxm_class, number >> 1))
        body = oxm[position + 4 : position + 4 + length]
        if field is None:
            raise ValueError(f"unknown field {oxm_class:#x}:{number >> 1}")
        n = field.n_bytes
        if len(body) != (2 * n if number & 1 else n):
            raise ValueError(f"wrong length of {field.name}")
        mask = int.from_bytes(body[n:], "big") if number & 1 else None
        yield field, int.from_bytes(body[:n], "big"), mask
        position += 4 + length
