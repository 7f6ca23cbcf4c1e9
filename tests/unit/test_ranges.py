from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model import ranges
from vpcctl.model.ranges import Range

NUMBERS = st.integers(0, 30)
SETS = st.lists(st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))), max_size=5)


def numbers(found: list[Range]) -> set[int]:
    return {number for first, last in found for number in range(first, last + 1)}


@given(SETS, SETS)
def test_ranges_are_sets_of_numbers(one: list[Range], other: list[Range]) -> None:
    for found, wanted in (
        (ranges.union([*one, *other]), numbers(one) | numbers(other)),
        (ranges.common(one, other), numbers(one) & numbers(other)),
        (ranges.less(one, other), numbers(one) - numbers(other)),
    ):
        assert numbers(found) == wanted
        assert ranges.size(found) == len(wanted)
    apart = ranges.union(one)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(apart))
    assert {n for n in range(32) if ranges.holds(one, n)} == numbers(one)
