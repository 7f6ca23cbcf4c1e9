"""How actions refer to fields and to some bits of them, and back."""

import struct

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Bits, Field

_NXM: dict[Field, int] = {
    **dict(zip((f.ETH_DST, f.ETH_SRC, f.ETH_TYPE), (1, 2, 3), strict=True)),
    **dict(zip((f.IP_PROTO, f.IPV4_SRC, f.IPV4_DST), (6, 7, 8), strict=True)),
    **dict(zip((f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST), (9, 10, 11, 12), strict=True)),
    **dict(zip((f.ICMP_TYPE, f.ICMP_CODE), (13, 14), strict=True)),
    **dict(zip((f.ARP_OP, f.ARP_SPA, f.ARP_TPA), (15, 16, 17), strict=True)),
    **dict(zip((f.TUN_ID, f.ARP_SHA, f.ARP_THA), (0x10010, 0x10011, 0x10012), strict=True)),
    **dict(zip((f.IPV6_SRC, f.IPV6_DST), (0x10013, 0x10014), strict=True)),
    **dict(zip((f.ICMP6_TYPE, f.ICMP6_CODE), (0x10015, 0x10016), strict=True)),
    **dict(zip((f.ND_TARGET, f.ND_SLL, f.ND_TLL), (0x10017, 0x10018, 0x10019), strict=True)),
}
"""Older numbers (class << 16 | field) of some fields (``ovs-fields(7)``).

Open vSwitch writes these, where there are any, in moves and loads whatever the OpenFlow version.
"""
OLD_IN_PORT = 0x0000_0002
"""NXM_OF_IN_PORT, a port number in 16 bits."""

_BY_NXM = {number: field for field, number in _NXM.items()}


def old_header(field: Field) -> int:
    """Return the header of a field as Open vSwitch writes it in its own actions."""
    number = _NXM.get(field)
    if number is None:
        return field.header
    return number >> 16 << 16 | (number & 0x7F) << 9 | field.n_bytes


def span(bits: Bits) -> int:
    """Return where bits are in their field: offset and number less one."""
    return bits.offset << 6 | bits.n_bits - 1


_NAMED = {
    (bits.field, bits.offset, bits.n_bits): bits for bits in vars(f).values() if type(bits) is Bits
}


def bits_of(header: int, where: int) -> Bits:
    """Return the bits that a header and a ``span`` name.

    Raises:
        ValueError: of no field that the pipeline knows.
    """
    return bits(field_of(header.to_bytes(4, "big")), where >> 6, (where & 0x3F) + 1)


def bits(field: Field, offset: int, n_bits: int) -> Bits:
    """Return bits by the name that the pipeline has for them, if it has one."""
    named = _NAMED.get((field, offset, n_bits))
    name = f"{field.name}[{offset}..{offset + n_bits - 1}]"
    return named or Bits(name, field, offset, n_bits)


def field_of(header: bytes) -> Field:
    """Return the field that a header names.

    Raises:
        ValueError: none that the pipeline knows.
    """
    oxm_class, number = struct.unpack_from("!HB", header)
    field = f.BY_OXM.get((oxm_class, number >> 1))
    field = field or _BY_NXM.get(oxm_class << 16 | number >> 1)
    if field is None:
        raise ValueError(f"unknown field {oxm_class:#x}:{number >> 1}")
    return field
