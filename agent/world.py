"""Speaks on external networks for the addresses that this host answers for.

What is asked, answered and announced is decided in :mod:`agent.decide.world`. Frames go through
the internal port of br-int, as guests' do, in sockets of their own.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from agent.decide import marks
from agent.decide.guest.frames import ETH_IPV4, ETH_IPV6, Refused
from agent.decide.world.announce import SETTLE_S, Announcements
from agent.decide.world.answering import Known, answer, asker
from agent.decide.world.book import Address, Book
from agent.decide.world.frames import ETH_ARP, announcement
from agent.decide.world.neighbours import Neighbours
from agent.tap import Budget, Kind, Pattern, Tap
from agent.watches import Watches
from agent.wire.state import HostState
from agent.worker import Worker
from vpcctl.model.host import Question, outside_question

ADDRESS_BUDGET = 50
TOTAL_BUDGET = 2_000
"""A second: questions answered that concern one address, of all."""
_PERIOD_S = 1.0
_SHORTEST_S = 0.02
_KEEP_EVERY_S = 5.0
_PREFIX = outside_question(0, Question.HEARD) >> 32
_LONGEST = 9_216 + 14
"""A packet that waits for its next hop may be as long as the provider's network has them."""
_KIND = Kind((ETH_IPV4, ETH_IPV6, ETH_ARP), _PREFIX, _LONGEST)


class World:
    """Answers flows, and announces addresses.

    Args:
        worker: netlink's thread, which brings the port up.
        owner: id of this host.
        watches: know which other hosts live, and if the flows are here: else nothing is said.
        trouble: told what is wrong, or None when all is well.
        keep: given the counts now and then, when they have changed.

    Attributes:
        counts: how often what was asked (``error-in``), announced or refused, by its reason,
            since the agent's start.
    """

    def __init__(
        self,
        worker: Worker,
        owner: str,
        watches: Watches,
        trouble: Callable[[str | None], None],
        keep: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._owner = owner
        self._watches = watches
        self._keep = keep
        self._kept: dict[str, int] = {}
        self._keep_at = 0.0
        self._state: HostState | None = None
        self._book = Book()
        self._neighbours = Neighbours()
        self._announcements = Announcements(random.random)
        self._budget = Budget(total=TOTAL_BUDGET, port=ADDRESS_BUDGET)
        self._tap = Tap(worker, _KIND, self._answer, self._budget, trouble)
        self._renew_at = 0.0
        self._wake = asyncio.Event()
        self._stale = True  # what this host answers for is to be looked at again
        self.counts: Counter[str] = Counter()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        before, self._state = self._state, state
        if before is None or (before.external_networks, before.outside_addresses) != (
            state.external_networks,
            state.outside_addresses,
        ):
            self._book = Book(state)
            self.look()

    def look(self) -> None:
        """Look again at what this host answers for: another host died, or flows are there."""
        self._stale = True
        self._wake.set()

    def device_changed(self, name: str, *, gone: bool) -> None:
        """A device came, changed or went."""
        if name == marks.GUESTS and (gone or not self._tap.is_open):
            self._tap.close()
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self._wait()
            self._keep_counts()
            now = time.monotonic()
            if self._stale:
                self._stale = False
                self._look(now)
            if not len(self._book):
                self._tap.close()
                continue
            if not self._tap.is_open:
                await self._tap.open()
            if now >= self._renew_at:
                self._renew_at = now + _PERIOD_S
                self._tap.listen()
            self._speak(now)

    async def _wait(self) -> None:
        """Wait for news or for what is due next; for ever when there are no addresses."""
        delay: float | None = None
        if len(self._book):
            times = (self._announcements.next(), self._neighbours.next())
            due = min((each for each in times if each is not None), default=float("inf"))
            shortest = _SHORTEST_S if self._tap.is_open else _PERIOD_S
            delay = max(shortest, min(_PERIOD_S, due - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._wake.wait()
        self._wake.clear()

    def _speak(self, now: float) -> None:
        """Announce and ask what is due."""
        if not self._tap.is_open:
            return
        for address in self._announcements.due(now):
            self._tap.send(announcement(address))
            self.counts["announced"] += 1
        for frame in self._neighbours.due(now):
            self._tap.send(frame)
            self.counts["asked"] += 1

    def _look(self, now: float) -> None:
        here = self._here()
        returns = self._watches.returns
        told = [(each, sum(returns[host] for host in each.hosts)) for each in here]
        soon = self._announcements.want(self._book, told, now)
        self._neighbours.keep_fresh(here, now + (SETTLE_S if soon is None else soon))
        if soon is not None:
            self._neighbours.refresh(now + soon)

    def _here(self) -> list[Address]:
        """Return the addresses that this host answers for now."""
        if self._watches.is_held:
            return []
        lives, stands = self._watches.lives, self._watches.may_stand()
        known = (each for each in self._book if stands or len(each.hosts) < 2)
        return [each for each in known if each.is_here(self._owner, lives)]

    def _answer(self, frame: bytes) -> Pattern | None:
        """Answer a frame; return what marks those that are not to be heard for now."""
        who = asker(frame)
        if not self._budget.take(who):
            self.counts["limited"] += 1
            return who
        self._reply(frame)
        return None

    def _reply(self, frame: bytes) -> None:
        try:
            known = Known(self._book, self._neighbours, time.monotonic())
            name, frames = answer(frame, known)
        except Refused as reason:
            self.counts[str(reason)] += 1
            return
        self.counts[name] += 1
        for each in frames:
            self._tap.send(each)

    def _keep_counts(self) -> None:
        now = time.monotonic()
        if now >= self._keep_at and self._kept != self.counts:
            self._keep_at, self._kept = now + _KEEP_EVERY_S, dict(self.counts)
            self._keep(self._kept)
