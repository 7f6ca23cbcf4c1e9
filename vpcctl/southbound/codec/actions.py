"""Actions and instructions as OpenFlow 1.4 with Open vSwitch's extensions, and back."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import (
    Action,
    BundleLoad,
    CheckLarger,
    ClearTracking,
    Commit,
    Conjunction,
    DecTtl,
    Learn,
    Load,
    Move,
    Multipath,
    Nat,
    Output,
    Resubmit,
    SetField,
    Track,
)
from vpcctl.flows.fields import CONNECTION, Bits, Field
from vpcctl.flows.tables import BY_NUMBER, TABLES, Table
from vpcctl.southbound.codec.extensions import (
    BUNDLE_LOAD,
    LEARN,
    MULTIPATH,
    NAT_HEAD,
    decode_choice,
    decode_learn,
    decode_nat,
    encode_choice,
    encode_learn,
    encode_nat,
)
from vpcctl.southbound.codec.references import OLD_IN_PORT, bits_of, field_of, old_header, span

_OUTPUT, _DEC_TTL, _SET_FIELD, _VENDOR = 0, 24, 25, 0xFFFF
_NICIRA = 0x2320
_REG_MOVE, _REG_LOAD, _RESUBMIT_TABLE, _CONJUNCTION, _CT, _CT_CLEAR = 6, 7, 14, 34, 35, 43
_CHECK_LARGER = 49
_CT_COMMIT = 1
_IN_PORT_16 = 0xFFF8
_GOTO, _APPLY, _METER = 1, 4, 6
_MAX_BODY = 0xFF00

_GOTOS = {table: bytes((0, _GOTO, 0, 8, table.number, 0, 0, 0)) for table in TABLES}
_LOAD = struct.Struct("!HHIHHIQ")
_MOVE = struct.Struct("!HHIHHHHII")
_RESUBMIT = struct.Struct("!HHIHHB3x")
_OUT = struct.Struct("!HHIH6x")
_METERING = struct.Struct("!HHI")
_CONJ = struct.Struct("!HHIHBBI")
_TRACK = struct.Struct("!HHIHHIHB3xH")
"""Flags, zone's field, zone's span, table, application layer gateway."""
_LARGER = struct.Struct("!HHIHHHI6x")
"""Length, number of the bit, its field."""
_CLEAR = struct.pack("!HHIH6x", _VENDOR, 16, _NICIRA, _CT_CLEAR)


class _Setting(NamedTuple):
    """How a field is set: what comes before the value, its length, what comes after."""

    head: bytes
    n: int
    padding: bytes


def _setting(field: Field) -> _Setting:
    # OpenFlow forbids setting its own field of the port that a packet came in by; Open vSwitch
    # lets its older one, of 16 bits, be set.
    header, n = (OLD_IN_PORT, 2) if field is f.IN_PORT else (field.header, field.n_bytes)
    used = 8 + n
    padding = bytes(-used % 8)
    length = used + len(padding)
    head = struct.pack("!HHI", _SET_FIELD, length, header)
    return _Setting(head, n, padding)


_SETTINGS = {field: _setting(field) for field in f.FIELDS.values()}


def _set_field(action: SetField) -> bytes:
    field, value = action
    head, n, padding = _SETTINGS[field]
    return head + value.to_bytes(n, "big") + padding


def _load(action: Load) -> bytes:
    bits = action.bits
    if bits.n_bits > 64:
        raise ValueError(f"{bits.name}: a load writes at most 64 bits")
    end = (span(bits), old_header(bits.field))
    return _LOAD.pack(_VENDOR, 24, _NICIRA, _REG_LOAD, *end, action.value)


def _ct(flags: int, zone: Bits, table: int, nested: bytes = b"") -> bytes:
    head = (_VENDOR, 24 + len(nested), _NICIRA, _CT, flags)
    return _TRACK.pack(*head, old_header(zone.field), span(zone), table, 0) + nested


def _move(action: Move) -> bytes:
    spans = (action.n_bits, action.src_offset, action.dst_offset)
    ends = (old_header(action.src), old_header(action.dst))
    return _MOVE.pack(_VENDOR, 24, _NICIRA, _REG_MOVE, *spans, *ends)


def encode_action(action: Action) -> bytes:
    """Return one action's bytes.

    Raises:
        ValueError: the action has no encoding.
    """
    match action:
        case SetField():
            return _set_field(action)
        case Load():
            return _load(action)
        case Move():
            return _move(action)
        case Output(port):
            return _OUT.pack(_OUTPUT, 16, port, 0)
        case Resubmit(table):
            head = (_VENDOR, 16, _NICIRA, _RESUBMIT_TABLE, _IN_PORT_16)
            return _RESUBMIT.pack(*head, table.number)
        case DecTtl():
            return struct.pack("!HH4x", _DEC_TTL, 8)
        case Conjunction(number, dimension, dimensions):
            head = (_VENDOR, 16, _NICIRA, _CONJUNCTION)
            return _CONJ.pack(*head, dimension - 1, dimensions, number)
        case Track(zone, table, translate):
            return _ct(0, zone, table.number, encode_nat(None) if translate else b"")
        case Commit(zone, table, mark, nat):
            nested = b"" if mark is None else _load(Load(CONNECTION, mark))
            nested += b"" if nat is None else encode_nat(nat)
            return _ct(_CT_COMMIT, zone, table.number, nested)
        case ClearTracking():
            return _CLEAR
        case Learn():
            return encode_learn(action)
        case BundleLoad() | Multipath():
            return encode_choice(action)
        case CheckLarger(length, bits):
            head = (_VENDOR, 24, _NICIRA, _CHECK_LARGER)
            return _LARGER.pack(*head, length, bits.offset, old_header(bits.field))


def encode_instructions(
    actions: tuple[Action, ...], goto: Table | None, meter: int | None = None
) -> bytes:
    """Return a flow's instructions: meter, apply-actions, goto-table; none of the last two drops.

    Raises:
        ValueError: more actions than one message holds.
    """
    jump = b"" if goto is None else _GOTOS[goto]
    head = b"" if meter is None else _METERING.pack(_METER, 8, meter)
    if not actions:
        return head + jump
    body = b"".join(
        [
            _set_field(action) if type(action) is SetField else encode_action(action)
            for action in actions
        ]
    )
    if len(body) > _MAX_BODY:
        raise ValueError(f"{len(body)} bytes of actions")
    return head + b"\0\4" + (len(body) + 8).to_bytes(2, "big") + b"\0\0\0\0" + body + jump


def decode_instructions(data: bytes) -> tuple[tuple[Action, ...], Table | None, int | None]:
    """Return actions, goto and the number of the meter.

    Raises:
        ValueError: malformed, or nothing that a flow of ours could hold.
    """
    actions: tuple[Action, ...] = ()
    goto: Table | None = None
    meter: int | None = None
    for kind, body in _records(data):
        if kind == _APPLY:
            actions = tuple(decode_action(*record) for record in _records(body[4:]))
        elif kind == _GOTO and body[0] in BY_NUMBER:
            goto = BY_NUMBER[body[0]]
        elif kind == _METER and len(body) == 4:
            meter = int.from_bytes(body, "big")
        else:
            raise ValueError(f"unknown instruction {kind}")
    return actions, goto, meter


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, body after type and length) of a list of type-length records."""
    position = 0
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("truncated record")
        kind, length = struct.unpack_from("!HH", data, position)
        if length < 8 or position + length > len(data):
            raise ValueError("wrong length of a record")
        yield kind, data[position + 4 : position + length]
        position += length


def decode_action(kind: int, body: bytes) -> Action:
    """Return the action of type *kind* whose bytes after type and length are *body*.

    Raises:
        ValueError: not an action that the pipeline knows.
    """
    if kind == _OUTPUT:
        return Output(int.from_bytes(body[:4], "big"))
    if kind == _DEC_TTL:
        return DecTtl()
    if kind == _SET_FIELD:
        if body[:4] == OLD_IN_PORT.to_bytes(4, "big"):
            return SetField(f.IN_PORT, int.from_bytes(body[4:6], "big"))
        field = field_of(body[:4])
        return SetField(field, int.from_bytes(body[4 : 4 + field.n_bytes], "big"))
    if kind == _VENDOR and len(body) >= 12:
        return _decode_nicira(body)
    raise ValueError(f"unknown action {kind}")


def _decode_nicira(body: bytes) -> Action:
    vendor, subtype = struct.unpack_from("!IH", body)
    if vendor != _NICIRA:
        raise ValueError(f"unknown vendor {vendor:#x}")
    if subtype == _REG_LOAD and len(body) == 20:
        where, header, value = struct.unpack_from("!HIQ", body, 6)
        return Load(bits_of(header, where), value)
    if subtype == _REG_MOVE and len(body) == 20:
        n_bits, source, target = struct.unpack_from("!HHH", body, 6)
        return Move(field_of(body[12:16]), field_of(body[16:20]), n_bits, source, target)
    if subtype == _RESUBMIT_TABLE and body[8] in BY_NUMBER:
        return Resubmit(BY_NUMBER[body[8]])
    if subtype == _CONJUNCTION and len(body) == 12:
        dimension, dimensions, number = struct.unpack_from("!BBI", body, 6)
        return Conjunction(number, dimension + 1, dimensions)
    if subtype == _CT and len(body) >= 20:
        return _decode_ct(body)
    if subtype == _CT_CLEAR:
        return ClearTracking()
    if subtype == _CHECK_LARGER and len(body) == 20:
        length, offset, header = struct.unpack_from("!HHI", body, 6)
        return CheckLarger(length, bits_of(header, offset << 6))
    if subtype == LEARN:
        return decode_learn(body)
    if subtype in (BUNDLE_LOAD, MULTIPATH):
        return decode_choice(body)
    raise ValueError(f"unknown Nicira action {subtype}")


def _decode_ct(body: bytes) -> Action:
    flags, header, where, table = struct.unpack_from("!HIHB", body, 6)
    zone = bits_of(header, where)
    nested = [_decode_nested(*record) for record in _records(body[20:])]
    match (flags, nested):
        case (0, [None]) if table in BY_NUMBER:
            return Track(zone, BY_NUMBER[table], translate=True)
        case (1, [Nat() as nat]) if table in BY_NUMBER:
            return Commit(zone, BY_NUMBER[table], nat=nat)
        case (0, []) if table in BY_NUMBER:
            return Track(zone, BY_NUMBER[table])
        case (1, []) if table in BY_NUMBER:
            return Commit(zone, BY_NUMBER[table])
        case (1, [Load(bits, mark)]) if bits is CONNECTION and table in BY_NUMBER:
            return Commit(zone, BY_NUMBER[table], mark)
        case _:
            raise ValueError("unknown kind of tracking")


def _decode_nested(kind: int, body: bytes) -> Action | Nat | None:
    """Return an action of a ``ct``'s own; None for one that translates as the connection is."""
    if kind == _VENDOR and body[:6] == NAT_HEAD:
        return decode_nat(body)
    return decode_action(kind, body)
