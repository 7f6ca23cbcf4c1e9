"""When the addresses that this host answers for are announced."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.decide.world.book import Address

FIRST_PAUSES_S = (0.1, 0.2, 0.4, 0.8)
"""An address that comes to this host is announced anew after each of these pauses, seconds: what is
said before its flows are there is lost, and nobody outside may wait long for the next time."""
PAUSE_S = 60.0
"""Then it is announced every so many seconds, give or take"""
JITTER = 0.1
"""so much of it."""
SETTLE_S = 0.1
"""An address that is new in the host state waits so long: its flows come at the same time."""
HAND_OVER_S = 0.5
"""So does one that a host hands over that goes on with it: what everybody hears would take from it
the answers to what others still send through it."""
MOST_AT_ONCE = 100
"""Announcements at one moment: a host with very many addresses takes some seconds for all."""

Key = tuple[int, bytes]


@dataclass(slots=True)
class _Plan:
    address: Address
    returns: int
    due: float
    sent: int = 0


class Announcements:
    """Keeps what is to be announced when.

    Args:
        chance: gives random numbers from 0 to 1, so that hosts do not speak at the same time.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._plans: dict[Key, _Plan] = {}
        self._known: dict[Key, tuple[str, ...]] = {}  # gateway hosts in order

    def want(
        self, known: Iterable[Address], here: Sequence[tuple[Address, int]], now: float
    ) -> float | None:
        """Take in the addresses; return how soon to ask for gateways, None: none has come here.

        Args:
            known: those that this host answers for, or may have to.
            here: those that it answers for now, each with how often a host that might have taken
                it over has come back: after that it is said anew where the address is.
            now: the time.
        """
        plans: dict[Key, _Plan] = {}
        news: list[float] = []
        for address, returns in here:
            key = _key(address)
            old, before = self._plans.get(key), self._known.get(key, ())
            stays = old is not None and _same(old.address, address) and old.returns == returns
            if old is not None and stays and not _has_left(before, address.hosts):
                plans[key] = old
                old.address = address
                continue
            settled = key in self._known and (old is None or _same(old.address, address))
            is_calm = old is None and _is_handed_over(before, address.hosts)
            wait = HAND_OVER_S if is_calm else 0.0 if settled else SETTLE_S
            news.append(wait)
            plans[key] = _Plan(address, returns, now + wait)
        self._plans, self._known = plans, {_key(each): each.hosts for each in known}
        return max(SETTLE_S, min(news)) if news else None

    def due(self, now: float) -> list[Address]:
        """Return what to announce now, at most :data:`MOST_AT_ONCE`, and plan the next time.

        Those that have been announced least often come first.
        """
        late = (plan for plan in self._plans.values() if plan.due <= now)
        chosen = heapq.nsmallest(MOST_AT_ONCE, late, key=lambda plan: plan.sent)
        for plan in chosen:
            plan.due = now + self._pause(plan.sent)
            plan.sent += 1
        return [plan.address for plan in chosen]

    def next(self) -> float | None:
        """Return when :meth:`due` has something to say; None: never."""
        return min((plan.due for plan in self._plans.values()), default=None)

    def _pause(self, sent: int) -> float:
        if sent < len(FIRST_PAUSES_S):
            return FIRST_PAUSES_S[sent]
        return PAUSE_S * (1 + JITTER * (2 * self._chance() - 1))


def _is_handed_over(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Tell whether another host is to be the active one, and who was goes on with it."""
    return before[:1] != after[:1] and before[:1] != () and before[0] in after


def _has_left(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Tell whether a host stands for an address no more: it may have been the last to speak."""
    return not set(before) <= set(after)


def _same(one: Address, other: Address) -> bool:
    return (one.mac, one.seed) == (other.mac, other.seed)


def _key(address: Address) -> Key:
    return address.network.key, address.ip
