"""A flow: canonical, frozen, comparable. The one form that everything but the codec speaks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vpcctl.flows.actions import Action
from vpcctl.flows.fields import REGS, XXREGS, Field
from vpcctl.flows.meter import Meter
from vpcctl.flows.tables import Table

Term = tuple[Field, int, int | None]
"""One field of a match: value and mask; None is an exact match."""
Match = tuple[Term, ...]
"""Terms in the fields' order; a value has no bit outside its mask, and no mask is all ones."""
FlowKey = tuple[Table, int, Match]
"""What makes a flow the same flow on a switch: table, priority and match."""


class Flow(NamedTuple):
    """One flow of the program; a named tuple, because programs are made of very many.

    Attributes:
        table: where it is.
        priority: higher wins, 0 … 65535.
        match: canonical, see ``Match``; build it with ``match()`` or write it in order.
        actions: what to apply, in order; none and no ``goto`` drops the packet.
        goto: the table to go on with after the actions, or None.
        cookie: see ``vpcctl.flows.cookie``.
        meter: what drops packets before the actions; None lets all pass.
    """

    table: Table
    priority: int
    match: Match
    actions: tuple[Action, ...]
    goto: Table | None
    cookie: int
    meter: Meter | None = None

    @property
    def key(self) -> FlowKey:
        """What a switch tells flows apart by."""
        return (self.table, self.priority, self.match)

    def __hash__(self) -> int:
        return hash((self.table, self.priority, self.match))


def match(*terms: tuple[Field, int] | Term) -> Match:
    """Return the canonical match of *terms* given in any order.

    Four registers that are matched exactly and make up a 128-bit one become that one, and a 128-bit
    one under a mask becomes its parts: a switch says them one by one whichever way they were
    written.

    Raises:
        ValueError: a field is named twice, or a value or mask is too wide.
    """
    canonical: list[Term] = []
    for field, value, *rest in terms:
        mask = rest[0] if rest else None
        if mask == field.ones:
            mask = None
        if value >> field.bits or (mask is not None and mask >> field.bits):
            raise ValueError(f"{field.name} has {field.bits} bits")
        if mask != 0:
            canonical.append((field, value if mask is None else value & mask, mask))
    if len({term[0] for term in canonical}) != len(canonical):
        raise ValueError("a field may appear once in a match")
    return tuple(sorted(_joined(canonical), key=lambda term: term[0].order))


def _joined(terms: list[Term]) -> list[Term]:
    terms = [part for term in terms for part in _split(*term)]
    exact = {field: value for field, value, mask in terms if mask is None}
    for number, wide in enumerate(XXREGS):
        parts = REGS[4 * number : 4 * number + 4]
        if all(part in exact for part in parts):
            value = 0
            for part in parts:
                value = value << part.bits | exact[part]
            terms = [*(term for term in terms if term[0] not in parts), (wide, value, None)]
    return terms


def _split(field: Field, value: int, mask: int | None) -> Iterator[Term]:
    """Yield the parts of a 128-bit register under a mask; any other term as it is."""
    if mask is None or field not in XXREGS:
        yield field, value, mask
        return
    first = 4 * XXREGS.index(field)
    for part, shift in zip(REGS[first : first + 4], (96, 64, 32, 0), strict=True):
        bits = mask >> shift & part.ones
        if bits:
            yield part, value >> shift & part.ones, None if bits == part.ones else bits


def meters_of(flows: Iterable[Flow]) -> tuple[Meter, ...]:
    """Return the meters that *flows* name, each once."""
    return tuple({flow.meter: None for flow in flows if flow.meter is not None})
