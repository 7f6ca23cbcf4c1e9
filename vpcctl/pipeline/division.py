"""How a group's rules of one mode are divided into cells, and by which scopes they count there.

A rule for much counts in all cells within it, by one scope, and is not repeated in them. So cells
and what they let in grow with the rules, and a rule changes its own place alone. A rule that lets
in nobody but whom a wider one lets in is left out; so are all within a cell that lets in everybody.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from vpcctl.model.security_group import Rule
from vpcctl.pipeline.cells import (
    PORTED,
    Cell,
    Division,
    Line,
    Place,
    Precision,
    Scope,
    beyond,
    effect,
)
from vpcctl.pipeline.port_cells import of_ports

_Within = Callable[[Sequence[Line]], Iterable[Division]]


def divide(lines: Sequence[Line]) -> Division:
    """Return the division of *lines*, which are all about one mode and in their rules' order."""
    own = [line for line in lines if line[0].protocol is None]
    return _around(Place(None, Precision.FAMILY), own, lines, _protocols)


def _around(place: Place, own: list[Line], lines: Sequence[Line], within: _Within) -> Division:
    """Return the division of *lines*: those that are *own* to a place, and what others add."""
    here = effect(own)
    if here.anybody is not None:
        return Division((Cell(place, here.anybody),))
    if not own:
        return _together(within(lines))
    inner = Division() if len(own) == len(lines) else _together(within(beyond(lines, own)))
    looks_up = bool(here.named)
    scope = Scope(place, here, looks_up and bool(inner.scopes))
    return Division((Cell(place, None, looks_up), *inner.cells), (scope, *inner.scopes))


def _together(some: Iterable[Division]) -> Division:
    every = list(some)
    return Division(
        tuple(cell for one in every for cell in one.cells),
        tuple(scope for one in every for scope in one.scopes),
    )


def _protocols(lines: Sequence[Line]) -> Iterator[Division]:
    for protocol, mine in _by(lines, lambda rule: rule.protocol):
        own = [line for line in mine if line[0].ports is None and line[0].icmp_type is None]
        within = partial(_ports if protocol in PORTED else _types, protocol)
        yield _around(Place(protocol, Precision.PROTOCOL), own, mine, within)


def _ports(protocol: int, lines: Sequence[Line]) -> Iterator[Division]:
    yield of_ports(protocol, lines)


def _types(protocol: int, lines: Sequence[Line]) -> Iterator[Division]:
    for kind, mine in _by(lines, lambda rule: rule.icmp_type):
        own = [line for line in mine if line[0].icmp_code is None]
        place = Place(protocol, Precision.PART, kind << 8, kind << 8 | 0xFF)
        yield _around(place, own, mine, partial(_codes, protocol, kind))


def _codes(protocol: int, kind: int, lines: Sequence[Line]) -> Iterator[Division]:
    for code, mine in _by(lines, lambda rule: rule.icmp_code):
        both = kind << 8 | code
        yield _around(Place(protocol, Precision.CODE, both, both), mine, mine, lambda _: ())


def _by(
    lines: Sequence[Line], number: Callable[[Rule], int | None]
) -> Iterator[tuple[int, list[Line]]]:
    """Yield lines by their rules' *number*, where there is one, in its order."""
    found: dict[int, list[Line]] = {}
    for line in lines:
        own = number(line[0])
        if own is not None:
            found.setdefault(own, []).append(line)
    yield from sorted(found.items(), key=lambda item: item[0])
