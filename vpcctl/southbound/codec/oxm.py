"""Terms of matches as OXM, in the order of Open vSwitch's own ``nx_put_match``.

That order is in_port, Ethernet, IP with what it carries or ARP, tunnel, registers (``nx-match.c``).
128-bit registers do not exist in a match that Open vSwitch writes: it writes the four 32-bit ones.
"""

import struct
from collections.abc import Iterable

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field
from vpcctl.flows.flow import Match, Term
from vpcctl.flows.flow import match as canonical

_WIRE: tuple[Field, ...] = (
    *(f.IN_PORT, f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.VLAN_VID),
    *(f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, f.IP_FRAG, f.IP_TTL, f.IP_PROTO),
    *(f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST),
    *(f.ICMP_TYPE, f.ICMP_CODE, f.ICMP6_TYPE, f.ICMP6_CODE),
    *(f.ND_TARGET, f.ND_RESERVED, f.ND_OPTIONS_TYPE, f.ND_SLL, f.ND_TLL),
    *(f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA),
    *(f.TUN_ID, f.TUN_SRC, f.TUN_DST, f.TUN_IPV6_SRC, f.TUN_IPV6_DST),
    *f.REGS,
)
_ORDER = {field: order for order, field in enumerate(_WIRE)}
_XXREG_ORDER = {xxreg: _ORDER[f.REGS[4 * i]] for i, xxreg in enumerate(f.XXREGS)}
_WORD = 0xFFFF_FFFF
_FIRST_WIDE_REGISTER = 8
"""Registers from here on are only ever used four at a time, as ``xxreg2`` and ``xxreg3``."""

Fragment = tuple[int, bytes]
"""A term's place in the match and its bytes."""


def _exact(field: Field, value: int) -> bytes:
    return struct.pack("!I", field.header) + value.to_bytes(field.n_bytes, "big")


def _masked(field: Field, value: int, mask: int) -> bytes:
    n = field.n_bytes
    return (
        struct.pack("!I", field.masked_header) + value.to_bytes(n, "big") + mask.to_bytes(n, "big")
    )


def _wide(field: Field, value: int, mask: int | None) -> bytes:
    """Return a term of a 128-bit register as terms of its four 32-bit parts."""
    first = 4 * f.XXREGS.index(field)
    whole = field.ones if mask is None else mask
    parts: list[bytes] = []
    for i, shift in enumerate((96, 64, 32, 0)):
        part, bits = value >> shift & _WORD, whole >> shift & _WORD
        register = f.REGS[first + i]
        if bits == _WORD:
            parts.append(_exact(register, part))
        elif bits:
            parts.append(_masked(register, part, bits))
    return b"".join(parts)


def encode_term(term: Term) -> Fragment:
    """Return one term's place and bytes."""
    field, value, mask = term
    if field in _XXREG_ORDER:
        return _XXREG_ORDER[field], _wide(field, value, mask)
    order = _ORDER[field]
    if mask is None:
        return order, _exact(field, value)
    return order, _masked(field, value, mask)


class TermCache(dict[Term, Fragment]):
    """Remembers terms' bytes; a program repeats most of its terms. Bounded: it starts over."""

    def __init__(self, *, limit: int = 32_768) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, term: Term) -> Fragment:
        if len(self) >= self._limit:
            self.clear()
        fragment = self[term] = encode_term(term)
        return fragment


def encode_match(match: Match, cache: TermCache) -> bytes:
    """Return the whole ``ofp_match`` with its padding to 8 bytes."""
    if len(match) > 1:
        oxm = b"".join([part for _, part in sorted([cache[term] for term in match])])
    else:
        oxm = b"".join([cache[term][1] for term in match])
    length = 4 + len(oxm)
    return b"\0\1" + length.to_bytes(2, "big") + oxm + bytes(-length % 8)


def decode_match(data: bytes) -> Match:
    """Return the match in *data*, an ``ofp_match``.

    Raises:
        ValueError: malformed, or a field that the pipeline does not know.
    """
    kind, length = struct.unpack_from("!HH", data)
    if kind != 1 or length < 4 or length > len(data):
        raise ValueError("malformed match")
    return canonical(*_widen(_terms(data[4:length])))


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


def _widen(terms: Iterable[Term]) -> list[Term]:
    """Put the parts of the 128-bit registers together again."""
    plain: list[Term] = []
    wide: dict[Field, list[int]] = {}
    for field, value, mask in terms:
        number = f.REGS.index(field) if field in f.REGS else -1
        if number < _FIRST_WIDE_REGISTER:
            plain.append((field, value, mask))
            continue
        shift = 32 * (3 - number % 4)
        entry = wide.setdefault(f.XXREGS[number // 4], [0, 0])
        entry[0] |= value << shift
        entry[1] |= (_WORD if mask is None else mask) << shift
    plain.extend((field, value, mask) for field, (value, mask) in wide.items())
    return plain
