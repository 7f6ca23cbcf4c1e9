"""Answers guests through an internal port of br-int.

What is asked and answered is decided in :mod:`agent.decide.guest`. What a guest may cost is
limited twice, each port's kinds of question and all of them together; beyond that the sockets are
not read for the rest of the second, and the kernel drops for us.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from agent.decide import marks
from agent.decide.guest.answering import answer, asking, marks_of
from agent.decide.guest.book import Book
from agent.decide.guest.frames import ETH_IPV4, ETH_IPV6, MAX_FRAME, Refused
from agent.decide.guest.schedule import Schedule
from agent.tap import Budget, Kind, Pattern, Tap
from agent.wire.state import HostState
from agent.worker import Worker
from vpcctl.model.host import GUEST_SERVICE_MAC, QUESTION_BURST, QUESTION_RATE

PORT_BUDGET = QUESTION_BURST + QUESTION_RATE
TOTAL_BUDGET = 1_000
"""A second: questions answered of one port and kind, which is what its meter lets through at most,
and of all ports."""
_PERIOD_S = 1.0
_KEEP_EVERY_S = 5.0
_KIND = Kind((ETH_IPV4, ETH_IPV6), GUEST_SERVICE_MAC >> 32, MAX_FRAME)


class GuestAnswers:
    """Answers on the internal port while there is one.

    Args:
        worker: netlink's thread, which brings the port up.
        trouble: told what is wrong, or None when all is well.
        keep: given the counts now and then, when they have changed.

    Attributes:
        counts: how often what was answered (``dhcp4-answered``), said unasked (``ra-sent``) or
            refused, by its reason, since the agent's start.
    """

    def __init__(
        self,
        worker: Worker,
        trouble: Callable[[str | None], None],
        keep: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._keep = keep
        self._kept: dict[str, int] = {}
        self._keep_at = 0.0
        self._budget = Budget(total=TOTAL_BUDGET, port=PORT_BUDGET)
        self._tap = Tap(worker, _KIND, self._answer, self._budget, trouble)
        self._book = Book()
        self._schedule = Schedule(random.random)
        self._wake = asyncio.Event()
        self._wake.set()
        self.counts: Counter[str] = Counter()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        self._book = Book(state, self._book)
        self._schedule.want(self._book, time.monotonic())

    def device_changed(self, name: str, *, gone: bool) -> None:
        """A device came, changed or went."""
        if name == marks.GUESTS and (gone or not self._tap.is_open):
            self._tap.close()
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_S):
                    await self._wake.wait()
            self._wake.clear()
            self._keep_counts()
            if not self._tap.is_open:
                await self._tap.open()
            else:
                self._tap.listen()
                self._advertise()

    def _keep_counts(self) -> None:
        now = time.monotonic()
        if now >= self._keep_at and self._kept != self.counts:
            self._keep_at, self._kept = now + _KEEP_EVERY_S, dict(self.counts)
            self._keep(self._kept)

    def _advertise(self) -> None:
        """Tell guests of their routers whose time it is."""
        for frame in self._schedule.due(time.monotonic()):
            self._tap.send(frame)
            self.counts["ra-sent"] += 1

    def _answer(self, frame: bytes) -> Pattern | None:
        """Answer a frame; return what marks those that are not to be heard for now."""
        who = asking(frame)
        if not self._budget.take(who, self._book.tenant(who.key)):
            self.counts["limited"] += 1
            return marks_of(frame)
        self._reply(frame)
        return None

    def _reply(self, frame: bytes) -> None:
        try:
            found = answer(frame, self._book)
        except Refused as reason:
            self.counts[str(reason)] += 1
            return
        self.counts[f"{found.service}-answered"] += 1
        for each in found.frames:
            self._tap.send(each)
