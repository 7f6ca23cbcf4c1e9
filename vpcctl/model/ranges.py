"""Sets of numbers as ranges: sorted, apart from each other, both ends belong to them."""

from collections.abc import Iterable

Range = tuple[int, int]


def union(ranges: Iterable[Range]) -> list[Range]:
    """Return the numbers that are in any of *ranges*, which may be in any order."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def common(one: Iterable[Range], other: Iterable[Range]) -> list[Range]:
    """Return the numbers that are in both."""
    others = union(other)
    pairs = ((max(a, c), min(b, d)) for a, b in union(one) for c, d in others)
    return [(first, last) for first, last in pairs if first <= last]


def less(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """Return the numbers of *ranges* that are not in *taken*."""
    left = union(ranges)
    for first, last in union(taken):
        rest: list[Range] = []
        for low, high in left:
            rest += [(low, min(high, first - 1)), (max(low, last + 1), high)]
        left = [(low, high) for low, high in rest if low <= high]
    return union(left)


def size(ranges: Iterable[Range]) -> int:
    """Return how many numbers are in *ranges*, which are apart from each other."""
    return sum(last - first + 1 for first, last in ranges)


def holds(ranges: Iterable[Range], number: int) -> bool:
    """Tell whether *number* is in one of *ranges*."""
    return any(first <= number <= last for first, last in ranges)
