"""Tables Service and Remote: what one group's rules let in.

Service finds the cell of a packet, or of the first packet of its connection; Remote finds whether
a rule that counts in that cell lets in the remote side. A cell that lets in everybody needs no
second look. Rules that name groups need the remote address in a register. A cell with such rules of
its own copies it before it asks; for what wider ones name, it is done when nothing else was found.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Conjunction, Move, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.tables import REMOTE, SERVICE
from vpcctl.model.addresses import IPNetwork
from vpcctl.model.membership import FAMILIES
from vpcctl.model.network import Network
from vpcctl.model.security_group import (
    AddressGroupRemote,
    AnyRemote,
    Direction,
    GroupRemote,
    Rule,
    SecurityGroup,
)
from vpcctl.pipeline.cells import (
    Anybody,
    Cell,
    Line,
    Mode,
    Place,
    Precision,
    Scope,
    Side,
    is_about,
    name,
    port_masks,
    reach,
)
from vpcctl.pipeline.division import divide
from vpcctl.pipeline.terms import (
    BASE,
    NOT_LATER,
    SCTP,
    TCP,
    TRACKED,
    UDP,
    family,
    flag,
    mark,
    within,
)

MOST_CONJUNCTIONS = 4000
"""Conjunctions of one flow: 16 bytes of actions each, below 65,535 bytes. Of more, the oldest
count: the rest lets nobody in."""
ADDRESS_GROUP_ID = 1 << 31
"""Tells ids of address groups' conjunctions from those of groups'; keys are smaller."""

_DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
_PRIORITY = {one: 100 + 10 * one for one in Precision}
_BLOCKS = {one: 230 - 10 * one for one in Precision}
"""Priorities of blocks: of several rules that let in a packet, the widest counts."""
_PORTS = {TCP: f.TCP_DST, UDP: f.UDP_DST, SCTP: f.SCTP_DST}
_ADDRESSES: dict[tuple[int, Direction, bool], f.Field] = {
    (4, "ingress", False): f.CT_IPV4_SRC,
    (4, "egress", False): f.CT_IPV4_DST,
    (6, "ingress", False): f.CT_IPV6_SRC,
    (6, "egress", False): f.CT_IPV6_DST,
    (4, "ingress", True): f.IPV4_SRC,
    (4, "egress", True): f.IPV4_DST,
    (6, "ingress", True): f.IPV6_SRC,
    (6, "egress", True): f.IPV6_DST,
}
"""Where the remote side's address is, by family, rules' direction, and whether they are plain."""

STATIC: tuple[Flow, ...] = (Flow(SERVICE, 200, (flag(f.ALLOWED),), (), None, BASE),)
"""Once a group has said yes, no other is asked."""


def group(net: Network, group: SecurityGroup) -> Iterator[Flow]:
    """Yield the flows of a group.

    Stateless ones are asked about connections only where a port has stateful ones too.
    """
    lines = [
        (rule, side)
        for rule in sorted(group.rules, key=lambda rule: rule.key)
        if (side := _side(net, group, rule)) is not None
    ]
    for direction in _DIRECTIONS:
        for version in FAMILIES:
            for plain in (False, True) if _is_tracked(net, group) else (True,):
                mode = Mode(direction, version, plain)
                yield from _of_mode(group, mode, lines)


def _is_tracked(net: Network, group: SecurityGroup) -> bool:
    """Tell whether any port that has *group* may follow connections."""
    others = map(net.groups.get, net.membership.companions.get(group.id, ()))
    return group.stateful or any(other is not None and other.stateful for other in others)


def _side(net: Network, group: SecurityGroup, rule: Rule) -> Side | None:
    """Return a rule's remote side; None when it names what is not there, so lets nobody in."""
    match rule.remote:
        case AnyRemote():
            return Anybody.IT
        case GroupRemote(group_id):
            found = net.live_group(group_id, group.vpc_id)
            return None if found is None else found.key
        case AddressGroupRemote(group_id):
            named = net.live_address_group(group_id)
            return None if named is None else ADDRESS_GROUP_ID | named.key
        case block:
            if block.version != rule.family:
                return None
            return block if block.prefixlen else Anybody.IT


def _of_mode(group: SecurityGroup, mode: Mode, lines: list[Line]) -> Iterator[Flow]:
    mine = [line for line in lines if is_about(line[0], mode, stateful=group.stateful)]
    if not mine:
        return
    cells, scopes = divide(mine)
    for cell in cells:
        yield from _service(group, mode, cell)
    for scope in scopes:
        yield from _remote(group, mode, scope)


def _service(group: SecurityGroup, mode: Mode, cell: Cell) -> Iterator[Flow]:
    if cell.anybody is None:
        owner, actions = cookie(Feature.GROUP, group.key), _look(mode, cell)
    else:
        owner, actions = cookie(Feature.RULE, cell.anybody.key), _allow(group)
    asked = f.EGRESS_RULES.mask | f.PLAIN.mask
    egress = f.EGRESS_RULES.mask if mode.direction == "egress" else 0
    scope = ((f.JUDGED, egress | (f.PLAIN.mask if mode.plain else 0), asked),)
    priority = _PRIORITY[cell.place.precision]
    for terms in _inside(mode, cell.place):
        whole = match((f.GROUP, group.key, None), *scope, *_connection(mode), *terms)
        yield Flow(SERVICE, priority, whole, actions, None, owner)


def _connection(mode: Mode) -> Match:
    return (family(mode.family),) if mode.plain else (family(mode.family), TRACKED)


def _inside(mode: Mode, cell: Place) -> Iterator[Match]:
    """Yield the terms that together match what is in a cell."""
    if cell.protocol is None:
        yield ()
        return
    protocol: Term = (f.IP_PROTO if mode.plain else f.CT_PROTO, cell.protocol, None)
    if cell.precision == Precision.PROTOCOL:
        yield (protocol,)
    elif cell.protocol in _PORTS:
        field = _PORTS[cell.protocol] if mode.plain else f.CT_TP_DST
        for value, mask in port_masks(cell.first, cell.last):
            yield (protocol, (field, value, mask), *((NOT_LATER,) if mode.plain else ()))
    else:
        yield (protocol, *_message(mode, cell))


def _message(mode: Mode, cell: Place) -> Iterator[Term]:
    """Yield the terms of an ICMP message's type and code."""
    if not mode.plain:
        kind, code = f.CT_TP_SRC, f.CT_TP_DST
    elif mode.family == 4:
        kind, code = f.ICMP_TYPE, f.ICMP_CODE
    else:
        kind, code = f.ICMP6_TYPE, f.ICMP6_CODE
    yield (kind, cell.first >> 8, None)
    if cell.precision == Precision.CODE:
        yield (code, cell.first & 0xFF, None)
    if mode.plain:
        yield NOT_LATER


def _allow(group: SecurityGroup) -> tuple[Action, ...]:
    keeps = (mark(f.KEPT),) if group.keep_established else ()
    return (mark(f.ALLOWED), *keeps)


def _look(mode: Mode, cell: Cell) -> tuple[Action, ...]:
    """Return the actions that go on to Remote."""
    where = name(mode, cell.place)
    if not cell.looks_up:
        return (SetField(f.CELL, where | f.BLOCKS_ONLY.mask), Resubmit(REMOTE))
    return (SetField(f.CELL, where), _copy(mode), Resubmit(REMOTE))


def _copy(mode: Mode) -> Move:
    """Return the action by which a remote address is looked up, see ``members``."""
    register = f.LOOKUP_IPV4 if mode.family == 4 else f.LOOKUP_IPV6
    return Move(_ADDRESSES[mode.family, mode.direction, mode.plain], register, register.bits)


def _remote(group: SecurityGroup, mode: Mode, scope: Scope) -> Iterator[Flow]:
    value, mask = reach(mode, scope.place)
    whose: Term = (f.GROUP, group.key, None)
    for block, rule in scope.effect.blocks:
        here = (whose, (f.CELL, value, mask))
        terms = match(*here, *_connection(mode), *_from(mode, block))
        priority, owner = _BLOCKS[scope.place.precision], cookie(Feature.RULE, rule.key)
        yield Flow(REMOTE, priority, terms, _allow(group), None, owner)
    mask |= f.BLOCKS_ONLY.mask
    if scope.effect.named:
        cells = (f.CELL, value, None if mask == f.CELL.ones else mask)
        yield from _names(group, scope, (whose, cells))
    if scope.looks_up:
        here = (whose, (f.CELL, value | f.BLOCKS_ONLY.mask, mask))
        again = (mark(f.BLOCKS_ONLY, 0), _copy(mode), Resubmit(REMOTE))
        terms = match(*here, *_connection(mode))
        yield Flow(REMOTE, 50, terms, again, None, cookie(Feature.GROUP, group.key))


def _names(group: SecurityGroup, scope: Scope, here: Match) -> Iterator[Flow]:
    named = scope.effect.named[:MOST_CONJUNCTIONS]
    both = tuple(Conjunction(number, 2) for number, _ in named)
    yield Flow(REMOTE, 100, here, both, None, cookie(Feature.GROUP, group.key))
    for number, rule in named:
        done = ((f.CONJ_ID, number, None), *here)
        yield Flow(REMOTE, 100, done, _allow(group), None, cookie(Feature.RULE, rule.key))


def _from(mode: Mode, block: IPNetwork) -> Match:
    return within(_ADDRESSES[mode.family, mode.direction, mode.plain], block)
