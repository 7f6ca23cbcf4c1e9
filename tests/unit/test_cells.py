"""Cells say of every packet what a look at all rules one by one says."""

import ipaddress
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.networks import allow
from vpcctl.model.membership import distinct_blocks
from vpcctl.pipeline.cells import (
    Anybody,
    Cell,
    Line,
    Mode,
    Precision,
    cells,
    effect,
    is_about,
    name,
    port_masks,
)

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
        protocol = draw(st.sampled_from((None, 6, 6, 17, 47, 1)))
        about: dict[str, object] = {"protocol": protocol}
        if protocol in (6, 17) and draw(st.booleans()):
            about["ports"] = tuple(sorted(draw(st.tuples(*[st.integers(0, 12)] * 2))))
        if protocol == 1 and draw(st.booleans()):
            about["icmp_type"] = draw(st.integers(7, 9))
            about["icmp_code"] = draw(st.sampled_from((None, 0, 1)))
        side = draw(st.sampled_from((Anybody.IT, *BLOCKS, 5, 6, 7)))
        rule = allow("ingress", **about)
        found.append((rule.__class__(f"r{key}", key, *_rest(rule)), side))
    return found


def _rest(rule) -> tuple[object, ...]:
    return (rule.direction, rule.family, rule.protocol, rule.ports, rule.icmp_type, rule.icmp_code)


def matches(rule, protocol: int, part: int, code: int) -> bool:
    """Whether a rule is about a packet: part is its port or type."""
    if rule.protocol is not None and rule.protocol != protocol:
        return False
    if rule.ports is not None and not rule.ports[0] <= part <= rule.ports[1]:
        return False
    if rule.icmp_type is not None and rule.icmp_type != part:
        return False
    return rule.icmp_code is None or rule.icmp_code == code


def innermost(found: list[Cell], protocol: int, part: int, code: int) -> Cell | None:
    """The cell that the switch finds: of those that match the one that is matched most closely."""
    where = part << 8 | code if protocol == 1 else part
    inside = [
        cell
        for cell in found
        if cell.protocol in (None, protocol)
        and (cell.precision < Precision.PART or cell.first <= where <= cell.last)
    ]
    closest = max((cell.precision for cell in inside), default=None)
    best = [cell for cell in inside if cell.precision == closest]
    assert len(best) <= 1, "two cells of one precision overlap"
    return best[0] if best else None


def lets_in(cell: Cell | None, address, groups: set[int]) -> bool:
    if cell is None:
        return False
    if cell.effect.anybody is not None:
        return True
    if any(address in block for block, _ in cell.effect.blocks):
        return True
    return any(number in groups for number, _ in cell.effect.named)


@settings(max_examples=400)
@given(lines(), st.sampled_from((6, 17, 47, 1)), st.integers(0, 13), st.integers(0, 2))
def test_the_innermost_cell_says_what_all_rules_say(
    some: list[Line], protocol: int, part: int, code: int
) -> None:
    found = list(cells(some))
    cell = innermost(found, protocol, part, code)
    about = [side for rule, side in some if matches(rule, protocol, part, code)]
    for address, groups in itertools.product(ADDRESSES, (set(), {5}, {6, 7})):
        expected = any(
            side is Anybody.IT or (side in groups if isinstance(side, int) else address in side)
            for side in about
        )
        assert lets_in(cell, address, groups) == expected


@given(lines())
def test_names_differ_and_do_not_depend_on_what_else_there_is(some: list[Line]) -> None:
    found = list(cells(some))
    names = [name(MODE, cell) for cell in found]
    assert len(set(names)) == len(names)
    assert all(one < 1 << 32 for one in names)
    other = [name(Mode("egress", 6, plain=True), cell) for cell in found]
    assert not set(names) & set(other)


@given(lines(), st.randoms(use_true_random=False))
def test_the_order_in_which_rules_came_does_not_matter(some: list[Line], random) -> None:
    """They are sorted by key before they are divided into cells."""
    shuffled = list(some)
    random.shuffle(shuffled)
    shuffled.sort(key=lambda line: line[0].key)
    assert list(cells(shuffled)) == list(cells(some))


def test_of_overlapping_ranges_the_older_rule_has_all_of_its_own() -> None:
    older = allow("ingress", protocol=6, ports=(1000, 1500))
    newer = allow("ingress", protocol=6, ports=(1400, 1999))
    one, other = cells([(older, 5), (newer, 5)])
    assert (one.first, one.last, one.effect.named) == (1000, 1500, ((5, older),))
    assert (other.first, other.last, other.effect.named) == (1501, 1999, ((5, newer),))


def test_what_a_wider_rule_lets_in_needs_no_cell_of_its_own() -> None:
    everything = allow("ingress")
    ssh = allow("ingress", protocol=6, ports=(22, 22))
    (cell,) = cells([(everything, Anybody.IT), (ssh, 5)])
    assert cell.precision is Precision.FAMILY
    (cell,) = cells([(everything, 5), (ssh, 5)])
    assert cell.precision is Precision.FAMILY


def test_a_second_rule_for_a_part_renames_no_other_cell() -> None:
    one = (allow("ingress", protocol=6, ports=(1, 1000)), 5)
    other = (allow("ingress", protocol=6, ports=(500, 600)), 6)
    before = {name(MODE, cell) for cell in cells([one])}
    after = {name(MODE, cell) for cell in cells([one, other])}
    assert before < after


def test_of_two_rules_that_let_in_the_same_the_wider_one_counts_then_the_older() -> None:
    wide, narrow = allow("ingress"), allow("ingress", protocol=6)
    found = effect([(wide, 5), (narrow, 5), (narrow, 6)])
    assert found.named == ((5, wide), (6, narrow))
    blocks = effect([(narrow, BLOCKS[1]), (wide, BLOCKS[0])]).blocks
    assert blocks == ((BLOCKS[0], wide),)


@pytest.mark.parametrize(
    ("rule", "stateful", "tracked", "plain"),
    [
        (allow("ingress"), True, True, True),
        (allow("ingress"), False, False, True),
        (allow("ingress", protocol=6, ports=(1, 2)), True, True, False),
        (allow("ingress", protocol=6, ports=(1, 2)), False, False, True),
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
