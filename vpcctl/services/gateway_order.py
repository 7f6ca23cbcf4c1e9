"""Which hosts stand for a gateway, and in which order. Pure.

The order is kept from one time to the next: a host that died stays behind those that took over
when it returns, so that nothing moves twice. Only what has to move does. And nothing moves while a
host that goes on cannot be told: it would keep the old order, and two would answer.

A host that is drained leaves in two steps, and is the active one as long as nobody else can be:
it keeps its place until who follows it is ready, then it goes behind the others, and it is gone
when everybody knows that.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

MOST_HOSTS = 3

Leaving = Literal["as they are", "behind", "gone"]
"""Where the drained hosts of a gateway are put that others could stand for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host that could stand for a gateway: it has the label and reaches the network.

    Attributes:
        id: of the host.
        zone: its availability zone; None: its own.
        lives: it goes on, as far as is known (see :func:`is_dead`).
        drained: it is to stand for nothing.
        silent: its reports are late. If it lives, it may be that it cannot be told anything.
    """

    id: str
    zone: str | None = None
    lives: bool = True
    drained: bool = False
    silent: bool = False

    @property
    def is_fit(self) -> bool:
        """Whether gateways may be placed on it that it does not stand for yet."""
        return self.lives and not self.drained and not self.silent


@dataclass(slots=True)
class Load:
    """What hosts have to do already.

    Attributes:
        active: gateways that a host is the first of, by host.
        listed: gateways that it stands for.
    """

    active: Counter[str] = field(default_factory=Counter)
    listed: Counter[str] = field(default_factory=Counter)

    def add(self, order: Sequence[str]) -> None:
        """Count a gateway with its hosts in order."""
        self.active.update(order[:1])
        self.listed.update(order)

    def drop(self, order: Sequence[str]) -> None:
        """Count a gateway no more."""
        self.active.subtract(order[:1])
        self.listed.subtract(order)


def arrange(
    present: Sequence[str],
    candidates: Mapping[str, Candidate],
    load: Load,
    leaving: Leaving = "as they are",
) -> tuple[str, ...]:
    """Return the hosts of a gateway in order, the one that is to be active first.

    Those that live keep their order, others are added while they are fewer than three, and dead
    ones fill up what is left. A standby whose zone one before it has makes room for a host of a
    zone that none of them has. Drained hosts stay before and behind the others as they were; none
    goes as long as no other lives: without it nothing would be forwarded at all. While one that
    lives is silent, all stay where they are, as in what that one was told last; others come behind.

    Args:
        present: its hosts until now, in order.
        candidates: all hosts that could stand for it, by id; others leave.
        load: of all gateways but this one.
        leaving: what becomes of drained ones, if another lives.
    """
    here = [candidates[id] for id in present if id in candidates]
    if leaving == "as they are" and any(one.lives and one.silent for one in here):
        return _kept(here, candidates, load)
    living = [one for one in here if one.lives and not one.drained]
    drained = [one for one in here if one.lives and one.drained]
    dead = [one for one in here if not one.lives and not one.drained]
    before = list(takewhile(lambda one: one not in living, here))
    first = [one for one in drained if one in before or not living]
    staying = 0 if leaving == "gone" else len(drained)
    _fill(living, present, candidates, load, MOST_HOSTS - staying)
    living = _spread(living, candidates, load)
    if living and leaving != "as they are":
        first = []
    last = [] if leaving == "gone" else [one for one in drained if one not in first]
    order = [*first, *living, *last]
    return tuple(one.id for one in [*order, *dead[: max(0, MOST_HOSTS - len(order))]])


def _kept(
    here: Sequence[Candidate], candidates: Mapping[str, Candidate], load: Load
) -> tuple[str, ...]:
    """Return the hosts of a gateway as they are, and behind them others while there is room."""
    present, all_of = [one.id for one in here], list(here)
    living = sum(one.lives and not one.drained for one in here)
    room = min(MOST_HOSTS - len(here), MOST_HOSTS - living)
    _fill(all_of, present, candidates, load, len(here) + room)
    return tuple(one.id for one in all_of)


def is_handing_on(order: Sequence[str], candidates: Mapping[str, Candidate]) -> bool:
    """Tell whether a drained host of a gateway is still before one that follows it."""
    drained = [candidates[id].drained for id in order if id in candidates and candidates[id].lives]
    return drained != sorted(drained)


def _fill(
    living: list[Candidate],
    present: Sequence[str],
    candidates: Mapping[str, Candidate],
    load: Load,
    wanted: int,
) -> None:
    """Add hosts to those that live, until there are so many, or one at least."""
    spare = [one for one in candidates.values() if one.is_fit and one.id not in present]
    while spare and len(living) < max(1, wanted):
        chosen = min(spare, key=lambda one: _rank(one, living, load))
        spare.remove(chosen)
        living.append(chosen)


def _spread(
    living: Sequence[Candidate], candidates: Mapping[str, Candidate], load: Load
) -> list[Candidate]:
    """Return hosts that live, spread over zones as far as there are hosts, the first one as it is.

    Who is new comes last: nobody watches it yet, so it could not take over.
    """
    order = list(living)
    for one in reversed(living[1:]):
        if not _sharing(one, order[: order.index(one)]):
            continue
        others = [other for other in order if other is not one]
        fresh = [
            new
            for new in candidates.values()
            if new.is_fit and new not in order and not _sharing(new, others)
        ]
        if fresh:
            order = [*others, min(fresh, key=lambda new: _rank(new, others, load))]
    return order


def _sharing(one: Candidate, others: Sequence[Candidate]) -> int:
    """Return how many of some hosts are in the zone of one."""
    return sum(1 for other in others if one.zone is not None and other.zone == one.zone)


def _rank(one: Candidate, chosen: Sequence[Candidate], load: Load) -> tuple[int, int, int, str]:
    """Return what decides between hosts: another zone, then little to do."""
    shared = _sharing(one, chosen)
    listed, active = load.listed[one.id], load.active[one.id]
    return (shared, listed, active, one.id) if chosen else (shared, active, listed, one.id)


def is_dead(watchers: Sequence[bool], *, late: bool = False, told: bool = False) -> bool:
    """Tell whether a host is taken to be dead.

    That its reports are late does not say that it forwards no more: it may have lost the way to
    the controller and nothing else. Then it goes on as it was told last, so it counts as long as
    those who watch it see it.

    Args:
        watchers: what each living host that watches it says: whether it lives. One that is cut
            off itself sees nobody, so most of them have to agree.
        late: whether its own reports are late.
        told: whether they have been for long and its switch is connected all the same: without
            its agent it had better not be the active one, and hears that it is not.
    """
    return (late and (told or not watchers)) or sum(not one for one in watchers) * 2 > len(watchers)
