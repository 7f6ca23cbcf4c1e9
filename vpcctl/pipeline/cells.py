"""Cells: what protocols and ports a group's rules tell apart, and whom each cell lets in.

The same rules apply everywhere in a cell. Cells are nested at most three deep: all protocols, a
protocol, a range of its ports or a type of its messages, a code of such a type. Each holds the
rules of those around it too, so the innermost cell that a packet is in says everything about it.
A cell that says what the one around it says is left out.
"""

import enum
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.membership import distinct_blocks
from vpcctl.model.security_group import Direction, Family, Rule
from vpcctl.pipeline.terms import ICMP, ICMP6, SCTP, TCP, UDP

PORTED = frozenset({TCP, UDP, SCTP})
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
    """Whom a cell lets in, and by which rule; that of a wider cell, then the oldest.

    Attributes:
        anybody: the rule that lets in all; then there is nothing else.
        blocks: rules by block, no block within another.
        named: rules by conjunction id.
    """

    anybody: Rule | None
    blocks: tuple[tuple[IPNetwork, Rule], ...] = ()
    named: tuple[tuple[int, Rule], ...] = ()


class Cell(NamedTuple):
    """One cell.

    Attributes:
        protocol: number, or None for all.
        precision: what is meant by the next two.
        first: first port; of ICMP the type in the high 8 bits and the code in the low ones.
        last: last port, or the last type and code.
        effect: whom it lets in.
    """

    protocol: int | None
    precision: Precision
    first: int
    last: int
    effect: Effect


def name(mode: Mode, cell: Cell) -> int:
    """Return the number that tells a cell from all others of its group, whatever they are."""
    egress = mode.direction == "egress"
    head = egress << 28 | (mode.family == 6) << 27 | mode.plain << 26 | cell.precision << 24
    return head | (cell.protocol or 0) << 16 | cell.first


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

    Stateless groups judge every packet by itself; stateful ones only those whose connection is
    not followed, or not by all datapaths: SCTP, and most ICMP messages.
    """
    if (rule.direction, rule.family) != (mode.direction, mode.family) or not _makes_sense(rule):
        return False
    if not stateful:
        return mode.plain
    if rule.protocol is None:
        return True
    if rule.protocol == SCTP:
        return mode.plain
    if not _is_icmp(rule):
        return not mode.plain
    if rule.icmp_type is None:
        return True
    return (rule.icmp_type in TRACKED_TYPES[rule.family]) != mode.plain


def _is_icmp(rule: Rule) -> bool:
    return rule.protocol == (ICMP if rule.family == 4 else ICMP6)


def _makes_sense(rule: Rule) -> bool:
    if rule.ports is not None and rule.protocol not in PORTED:
        return False
    return rule.icmp_type is None or _is_icmp(rule)


def effect(lines: Sequence[Line]) -> Effect:
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


def cells(lines: Sequence[Line]) -> Iterator[Cell]:
    """Yield the cells of *lines*, which are all about one mode and in their rules' order."""
    wide = [line for line in lines if line[0].protocol is None]
    around = effect(wide)
    if wide:
        yield Cell(None, Precision.FAMILY, 0, 0, around)
    if around.anybody is not None:
        return
    for protocol in sorted({rule.protocol for rule, _ in lines if rule.protocol is not None}):
        mine = [line for line in lines if line[0].protocol == protocol]
        yield from _of_protocol(protocol, mine, wide)


def _of_protocol(protocol: int, mine: list[Line], wide: list[Line]) -> Iterator[Cell]:
    whole = [line for line in mine if line[0].ports is None and line[0].icmp_type is None]
    around, both = effect(wide), [*wide, *whole]
    inside = effect(both)
    if inside != around:
        yield Cell(protocol, Precision.PROTOCOL, 0, 0, inside)
    if inside.anybody is not None:
        return
    narrow = [line for line in mine if line not in whole]
    if protocol in PORTED:
        yield from _of_ports(protocol, narrow, both)
    else:
        yield from _of_types(protocol, narrow, both)


def _of_ports(protocol: int, narrow: list[Line], wide: list[Line]) -> Iterator[Cell]:
    """Yield ranges of ports, as long as they can be."""
    around, found = effect(wide), None
    for first, last, lines in _stretches(narrow):
        inside = effect([*wide, *lines])
        if inside == around:
            continue
        if found is not None and found.last + 1 == first and found.effect == inside:
            found = found._replace(last=last)
            continue
        if found is not None:
            yield found
        found = Cell(protocol, Precision.PART, first, last, inside)
    if found is not None:
        yield found


def _stretches(lines: list[Line]) -> Iterator[tuple[int, int, list[Line]]]:
    """Yield (first port, last port, lines) between all ends of ranges, where there are any."""
    ranges = [(rule.ports, (rule, side)) for rule, side in lines if rule.ports is not None]
    ends = sorted({end for (first, last), _ in ranges for end in (first, last + 1)})
    for first, after in pairwise(ends):
        inside = [line for (low, high), line in ranges if low <= first <= high]
        if inside:
            yield first, after - 1, inside


def _of_types(protocol: int, narrow: list[Line], wide: list[Line]) -> Iterator[Cell]:
    around = effect(wide)
    for kind in sorted({rule.icmp_type for rule, _ in narrow if rule.icmp_type is not None}):
        mine = [line for line in narrow if line[0].icmp_type == kind]
        both = [*wide, *(line for line in mine if line[0].icmp_code is None)]
        inside = effect(both)
        if inside != around:
            yield Cell(protocol, Precision.PART, kind << 8, kind << 8 | 0xFF, inside)
        if inside.anybody is not None:
            continue
        for code in sorted({rule.icmp_code for rule, _ in mine if rule.icmp_code is not None}):
            of_code = effect([*both, *(line for line in mine if line[0].icmp_code == code)])
            if of_code != inside:
                both_parts = kind << 8 | code
                yield Cell(protocol, Precision.CODE, both_parts, both_parts, of_code)
