"""Cells and scopes of one protocol's ports: ranges that may overlap at will.

Every port at which a range begins or ends begins a cell. A rule counts in the cells that begin
within its range, which masks match: as few scopes as cells, and never more than a range has masks.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from vpcctl.model.security_group import Rule
from vpcctl.pipeline.cells import (
    Anybody,
    Cell,
    Division,
    Line,
    Place,
    Precision,
    Scope,
    Side,
    effect,
    port_masks,
)


class _Claim(NamedTuple):
    """Ports at which a rule lets in its side, where no older one does."""

    first: int
    last: int
    rule: Rule
    side: Side


def of_ports(protocol: int, lines: Sequence[Line]) -> Division:
    """Return the division of *lines*, in their rules' order; those without ports say nothing."""
    claims = list(_claims(lines))
    stretches = list(_stretches(claims))
    begins = [first for first, _, anybody in stretches if anybody is None]
    inside: dict[tuple[int, int], list[Line]] = {}
    for claim in claims:
        for span in _spans(claim, begins):
            inside.setdefault(span, []).append((claim.rule, claim.side))
    scopes = {
        span: Scope(Place(protocol, Precision.PART, *span), found, _has_many(span, found.named))
        for span, found in ((span, effect(some)) for span, some in sorted(inside.items()))
    }
    return Division(
        tuple(
            Cell(Place(protocol, Precision.PART, first, last), anybody, _looks_up(scopes, first))
            for first, last, anybody in stretches
        ),
        tuple(scopes.values()),
    )


def _has_many(span: tuple[int, int], named: tuple[object, ...]) -> bool:
    return span[0] != span[1] and bool(named)


def _looks_up(scopes: dict[tuple[int, int], Scope], first: int) -> bool:
    own = scopes.get((first, first))
    return own is not None and bool(own.effect.named)


def _claims(lines: Sequence[Line]) -> Iterator[_Claim]:
    """Yield what each rule claims; no two claims of one side overlap."""
    taken: dict[Side, list[tuple[int, int]]] = {}
    for rule, side in lines:
        if rule.ports is not None:
            before = taken.setdefault(side, [])
            free = list(_free(*rule.ports, before))
            yield from (_Claim(first, last, rule, side) for first, last in free)
            before.extend(free)
            before.sort()


def _free(first: int, last: int, taken: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the ranges that are left of one without those *taken*, which are in order."""
    for low, high in taken:
        if low > last:
            break
        if first < low:
            yield first, low - 1
        first = max(first, high + 1)
    if first <= last:
        yield first, last


def _stretches(claims: list[_Claim]) -> Iterator[tuple[int, int, Rule | None]]:
    """Yield (first port, last port, rule that lets in everybody) between all ends of claims.

    Where one rule lets in everybody, the ends of others do not matter.
    """
    found: tuple[int, int, Rule | None] | None = None
    for first, last, anybody in _pieces(claims):
        if found is not None:
            if anybody is not None and (found[1] + 1, found[2]) == (first, anybody):
                found = (found[0], last, anybody)
                continue
            yield found
        found = (first, last, anybody)
    if found is not None:
        yield found


def _pieces(claims: list[_Claim]) -> Iterator[tuple[int, int, Rule | None]]:
    steps: dict[int, int] = {}
    everybody: dict[int, Rule | None] = {}
    for claim in claims:
        steps[claim.first] = steps.get(claim.first, 0) + 1
        steps[claim.last + 1] = steps.get(claim.last + 1, 0) - 1
        if claim.side is Anybody.IT:
            everybody[claim.first] = claim.rule
            everybody.setdefault(claim.last + 1, None)
    depth, anybody = 0, None
    for first, after in pairwise(sorted(steps)):
        depth += steps[first]
        anybody = everybody.get(first, anybody)
        if depth:
            yield first, after - 1, anybody


def _spans(claim: _Claim, begins: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the spans in which begin just the cells that *claim* is about."""
    for value, mask in port_masks(claim.first, claim.last):
        last = value | mask ^ 0xFFFF
        low, high = bisect_left(begins, value), bisect_left(begins, last + 1)
        if high - low == 1:
            yield begins[low], begins[low]
        elif high > low:
            yield value, last
