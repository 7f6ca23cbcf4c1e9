"""When each guest hears of its router unasked (RFC 4861, section 6.2.4)."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.decide.guest.book import Book, Entry
from agent.decide.guest.router import advertise, is_served

INTERVAL_S = (200.0, 600.0)
"""Shortest and longest time between two advertisements to one guest."""
FIRST_INTERVAL_S = 16.0
FIRST = 3
"""A new guest, or one of which something changed, hears so many in short succession."""
MOST_AT_ONCE = 50
"""Advertisements at one moment: a host with very many guests takes some seconds for all."""


@dataclass(slots=True)
class _Plan:
    entry: Entry
    due: float
    sent: int = 0


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
        plans: dict[int, _Plan] = {}
        for entry in book:
            if not is_served(entry):
                continue
            plan = self._plans.get(entry.key)
            if plan is None or not _hears_the_same(plan.entry, entry):
                plan = _Plan(entry, now)
            plan.entry = entry
            plans[entry.key] = plan
        self._plans = plans

    def due(self, now: float) -> list[Entry]:
        """Return whom to tell now, at most :data:`MOST_AT_ONCE`, and plan their next time."""
        late = [plan for plan in self._plans.values() if plan.due <= now][:MOST_AT_ONCE]
        for plan in late:
            plan.sent += 1
            shortest, longest = INTERVAL_S
            pause = shortest + self._chance() * (longest - shortest)
            plan.due = now + (FIRST_INTERVAL_S if plan.sent < FIRST else pause)
        return [plan.entry for plan in late]


def _hears_the_same(old: Entry, new: Entry) -> bool:
    return old is new or advertise(old) == advertise(new)
