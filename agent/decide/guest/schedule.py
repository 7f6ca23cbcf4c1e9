"""When each guest hears of its router unasked (RFC 4861, sections 6.2.4 and 6.2.5)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from agent.decide.guest.book import Book, Entry
from agent.decide.guest.router import advertise, farewell, is_served, makes_own_address

INTERVAL_S = (200.0, 600.0)
"""Shortest and longest time between two advertisements to one guest."""
FIRST_INTERVAL_S = 16.0
FIRST = 3
"""A new guest, or one of which something changed, hears so many in short succession. One whose port
has no IPv6 address any more hears so many that take back what it heard, and nothing more."""
MOST_AT_ONCE = 50
"""Advertisements at one moment: a host with very many guests takes some seconds for all."""


@dataclass(slots=True)
class _Plan:
    """What one guest is to hear.

    Attributes:
        entry: the guest; when it is over, as it last was.
        due: when it is to hear again.
        made_own: whether it was told, ever, to make its address.
        over: whether its port has lost its IPv6 addresses.
        sent: how often it has heard this.
    """

    entry: Entry
    due: float
    made_own: bool
    over: bool = False
    sent: int = 0

    def frame(self) -> bytes:
        """Return what it hears."""
        return farewell(self.entry) if self.over else advertise(self.entry, made_own=self.made_own)


class Schedule:
    """Keeps who is to hear when.

    Args:
        chance: gives random numbers from 0 to 1, so that guests are not all told at once.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._plans: dict[int, _Plan] = {}

    def want(self, book: Book, now: float) -> None:
        """Take in a new book: who is new or is to hear something else is told at once."""
        plans = ((entry.key, self._plan(entry, now)) for entry in book)
        self._plans = {key: plan for key, plan in plans if plan is not None}

    def _plan(self, entry: Entry, now: float) -> _Plan | None:
        old = self._plans.get(entry.key)
        if not is_served(entry):
            if old is None or old.over:
                return old
            return _Plan(old.entry, now, old.made_own, over=True)
        made_own = makes_own_address(entry) or (old is not None and old.made_own)
        new = _Plan(entry, now, made_own)
        if old is None or not _hears_the_same(old, new):
            return new
        old.entry = entry
        return old

    def due(self, now: float) -> list[bytes]:
        """Return what to send now, at most :data:`MOST_AT_ONCE`, and plan each one's next time."""
        late = [plan for plan in self._plans.values() if plan.due <= now][:MOST_AT_ONCE]
        for plan in late:
            plan.sent += 1
            plan.due = now + (FIRST_INTERVAL_S if plan.sent < FIRST else self._pause(plan))
        return [plan.frame() for plan in late]

    def _pause(self, plan: _Plan) -> float:
        shortest, longest = INTERVAL_S
        return math.inf if plan.over else shortest + self._chance() * (longest - shortest)


def _hears_the_same(old: _Plan, new: _Plan) -> bool:
    return not old.over and (old.entry is new.entry or old.frame() == new.frame())
