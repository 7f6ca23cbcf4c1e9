"""What a flow must keep to: its table's declaration, and what a switch accepts.

Compiling does not check, because checking costs as much as compiling; every test's flows are.
"""

from vpcctl.flows.actions import (
    OFPP_IN_PORT,
    OFPP_MAX,
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
    Output,
    Resubmit,
    SetField,
    Track,
)
from vpcctl.flows.cookie import is_ours
from vpcctl.flows.fields import CONNECTION, CT_STATE, ETH_TYPE, IP_TTL, REGS, XXREGS, Field
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.meter import Meter
from vpcctl.flows.tables import Table

MAX_RATE = 0xFFFF_FFFF
MAX_FLOW_MOD = 65_535
"""Longest OpenFlow message in bytes; a longer flow-mod cannot be sent."""
_FLOW_MOD, _PADDING, _INSTRUCTION, _GOTO, _METER = 48, 8, 8, 8, 8
_ACTION_LENGTHS: dict[type, int] = {
    Move: 24,
    Load: 24,
    Output: 16,
    Resubmit: 16,
    DecTtl: 8,
    Conjunction: 16,
    Track: 40,
    Commit: 104,
    ClearTracking: 16,
    Multipath: 32,
    CheckLarger: 24,
}
_IP = (0x0800, 0x86DD)
_WIDE = {part: XXREGS[number // 4] for number, part in enumerate(REGS)}
"""The 128-bit register that each one is part of: under a mask it is matched by its parts."""


class BrokenContract(ValueError):
    """A flow does not keep to its table's declaration."""


def check(flow: Flow) -> None:
    """Check one flow.

    Raises:
        BrokenContract: it breaks its table's contract, is not canonical or would be refused.
    """
    table = flow.table
    _require(flow, 0 <= flow.priority <= 0xFFFF, "the priority has 16 bits")
    _require(flow, is_ours(flow.cookie), "the cookie lacks our mark")
    _require(flow, match(*flow.match) == flow.match, "the match is not canonical")
    for field, _, mask in flow.match:
        known = field in table.reads or _WIDE.get(field) in table.reads
        _require(flow, known, f"{table.name} does not read {field.name}")
        _require(flow, mask is None or field.maskable, f"{field.name} takes no mask")
        _require(flow, _is_met(field, flow), f"{field.name} lacks what it requires")
    for action in flow.actions:
        _check_action(flow, table, action)
    if flow.goto is not None:
        _require(flow, flow.goto.name in table.successors, f"it may not lead to {flow.goto.name}")
        _require(flow, flow.goto.number > table.number, "a goto leads forward only")
    kinds = {type(action) for action in flow.actions}
    nothing_else = flow.goto is None and flow.meter is None
    alone = Conjunction not in kinds or (len(kinds) == 1 and nothing_else)
    _require(flow, alone, "a conjunction's flow does nothing else")
    if flow.meter is not None:
        _check_meter(flow, flow.meter)
    _require(flow, encoded_length(flow) <= MAX_FLOW_MOD, "the flow-mod is too long")


def encoded_length(flow: Flow) -> int:
    """Return an upper bound of the length of *flow*'s flow-mod in bytes."""
    terms = sum(4 + field.n_bytes * (1 if mask is None else 2) for field, _, mask in flow.match)
    actions = sum(
        _padded(8 + action.field.n_bytes)
        if isinstance(action, SetField)
        else _ACTION_LENGTHS.get(type(action)) or _long(action)
        for action in flow.actions
    )
    return _FLOW_MOD + _padded(terms + _PADDING) + _METER + _INSTRUCTION + actions + _GOTO


def _check_meter(flow: Flow, meter: Meter) -> None:
    _require(flow, meter.is_ours, f"meter {meter.id} is not one of ours")
    for name, value in (("rate", meter.rate), ("burst", meter.burst)):
        _require(flow, 0 < value <= MAX_RATE, f"meter {meter.id}: {name} {value}")


def _long(action: Action) -> int:
    """Return an upper bound of the length of an action that has lists."""
    match action:
        case BundleLoad(members):
            return 40 + 2 * len(members)
        case Learn():
            return 40 + 24 * len(action.match) + 16 * len(action.loads) + 8
        case _:
            raise TypeError(action)


def _padded(length: int) -> int:
    return (length + 7) // 8 * 8


def _is_met(field: Field, flow: Flow) -> bool:
    return not field.requires or any(
        all(_holds(flow, term[0], *term[1:]) for term in needed) for needed in field.requires
    )


def _holds(flow: Flow, field: Field, value: int, mask: int | None = None) -> bool:
    """Tell whether *flow* matches nothing but packets whose *field* has *value* under *mask*."""
    wanted = field.ones if mask is None else mask
    for one, have, bits in flow.match:
        if one is field:
            seen = one.ones if bits is None else bits
            return seen & wanted == wanted and have & wanted == value
    return False


def _check_action(flow: Flow, table: Table, action: Action) -> None:
    match action:
        case SetField(field, value):
            _writes(flow, table, field)
            _require(flow, value <= field.ones, f"{field.name} has {field.bits} bits")
        case Load(bits, value):
            _writes(flow, table, bits.field)
            _require(flow, value < 1 << bits.n_bits, f"{bits.name} has {bits.n_bits} bits")
        case Move(src, dst, n_bits, src_offset, dst_offset):
            _require(flow, src in table.reads, f"{table.name} does not read {src.name}")
            _writes(flow, table, dst)
            fits = src_offset + n_bits <= src.bits and dst_offset + n_bits <= dst.bits
            _require(flow, fits, "a move reaches beyond a field")
            _require(flow, _is_met(src, flow), f"{src.name} lacks what it requires")
        case DecTtl():
            _require(flow, IP_TTL in table.writes, f"{table.name} does not write the TTL")
        case Resubmit(successor):
            _require(flow, successor.name in table.successors, f"not to {successor.name}")
        case Conjunction(number, dimension, dimensions):
            ordinary = 0 < number <= 0xFFFF_FFFF and 0 < dimension <= dimensions >= 2
            _require(flow, ordinary, "no such dimension or id")
        case Track(zone, successor):
            _tracks(flow, zone.n_bits, successor)
        case Commit(zone, successor, mark, nat):
            _tracks(flow, zone.n_bits, successor)
            fits = mark is None or 0 <= mark < 1 << CONNECTION.n_bits
            _require(flow, fits, "the mark is too wide")
            kind = None if nat is None else _IP[nat.first.version == 6]
            fits = kind is None or (mark is None and _holds(flow, ETH_TYPE, kind))
            _require(flow, fits, "only the family that is matched is translated, and not marked")
        case Learn():
            _check_learn(flow, action)
        case BundleLoad(members, bits):
            _writes(flow, table, bits.field)
            ordinary = all(0 < port < OFPP_MAX for port in members)
            _require(flow, ordinary and bits.n_bits == 16, "16 bits for one of real ports")
        case Multipath(_, n, bits):
            _writes(flow, table, bits.field)
            _require(flow, 0 < n <= 1 << 16 and bits.n_bits == 16, "16 bits for one of n numbers")
        case CheckLarger(length, bits):
            _writes(flow, table, bits.field)
            _require(flow, 0 < length <= 0xFFFF and bits.n_bits == 1, "a length and one bit")
            _require(flow, flow.actions[-1] is not action, "something has to come of it")
        case ClearTracking():
            _require(flow, CT_STATE in table.reads, f"{table.name} knows of no connections")
        case Output(port):
            _require(flow, table.outputs, f"{table.name} sends nothing out")
            ordinary = 0 < port < OFPP_MAX
            _require(flow, ordinary or port == OFPP_IN_PORT, "only real ports and IN_PORT")


def _writes(flow: Flow, table: Table, field: Field) -> None:
    _require(flow, field in table.writes, f"{table.name} does not write {field.name}")
    _require(flow, _is_met(field, flow), f"{field.name} lacks what it requires")


def _check_learn(flow: Flow, learn: Learn) -> None:
    """Check what is learned: a flow of a table that learns, with a cookie that is not ours."""
    _require(flow, learn.table.learns, f"{learn.table.name} has no learned flows")
    _require(flow, not is_ours(learn.cookie), "a learned flow is not ours")
    _require(flow, 0 < learn.hard_s <= 0xFFFF, "a learned flow has an end")
    _require(flow, learn.back <= learn.table.outputs, f"{learn.table.name} sends nothing out")
    for field, source in learn.match:
        _require(flow, field in learn.table.reads, f"{learn.table.name} does not read {field.name}")
        _require(flow, isinstance(source, int) or _is_known(source, flow), "an unknown source")
    for field, source in learn.loads:
        writes = field in learn.table.writes
        _require(flow, writes, f"{learn.table.name} does not write {field.name}")
        _require(flow, _is_known(source, flow), "an unknown source")


def _is_known(source: Field, flow: Flow) -> bool:
    return source in flow.table.reads and _is_met(source, flow)


def _tracks(flow: Flow, zone_bits: int, successor: Table) -> None:
    _require(flow, successor.name in flow.table.successors, f"not to {successor.name}")
    _require(flow, flow.goto is None, "a packet goes on where conntrack sends it")
    _require(flow, CT_STATE in flow.table.reads, f"{flow.table.name} knows of no connections")
    _require(flow, any(_holds(flow, ETH_TYPE, kind) for kind in _IP), "only IP is tracked")
    _require(flow, zone_bits == 16, "a zone has 16 bits")


def _require(flow: Flow, holds: bool, why: str) -> None:
    if not holds:
        raise BrokenContract(f"table {flow.table.name}, priority {flow.priority}: {why}")
