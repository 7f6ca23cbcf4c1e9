"""Cells: what protocols and ports a group's rules tell apart, and how cells are told from others.

The same rules apply everywhere in a cell. Cells are nested at most three deep: all protocols, a
protocol, a range of its ports or a type of its messages, a code of such a type. A packet is in the
innermost one. A rule is written once, for its scope: all cells that lie in what it is about, known
by what their names have in common. See ``division`` for how rules become cells and scopes.
"""

import enum
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vpcctl.flows.fields import BLOCKS_ONLY, CELL
from vpcctl.model.addresses import IPNetwork
from vpcctl.model.membership import blocks_within, distinct_blocks
from vpcctl.model.security_group import Direction, Family, Rule
from vpcctl.pipeline.terms import ICMP, ICMP6, SCTP, TCP, UDP

PORTED = frozenset({TCP, UDP, SCTP})
PLAIN_PROTOCOLS: dict[Family, frozenset[int]] = {4: frozenset({0, SCTP}), 6: frozenset({SCTP})}
"""Protocols that are judged packet by packet: the userspace datapath follows SCTP without its
ports, and of a connection of protocol 0 Open vSwitch tells no addresses, nor dumps a match on it.
Of IPv6 that number is an extension header's, so no packet is of it."""
TRACKED_TYPES: dict[Family, frozenset[int]] = {
    4: frozenset({0, 3, 4, 5, 8, 11, 12, 13, 14}),
    6: frozenset({1, 2, 3, 4, 128, 129}),
}
"""Types of ICMP messages that conntrack follows: echo, timestamps, and errors about connections."""


class Anybody(enum.Enum):
    """The remote side that everybody is."""

    IT = 0


Side = Anybody | IPNetwork | int
"""A rule's remote side; a number is a conjunction's id."""
Line = tuple[Rule, Side]


class Mode(NamedTuple):
    """How rules are asked.

    Attributes:
        direction: rules of which direction.
        family: about packets of which family.
        plain: whether each packet is judged by itself, and not the connection it belongs to.
    """

    direction: Direction
    family: Family
    plain: bool


class Precision(enum.IntEnum):
    """How much of a packet decides that it is in a cell."""

    FAMILY = 0
    PROTOCOL = 1
    PART = 2
    """A range of ports, or a type of ICMP messages."""
    CODE = 3


class Effect(NamedTuple):
    """Whom rules let in, and which does; of several that let in the same, the oldest.

    Attributes:
        anybody: the rule that lets in all; then there is nothing else.
        blocks: rules by block, no block within another.
        named: rules by conjunction id.
    """

    anybody: Rule | None
    blocks: tuple[tuple[IPNetwork, Rule], ...] = ()
    named: tuple[tuple[int, Rule], ...] = ()


class Place(NamedTuple):
    """Some of all packets.

    Attributes:
        protocol: number, or None for all.
        precision: what is meant by the next two.
        first: first port; of ICMP the type in the high 8 bits and the code in the low ones.
        last: last port, or the last type and code.
    """

    protocol: int | None
    precision: Precision
    first: int = 0
    last: int = 0


class Cell(NamedTuple):
    """One cell.

    Attributes:
        place: what is in it.
        anybody: the rule that lets in everybody, so that nothing else need be asked.
        looks_up: whether rules of just this cell name groups, whose members are looked up.
    """

    place: Place
    anybody: Rule | None = None
    looks_up: bool = False


class Scope(NamedTuple):
    """Rules that count in the same cells.

    Attributes:
        place: what the cells lie in. Of ports, it is cells' first ones that lie between its first
            and its last one, and these differ in nothing but some of the lowest bits.
        effect: whom the rules let in, others than those of scopes around this one.
        looks_up: whether they name groups, and cells are in it that may not have looked up.
    """

    place: Place
    effect: Effect
    looks_up: bool


class Division(NamedTuple):
    """What becomes of rules: cells, and scopes of those cells that do not let everybody in."""

    cells: tuple[Cell, ...] = ()
    scopes: tuple[Scope, ...] = ()


_MODE, _PROTOCOL, _NAME = 0x7 << 26, 0xFF << 16, CELL.ones ^ BLOCKS_ONLY.mask
_CODE = (Precision.CODE ^ Precision.PART) << 24


def name(mode: Mode, place: Place) -> int:
    """Return the number that tells a cell from all others of its group, whatever they are."""
    egress = mode.direction == "egress"
    head = egress << 28 | (mode.family == 6) << 27 | mode.plain << 26 | place.precision << 24
    return head | (place.protocol or 0) << 16 | place.first


def reach(mode: Mode, place: Place) -> tuple[int, int]:
    """Return the value and the mask that match the names of the cells in *place*, and no others."""
    mask = _NAME ^ (place.first ^ place.last)
    if place.precision == Precision.FAMILY:
        mask = _MODE
    elif place.precision == Precision.PROTOCOL and place.protocol:
        mask = _MODE | _PROTOCOL  # of protocol 0 there are no parts, and 0 stands for all as well
    elif place.first != place.last:
        mask &= ~_CODE
    return name(mode, place) & mask, mask


def port_masks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the fewest (value, mask) of 16 bits that are together the range *first* to *last*."""
    while first <= last:
        size = first & -first or 0x1_0000
        while first + size - 1 > last:
            size >>= 1
        yield first, 0x1_0000 - size
        first += size


def is_about(rule: Rule, mode: Mode, *, stateful: bool) -> bool:
    """Tell whether a group's rule is asked in *mode*.

    Both kinds of groups are asked about connections: stateless ones on ports that have stateful
    ones too. Stateless groups judge every packet by itself as well; stateful ones only those whose
    connection is not followed, or not by all datapaths: SCTP, protocol 0, and most ICMP messages.
    """
    if (rule.direction, rule.family) != (mode.direction, mode.family) or not _makes_sense(rule):
        return False
    if mode.plain:
        return not stateful or _is_about_the_untracked(rule)
    return _is_about_the_tracked(rule)


def _is_about_the_tracked(rule: Rule) -> bool:
    if rule.protocol in PLAIN_PROTOCOLS[rule.family]:
        return False
    return rule.icmp_type is None or rule.icmp_type in TRACKED_TYPES[rule.family]


def _is_about_the_untracked(rule: Rule) -> bool:
    if rule.protocol is None or rule.protocol in PLAIN_PROTOCOLS[rule.family]:
        return True
    untracked = rule.icmp_type is None or rule.icmp_type not in TRACKED_TYPES[rule.family]
    return _is_icmp(rule) and untracked


def _is_icmp(rule: Rule) -> bool:
    return rule.protocol == (ICMP if rule.family == 4 else ICMP6)


def _makes_sense(rule: Rule) -> bool:
    if rule.ports is not None and rule.protocol not in PORTED:
        return False
    if rule.protocol == 0 and rule.family == 6:
        return False
    return rule.icmp_type is None or _is_icmp(rule)


def effect(lines: Iterable[Line]) -> Effect:
    """Return whom *lines* let in together; of two that let in the same the first counts."""
    first: dict[Side, Rule] = {}
    for rule, side in lines:
        first.setdefault(side, rule)
    if Anybody.IT in first:
        return Effect(first[Anybody.IT])
    blocks = distinct_blocks(side for side in first if not isinstance(side, int | Anybody))
    ordered = sorted(blocks, key=lambda block: (int(block.network_address), block.prefixlen))
    numbers = sorted(side for side in first if isinstance(side, int))
    return Effect(
        None,
        tuple((block, first[block]) for block in ordered),
        tuple((number, first[number]) for number in numbers),
    )


def beyond(lines: Iterable[Line], around: Iterable[Line]) -> list[Line]:
    """Return those of *lines* that let in somebody whom none of *around* lets in."""
    mine, known = list(lines), {side for _, side in around}
    wide = [side for side in known if not isinstance(side, int | Anybody)]
    narrow = {side for _, side in mine if not isinstance(side, int | Anybody)}
    known |= blocks_within(narrow, wide)
    return [line for line in mine if line[1] not in known]
