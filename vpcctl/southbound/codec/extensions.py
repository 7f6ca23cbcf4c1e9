"""The longer ones of Open vSwitch's own actions: learning, choosing, translating; and back."""

import ipaddress
import struct
from collections.abc import Iterator
from typing import get_args

from vpcctl.flows.actions import BundleLoad, HashFields, Learn, Multipath, Nat
from vpcctl.flows.fields import Field
from vpcctl.flows.tables import BY_NUMBER
from vpcctl.model.addresses import IPAddress
from vpcctl.southbound.codec.references import OLD_IN_PORT, bits_of, field_of, old_header, span

MULTIPATH, BUNDLE_LOAD, LEARN, _NAT = 10, 13, 16, 36
"""Subtypes."""
_VENDOR, _NICIRA = 0xFFFF, 0x2320
NAT_HEAD = struct.pack("!IH", _NICIRA, _NAT)
"""How the body of a translation begins."""


def _padded(body: bytes) -> bytes:
    """Return an action whose body, from the vendor on, is *body*."""
    length = (4 + len(body) + 7) & ~7
    return struct.pack("!HH", _VENDOR, length) + body.ljust(length - 4, b"\0")


# --- translating ----------------------------------------------------------------------------------

_SOURCE, _DESTINATION = 1, 2
_IPV4, _IPV6, _PORT = 0, 2, 4
"""Where the bits of a first and of a last value are, of each kind."""


def encode_nat(nat: Nat | None) -> bytes:
    """Return the bytes of a translation; None: as the connection is."""
    if nat is None:
        return _padded(NAT_HEAD + bytes(6))
    kind = _IPV4 if nat.first.version == 4 else _IPV6
    present, values = 1 << kind, nat.first.packed
    if nat.last is not None:
        present, values = present | 2 << kind, values + nat.last.packed
    if nat.ports is not None:
        first, last = nat.ports
        present, values = present | 1 << _PORT, values + struct.pack("!H", first)
        if first != last:
            present, values = present | 2 << _PORT, values + struct.pack("!H", last)
    flags = _SOURCE if nat.source else _DESTINATION
    return _padded(NAT_HEAD + struct.pack("!2xHH", flags, present) + values)


def decode_nat(body: bytes) -> Nat | None:
    """Return the translation in *body*, which begins with the vendor.

    Raises:
        ValueError: one that is none of ours.
    """
    flags, present = struct.unpack_from("!HH", body, 8)
    if not flags and not present:
        return None
    rest, kind = body[12:], _IPV6 if present >> _IPV6 & 1 else _IPV4
    if flags not in (_SOURCE, _DESTINATION) or not present >> kind & 1:
        raise ValueError("unknown kind of translation")
    first, rest = _address(rest, kind)
    last = None
    if present >> kind & 2:
        last, rest = _address(rest, kind)
    ports = None
    if present >> _PORT & 1:
        low, high = struct.unpack_from("!HH", rest.ljust(4, b"\0"))
        ports = (low, high if present >> _PORT & 2 else low)
    return Nat(flags == _SOURCE, first, last, ports)


def _address(data: bytes, kind: int) -> tuple[IPAddress, bytes]:
    if kind == _IPV4:
        return ipaddress.IPv4Address(data[:4]), data[4:]
    return ipaddress.IPv6Address(data[:16]), data[16:]


# --- choosing -------------------------------------------------------------------------------------

_ACTIVE_BACKUP, _HRW = 0, 2
_FIELDS: dict[HashFields, int] = {"symmetric_l3l4+udp": 3, "nw_src": 4}
_BUNDLE = struct.Struct("!IHHHHIHHI4x")
"""Vendor, subtype, algorithm, hashed fields, basis, kind of members, how many, destination."""
_MULTIPATH = struct.Struct("!IHHH2xHHI2xHI")
"""Vendor, subtype, hashed fields, basis, algorithm, highest number, argument, destination."""


def encode_choice(action: BundleLoad | Multipath) -> bytes:
    """Return the bytes of a choice."""
    target = (span(action.bits), old_header(action.bits.field))
    if isinstance(action, Multipath):
        head = (_NICIRA, MULTIPATH, _FIELDS[action.fields], 0, _HRW, action.n - 1, 0)
        return _padded(_MULTIPATH.pack(*head, *target))
    count = len(action.members)
    head = (_NICIRA, BUNDLE_LOAD, _ACTIVE_BACKUP, 0, 0, OLD_IN_PORT, count)
    return _padded(_BUNDLE.pack(*head, *target) + struct.pack(f"!{count}H", *action.members))


def decode_choice(body: bytes) -> BundleLoad | Multipath:
    """Return the choice in *body*, which begins with the vendor.

    Raises:
        ValueError: one that is none of ours.
    """
    if int.from_bytes(body[4:6], "big") == MULTIPATH:
        *_, fields, basis, how, most, argument, where, header = _MULTIPATH.unpack_from(body)
        named = next((one for one in get_args(HashFields) if _FIELDS[one] == fields), None)
        if named is None or (basis, how, argument) != (0, _HRW, 0):
            raise ValueError("unknown kind of multipath")
        return Multipath(named, most + 1, bits_of(header, where))
    *_, how, fields, basis, kind, count, where, header = _BUNDLE.unpack_from(body)
    if (how, fields, basis, kind) != (_ACTIVE_BACKUP, 0, 0, OLD_IN_PORT):
        raise ValueError("unknown kind of bundle")
    return BundleLoad(struct.unpack_from(f"!{count}H", body, _BUNDLE.size), bits_of(header, where))


# --- learning -------------------------------------------------------------------------------------

_HEAD = struct.Struct("!IHHHHQHBxHH")
"""Vendor, subtype, timeouts, priority, cookie, flags, table, timeouts after a connection's end."""
_IMMEDIATE, _LOADS, _OUTPUTS = 1 << 13, 1 << 11, 2 << 11
_LENGTH = 0x7FF


def encode_learn(learn: Learn) -> bytes:
    """Return the bytes of learning."""
    timeouts = (learn.idle_s, learn.hard_s, learn.priority)
    head = (_NICIRA, LEARN, *timeouts, learn.cookie, 0, learn.table.number, 0, 0)
    specs = [_matching(field, source) for field, source in learn.match]
    specs += [_copying(field, source, _LOADS) for field, source in learn.loads]
    if learn.back:
        specs.append(struct.pack("!HIH", _OUTPUTS | 16, OLD_IN_PORT, 0))
    return _padded(_HEAD.pack(*head) + b"".join(specs))


def _matching(field: Field, source: int | Field) -> bytes:
    if isinstance(source, Field):
        return _copying(field, source, 0)
    value = source.to_bytes((field.bits + 15) // 16 * 2, "big")
    head = struct.pack("!H", _IMMEDIATE | field.bits)
    return head + value + struct.pack("!IH", old_header(field), 0)


def _copying(field: Field, source: Field, kind: int) -> bytes:
    ends = (old_header(source), 0, old_header(field), 0)
    return struct.pack("!HIHIH", kind | field.bits, *ends)


def decode_learn(body: bytes) -> Learn:
    """Return the learning in *body*, which begins with the vendor.

    Raises:
        ValueError: malformed, or one that is none of ours.
    """
    if len(body) < _HEAD.size:
        raise ValueError("truncated learning")
    *_, idle, hard, priority, cookie, flags, table, _, _ = _HEAD.unpack_from(body)
    if flags or table not in BY_NUMBER:
        raise ValueError("unknown kind of learning")
    terms: list[tuple[Field, int | Field]] = []
    loads: list[tuple[Field, Field]] = []
    back = False
    for kind, field, source in _specs(body[_HEAD.size :]):
        if kind == _OUTPUTS:
            back = True
        elif kind == _LOADS and isinstance(source, Field) and field is not None:
            loads.append((field, source))
        elif not kind and field is not None:
            terms.append((field, source))
        else:
            raise ValueError("unknown kind of learning")
    ends = (tuple(terms), tuple(loads), back)
    return Learn(BY_NUMBER[table], priority, idle, hard, cookie, *ends)


def _specs(data: bytes) -> Iterator[tuple[int, Field | None, int | Field]]:
    """Yield (kind, field that is matched or written, value or field that it comes from)."""
    at = 0
    while at + 2 <= len(data) and (head := int.from_bytes(data[at : at + 2], "big")):
        at, n_bits, kind = at + 2, head & _LENGTH, head & (_LOADS | _OUTPUTS)
        source: int | Field
        if head & _IMMEDIATE:
            size = (n_bits + 15) // 16 * 2
            source, at = int.from_bytes(data[at : at + size], "big"), at + size
        elif kind == _OUTPUTS:
            source, at = 0, at + 6
        else:
            source, at = field_of(data[at : at + 4]), at + 6
        if kind == _OUTPUTS:
            yield kind, None, source
            continue
        yield kind, field_of(data[at : at + 4]), source
        at += 6
