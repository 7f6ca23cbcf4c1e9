"""Flows as ``ovs-ofctl`` writes them: with tables' names for people, with numbers for the tool."""

import ipaddress

from vpcctl.flows.actions import (
    OFPP_IN_PORT,
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
from vpcctl.flows.fields import CONNECTION, Bits, Field, Form
from vpcctl.flows.flow import Flow, Term
from vpcctl.flows.tables import Table
from vpcctl.model.addresses import format_mac

_FRAGMENTS = {0: "no", 1: "first", 3: "later"}
_MASKED_FRAGMENTS = {(0, 2): "not_later", (1, 1): "yes"}
_CT_FLAGS = ("new", "est", "rel", "rpl", "inv", "trk", "snat")


def format_value(field: Field, value: int) -> str:
    """Return a value of *field* as text."""
    match field.form:
        case Form.DECIMAL:
            return str(value)
        case Form.MAC:
            return format_mac(value)
        case Form.IPV4:
            return str(ipaddress.IPv4Address(value))
        case Form.IPV6:
            return str(ipaddress.IPv6Address(value))
        case Form.FRAGMENT:
            return _FRAGMENTS[value]
        case Form.HEX | Form.CT_STATE:
            return f"{value:#x}"


def format_term(term: Term) -> str:
    """Return one term of a match as text."""
    field, value, mask = term
    if field.form is Form.CT_STATE and mask is not None:
        return f"{field.name}={_flags(value, mask)}"
    if field.form is Form.FRAGMENT and mask is not None:
        return f"{field.name}={_MASKED_FRAGMENTS[value, mask]}"
    text = f"{field.name}={format_value(field, value)}"
    return text if mask is None else f"{text}/{format_value(field, mask)}"


def _flags(value: int, mask: int) -> str:
    return "".join(
        f"{'+' if value >> bit & 1 else '-'}{name}"
        for bit, name in enumerate(_CT_FLAGS)
        if mask >> bit & 1
    )


def _span(bits: Bits) -> str:
    return f"{bits.field.name}[{bits.offset}..{bits.offset + bits.n_bits - 1}]"


def format_action(action: Action, *, names: bool = True) -> str:
    """Return one action as text."""
    match action:
        case SetField(field, value):
            return f"set_field:{format_value(field, value)}->{field.name}"
        case Load(bits, value):
            return f"load:{value:#x}->{_span(bits)}"
        case Move(src, dst, n_bits, src_offset, dst_offset):
            source = f"{src.name}[{src_offset}..{src_offset + n_bits - 1}]"
            return f"move:{source}->{dst.name}[{dst_offset}..{dst_offset + n_bits - 1}]"
        case Output(port):
            return "IN_PORT" if port == OFPP_IN_PORT else f"output:{port}"
        case Resubmit(table):
            return f"resubmit(,{_table(table, names=names)})"
        case DecTtl():
            return "dec_ttl"
        case Conjunction(number, dimension, dimensions):
            return f"conjunction({number},{dimension}/{dimensions})"
        case Track(zone, table, translate):
            nat = ",nat" if translate else ""
            return f"ct(table={_table(table, names=names)},zone={_span(zone)}{nat})"
        case Commit(zone, table, value, nat):
            marking = "" if value is None else f",exec({format_action(Load(CONNECTION, value))})"
            where, how = _table(table, names=names), "" if nat is None else f",{_nat(nat)}"
            return f"ct(commit,table={where},zone={_span(zone)}{marking}{how})"
        case ClearTracking():
            return "ct_clear"
        case Learn():
            return _learn(action, names=names)
        case BundleLoad(members, bits):
            ports = ",".join(map(str, members))
            return f"bundle_load(eth_src,0,active_backup,ofport,{_span(bits)},members:{ports})"
        case CheckLarger(length, bits):
            return f"check_pkt_larger({length})->{bits.field.name}[{bits.offset}]"
        case Multipath(fields, n, bits):
            return f"multipath({fields},0,hrw,{n},0,{_span(bits)})"


def _nat(nat: Nat) -> str:
    ends = [nat.first] if nat.last is None else [nat.first, nat.last]
    has_ports = nat.ports is not None
    shown = [f"[{one}]" if one.version == 6 and has_ports else str(one) for one in ends]
    text = "-".join(shown)
    if nat.ports is not None:
        first, last = nat.ports
        text += f":{first}" if first == last else f":{first}-{last}"
    return f"nat({'src' if nat.source else 'dst'}={text})"


def _learn(learn: Learn, *, names: bool) -> str:
    parts = [
        f"table={_table(learn.table, names=names)}",
        f"idle_timeout={learn.idle_s}",
        f"hard_timeout={learn.hard_s}",
        f"priority={learn.priority}",
        f"cookie={learn.cookie:#x}",
    ]
    for field, source in learn.match:
        value = _whole(source) if isinstance(source, Field) else format_value(field, source)
        parts.append(f"{_whole(field) if isinstance(source, Field) else field.name}={value}")
    parts += [f"load:{_whole(source)}->{_whole(field)}" for field, source in learn.loads]
    return f"learn({','.join([*parts, *(['output:in_port[0..15]'] if learn.back else [])])})"


def _whole(field: Field) -> str:
    return f"{field.name}[0..{field.bits - 1}]"


def format_unmetered(flow: Flow) -> str:
    """Return *flow* for ``ovs-ofctl`` without its meter, which would have to be there already."""
    return format_flow(flow._replace(meter=None), names=False)


def format_flow(flow: Flow, *, names: bool = True, cookie: bool = True) -> str:
    """Return *flow* as one line.

    Args:
        flow: the flow.
        names: write tables' names; ``ovs-ofctl`` needs numbers.
        cookie: write the cookie too.
    """
    parts = [f"cookie={flow.cookie:#x}"] if cookie else []
    parts.append(f"table={_table(flow.table, names=names)}")
    parts.append(f"priority={flow.priority}")
    parts += [format_term(term) for term in flow.match]
    actions = [] if flow.meter is None else [f"meter:{flow.meter.id}"]
    actions += [format_action(action, names=names) for action in flow.actions]
    if flow.goto is not None:
        actions.append(f"goto_table:{_table(flow.goto, names=names)}")
    return f"{','.join(parts)} actions={','.join(actions) or 'drop'}"


def _table(table: Table, *, names: bool) -> str:
    return table.name if names else str(table.number)
