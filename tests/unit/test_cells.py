"""Cells say of every packet what a look at all rules one by one says."""

import dataclasses
import ipaddress
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.networks import allow
from vpcctl.model.membership import blocks_within, distinct_blocks
from vpcctl.pipeline.cells import (
    Anybody,
    Cell,
    Division,
    Line,
    Mode,
    Precision,
    Scope,
    Side,
    effect,
    is_about,
    name,
    port_masks,
    reach,
)
from vpcctl.pipeline.division import divide

MODE = Mode("ingress", 4, plain=False)
BLOCKS = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32")]
ADDRESSES = [ipaddress.ip_address(one) for one in ("10.1.2.3", "10.1.9.9", "10.9.9.9", "8.8.8.8")]


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_masks_are_the_range_and_nothing_else(one: int, other: int) -> None:
    first, last = sorted((one, other))
    masks = list(port_masks(first, last))
    assert sum(0x1_0000 - mask for _, mask in masks) == last - first + 1
    for port in {first, last, max(first - 1, 0), min(last + 1, 65535), *range(0, 65536, 997)}:
        hits = [value for value, mask in masks if port & mask == value]
        assert len(hits) == (first <= port <= last)


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [(0, 65535, 1), (80, 80, 1), (1000, 1999, 7), (1, 65534, 30), (64, 127, 1)],
)
def test_masks_are_few(first: int, last: int, count: int) -> None:
    assert len(list(port_masks(first, last))) == count


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Rules of one mode with their remote sides."""
    found: list[Line] = []
    for key in range(1, draw(st.integers(0, 6)) + 1):
        protocol = draw(st.sampled_from((None, 6, 6, 17, 47, 1, 0)))
        about: dict[str, Any] = {"protocol": protocol}
        if protocol in (6, 17) and draw(st.booleans()):
            about["ports"] = tuple(sorted(draw(st.tuples(*[st.integers(0, 12)] * 2))))
        if protocol == 1 and draw(st.booleans()):
            about["icmp_type"] = draw(st.integers(7, 9))
            about["icmp_code"] = draw(st.sampled_from((None, 0, 1)))
        side = draw(st.sampled_from((Anybody.IT, *BLOCKS, 5, 6, 7)))
        rule = allow("ingress", **about)
        found.append((dataclasses.replace(rule, id=f"r{key}", key=key), side))
    return found


def matches(rule, protocol: int, part: int, code: int) -> bool:
    """Whether a rule is about a packet: part is its port or type."""
    if rule.protocol is not None and rule.protocol != protocol:
        return False
    if rule.ports is not None and not rule.ports[0] <= part <= rule.ports[1]:
        return False
    if rule.icmp_type is not None and rule.icmp_type != part:
        return False
    return rule.icmp_code is None or rule.icmp_code == code


def innermost(found: Division, protocol: int, part: int, code: int) -> Cell | None:
    """The cell that the switch finds: of those that match the one that is matched most closely."""
    where = part << 8 | code if protocol == 1 else part
    inside = [
        cell
        for cell in found.cells
        if cell.place.protocol in (None, protocol)
        and (cell.place.precision < Precision.PART or cell.place.first <= where <= cell.place.last)
    ]
    closest = max((cell.place.precision for cell in inside), default=None)
    best = [cell for cell in inside if cell.place.precision == closest]
    assert len(best) <= 1, "two cells of one precision overlap"
    return best[0] if best else None


def counting(found: Division, cell: Cell | None, mode: Mode = MODE) -> list[Scope]:
    """The scopes that the switch finds in a cell, by masks of its name."""
    if cell is None or cell.anybody is not None:
        return []
    number = name(mode, cell.place)
    reaches = ((scope, reach(mode, scope.place)) for scope in found.scopes)
    return [scope for scope, (value, mask) in reaches if number & mask == value]


def lets_in(found: Division, cell: Cell | None, address, groups: set[int]) -> bool:
    if cell is not None and cell.anybody is not None:
        return True
    scopes = counting(found, cell)
    if any(address in block for scope in scopes for block, _ in scope.effect.blocks):
        return True
    looks_up = cell is not None and (cell.looks_up or any(scope.looks_up for scope in scopes))
    named = {number for scope in scopes for number, _ in scope.effect.named}
    return looks_up and bool(named & groups)


@settings(max_examples=400)
@given(lines(), st.sampled_from((0, 6, 17, 47, 1)), st.integers(0, 13), st.integers(0, 2))
def test_the_innermost_cell_says_what_all_rules_say(
    some: list[Line], protocol: int, part: int, code: int
) -> None:
    found = divide(some)
    cell = innermost(found, protocol, part, code)
    about = [side for rule, side in some if matches(rule, protocol, part, code)]
    for address, groups in itertools.product(ADDRESSES, (set(), {5}, {6, 7})):
        expected = any(
            side is Anybody.IT or (side in groups if isinstance(side, int) else address in side)
            for side in about
        )
        assert lets_in(found, cell, address, groups) == expected


@given(lines())
def test_names_differ_and_do_not_depend_on_what_else_there_is(some: list[Line]) -> None:
    found = divide(some)
    names = [name(MODE, cell.place) for cell in found.cells]
    assert len(set(names)) == len(names)
    assert all(one < 1 << 29 for one in names)
    other = [name(Mode("egress", 6, plain=True), cell.place) for cell in found.cells]
    assert not set(names) & set(other)
    reaches = [reach(MODE, scope.place) for scope in found.scopes]
    assert len(set(reaches)) == len(reaches)


@given(lines(), st.sampled_from(("ingress", "egress")), st.sampled_from((4, 6)), st.booleans())
def test_a_rule_counts_in_cells_of_its_own_mode_alone(some, direction, family, plain) -> None:
    found, mode = divide(some), Mode(direction, family, plain)
    for cell in found.cells if mode != MODE else ():
        number = name(mode, cell.place)
        reaches = [reach(MODE, scope.place) for scope in found.scopes]
        assert all(number & mask != value for value, mask in reaches)


@settings(max_examples=400)
@given(lines())
def test_in_no_cell_does_a_group_count_twice(some: list[Line]) -> None:
    """So of one conjunction no two flows of a dimension match one packet."""
    found = divide(some)
    for cell in found.cells:
        scopes = counting(found, cell)
        numbers = [number for scope in scopes for number, _ in scope.effect.named]
        assert len(set(numbers)) == len(numbers)
        assert bool(scopes) == (cell.anybody is None)


@given(lines(), st.randoms(use_true_random=False))
def test_the_order_in_which_rules_came_does_not_matter(some: list[Line], random) -> None:
    """They are sorted by key before they are divided into cells."""
    shuffled = list(some)
    random.shuffle(shuffled)
    shuffled.sort(key=lambda line: line[0].key)
    assert divide(shuffled) == divide(some)


def effects(found: Division) -> list[tuple[int, int, tuple]]:
    return [(one.place.first, one.place.last, one.effect.named) for one in found.scopes]


def test_of_overlapping_ranges_the_older_rule_has_all_of_its_own() -> None:
    older = allow("ingress", protocol=6, ports=(1000, 1500))
    newer = allow("ingress", protocol=6, ports=(1400, 1999))
    found = divide([(older, 5), (newer, 5)])
    assert [(one.place.first, one.place.last) for one in found.cells] == [
        (1000, 1500),
        (1501, 1999),
    ]
    assert effects(found) == [(1000, 1000, ((5, older),)), (1501, 1501, ((5, newer),))]


def test_a_range_has_one_scope_as_long_as_none_begins_or_ends_within() -> None:
    wide = allow("ingress", protocol=6, ports=(1024, 65535))
    ssh = allow("ingress", protocol=6, ports=(2222, 2222))
    found = divide([(wide, 5), (ssh, 6)])
    assert [one.place[2:] for one in found.cells] == [(1024, 2221), (2222, 2222), (2223, 65535)]
    assert effects(found) == [
        (1024, 1024, ((5, wide),)),
        (2048, 4095, ((5, wide),)),
        (2222, 2222, ((6, ssh),)),
    ]
    assert [one.looks_up for one in found.cells] == [True, True, False]
    assert [one.looks_up for one in found.scopes] == [False, True, False]


def test_what_a_wider_rule_lets_in_needs_no_cell_of_its_own() -> None:
    everything = allow("ingress")
    ssh = allow("ingress", protocol=6, ports=(22, 22))
    for wide in (Anybody.IT, 5):
        ((cell,), _) = divide([(everything, wide), (ssh, 5)])
        assert cell.place.precision is Precision.FAMILY
    ((cell,), _) = divide([(everything, BLOCKS[0]), (ssh, BLOCKS[1])])
    assert cell.place.precision is Precision.FAMILY


def test_an_address_is_copied_at_once_where_it_will_decide_anyway_and_else_after_blocks() -> None:
    ssh = allow("ingress", protocol=6, ports=(22, 22))
    for side, wide, copies, again in (
        *((5, 6, (True, True), (True, False)), (5, BLOCKS[0], (False, True), (False, False))),
        *((BLOCKS[0], 5, (True, False), (True, False)),),
        *((BLOCKS[1], BLOCKS[0], (False,), (False,)),),
    ):
        cells, scopes = divide([(allow("ingress"), wide), (ssh, side)])
        assert tuple(one.looks_up for one in cells) == copies
        assert tuple(one.looks_up for one in scopes) == again


def test_a_second_rule_for_a_part_renames_no_other_cell() -> None:
    one = (allow("ingress", protocol=6, ports=(1, 1000)), 5)
    other = (allow("ingress", protocol=6, ports=(500, 600)), 6)
    before = {name(MODE, cell.place) for cell in divide([one]).cells}
    after = {name(MODE, cell.place) for cell in divide([one, other]).cells}
    assert before < after


def test_of_two_rules_that_let_in_the_same_the_wider_one_counts_then_the_older() -> None:
    wide, narrow = allow("ingress"), allow("ingress", protocol=6)
    found = effect([(wide, 5), (narrow, 5), (narrow, 6)])
    assert found.named == ((5, wide), (6, narrow))
    blocks = effect([(narrow, BLOCKS[1]), (wide, BLOCKS[0])]).blocks
    assert blocks == ((BLOCKS[0], wide),)
    _, (first, second) = divide([(narrow, 5), (narrow, 6), (wide, 5)])
    assert first.effect.named == ((5, wide),)
    assert second.effect.named == ((6, narrow),)


@pytest.mark.parametrize(
    ("rule", "stateful", "tracked", "plain"),
    [
        (allow("ingress"), True, True, True),
        (allow("ingress"), False, True, True),
        (allow("ingress", protocol=6, ports=(1, 2)), True, True, False),
        (allow("ingress", protocol=6, ports=(1, 2)), False, True, True),
        (allow("ingress", protocol=132, ports=(1, 2)), True, False, True),
        (allow("ingress", protocol=47), True, True, False),
        (allow("ingress", protocol=1), True, True, True),
        (allow("ingress", protocol=1, icmp_type=8), True, True, False),
        (allow("ingress", protocol=1, icmp_type=17), True, False, True),
        (allow("ingress", protocol=58, icmp_type=128), False, False, False),
        (allow("ingress", protocol=47, ports=(1, 2)), False, False, False),
        (allow("egress"), True, False, False),
        (allow("ingress", family=6), True, False, False),
    ],
)
def test_when_a_rule_is_asked(rule, stateful: bool, tracked: bool, plain: bool) -> None:
    assert is_about(rule, MODE, stateful=stateful) == tracked
    assert is_about(rule, MODE._replace(plain=True), stateful=stateful) == plain


# --- how many -------------------------------------------------------------------------------------


def cost(found: Division) -> tuple[int, int]:
    """Flows of cells, and what is let in by scopes."""
    cells = sum(
        len(list(port_masks(cell.place.first, cell.place.last)))
        if cell.place.precision == Precision.PART and cell.place.protocol != 1
        else 1
        for cell in found.cells
    )
    return cells, sum(len(one.effect.blocks) + len(one.effect.named) for one in found.scopes)


def sides(kind: str, count: int, first: int) -> list[Side]:
    if kind == "named":
        return [first + one for one in range(count)]
    return [ipaddress.ip_network((0x0A00_0000 + (first + one << 8), 24)) for one in range(count)]


def numbered(rules: Sequence[tuple[dict, Side]]) -> list[Line]:
    made = ((allow("ingress", **about), side) for about, side in rules)
    return [
        (dataclasses.replace(rule, id=f"r{key}", key=key), side)
        for key, (rule, side) in enumerate(made, 1)
    ]


def _port(number: int) -> dict:
    return {"protocol": 6, "ports": (number, number)}


def _wide(number: int) -> dict:
    return {"protocol": (None, 6)[number % 2]}


def _type(number: int) -> dict:
    kind, code = divmod(number, 2)
    return {"protocol": 1, "icmp_type": kind % 256, "icmp_code": (None, code + kind // 256)[code]}


@pytest.mark.parametrize("count", [100, 500])
@pytest.mark.parametrize(("one", "other"), list(itertools.product(("blocks", "named"), repeat=2)))
@pytest.mark.parametrize("part", [_port, _type])
def test_wide_and_narrow_rules_cost_their_sum(part, one: str, other: str, count: int) -> None:
    rules = [
        *((_wide(n), side) for n, side in enumerate(sides(one, count, 1000))),
        *((part(n), side) for n, side in enumerate(sides(other, count, 5000))),
    ]
    found = divide(numbered(rules))
    cells, let_in = cost(found)
    assert cells <= count + 2
    assert let_in == 2 * count
    assert len(found.scopes) <= count + 2
    more = divide(numbered([*rules, (_wide(0), sides(one, 1, 9000)[0])]))
    assert more.cells == found.cells
    assert len(set(found.scopes) ^ set(more.scopes)) == 2


def _nested(number: int) -> dict:
    return {"protocol": 6, "ports": (number + 1, 65534 - number)}


def _crossing(number: int) -> dict:
    return {"protocol": 6, "ports": (number * 31 + 1, 32768 + number * 29)}


@pytest.mark.parametrize("count", [100, 1000])
@pytest.mark.parametrize("kind", ["blocks", "named"])
@pytest.mark.parametrize("ranges", [_nested, _crossing])
def test_ranges_that_overlap_cost_their_masks_at_most(ranges, kind: str, count: int) -> None:
    rules = [(ranges(n), side) for n, side in enumerate(sides(kind, count, 1000))]
    found = divide(numbered(rules))
    cells, let_in = cost(found)
    assert len(found.cells) == 2 * count - 1
    assert cells <= 30 * len(found.cells)
    assert let_in <= 30 * count
    more = divide(numbered([*rules, (_port(32000), sides(kind, 1, 9000)[0])]))
    assert len(set(found.cells) ^ set(more.cells)) <= 4
    assert cost(more)[1] <= let_in + 2 * count + 1


@given(
    st.lists(
        st.builds(
            lambda address, length: ipaddress.ip_network((address << 28, length), strict=False),
            st.integers(0, 15),
            st.integers(0, 6),
        ),
        max_size=6,
    )
)
def test_distinct_blocks_cover_the_same_once(blocks: list) -> None:
    kept = distinct_blocks(blocks)
    assert kept <= set(blocks)
    for one, other in itertools.permutations(kept, 2):
        assert not one.overlaps(other)
    assert all(any(block.subnet_of(one) for one in kept) for block in blocks)


@given(
    *(
        st.lists(
            st.builds(
                lambda address, length: ipaddress.ip_network((address << 28, length), strict=False),
                st.integers(0, 15),
                st.integers(0, 6),
            ),
            max_size=6,
        ),
    )
    * 2
)
def test_blocks_within_others_are_those_that_one_of_them_covers(blocks: list, wide: list) -> None:
    found = blocks_within(blocks, wide)
    assert found == {one for one in blocks if any(one.subnet_of(other) for other in wide)}
