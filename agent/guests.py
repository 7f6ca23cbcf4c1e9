"""Answers guests through an internal port of br-int.

What is asked and answered is decided in :mod:`agent.decide.guest`. What a guest may cost is
limited twice, each port and all of them together; beyond that the sockets are not read for the
rest of the second, and the kernel drops for us.
"""

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping

from agent.decide import marks
from agent.decide.guest.answering import answer
from agent.decide.guest.book import Book
from agent.decide.guest.frames import ETH_IPV4, ETH_IPV6, MAX_FRAME, Refused, port_key
from agent.decide.guest.router import advertise
from agent.decide.guest.schedule import Schedule
from agent.worker import Worker
from vpcctl.wire.state import HostState

log = logging.getLogger(__name__)

PORT_BUDGET = 20
TOTAL_BUDGET = 1_000
READ_BUDGET = 10_000
"""A second: questions answered of one port, of all; frames read, answered or not."""
_BATCH = 32
_PERIOD_S = 1.0
_KEEP_EVERY_S = 5.0


class Budget:
    """How many more questions are answered in this period.

    Attributes:
        reads: frames that may still be read.
        total: questions that may still be answered.
    """

    def __init__(
        self, *, total: int = TOTAL_BUDGET, port: int = PORT_BUDGET, reads: int = READ_BUDGET
    ) -> None:
        self._full, self._port, self._reads = total, port, reads
        self._used: dict[int, int] = {}
        self.total, self.reads = total, reads

    def renew(self) -> None:
        """Begin a new period."""
        self.total, self.reads = self._full, self._reads
        self._used.clear()

    def is_spent(self) -> bool:
        """Tell whether nothing more is to be read in this period."""
        return self.total <= 0 or self.reads <= 0

    def take(self, key: int) -> bool:
        """Count one frame of a port; tell whether it may be answered."""
        self.reads -= 1
        used = self._used[key] = self._used.get(key, 0) + 1
        if used > self._port:
            return False
        self.total -= 1
        return True


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
        self._worker = worker
        self._trouble = trouble
        self._keep = keep
        self._kept: dict[str, int] = {}
        self._keep_at = 0.0
        self._budget = Budget()
        self._book = Book()
        self._schedule = Schedule(random.random)
        self._sockets: list[socket.socket] = []
        self._wake = asyncio.Event()
        self._wake.set()
        self.counts: Counter[str] = Counter()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        self._book = Book(state, self._book)
        self._schedule.want(self._book, time.monotonic())

    def device_changed(self, name: str, *, gone: bool) -> None:
        """A device came, changed or went."""
        if name == marks.GUESTS and (gone or not self._sockets):
            self._close()
            self._wake.set()

    def send(self, frame: bytes) -> None:
        """Send a frame to the port that its source MAC names, from the gateway's MAC."""
        if self._sockets:
            with contextlib.suppress(OSError):  # a full queue: the guest asks again
                self._sockets[0].send(frame)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_S):
                    await self._wake.wait()
            self._wake.clear()
            self._keep_counts()
            if not self._sockets:
                await self._open()
            else:
                self._budget.renew()
                self._listen()
                self._advertise()

    def _keep_counts(self) -> None:
        now = time.monotonic()
        if now >= self._keep_at and self._kept != self.counts:
            self._keep_at, self._kept = now + _KEEP_EVERY_S, dict(self.counts)
            self._keep(self._kept)

    def _advertise(self) -> None:
        """Tell guests of their routers whose time it is."""
        for entry in self._schedule.due(time.monotonic()):
            self.send(advertise(entry))
            self.counts["ra-sent"] += 1

    async def _open(self) -> None:
        device = await self._worker.run(lambda: self._worker.underlay.device(marks.GUESTS))
        if device is None:
            return
        try:
            await self._worker.run(lambda: self._worker.underlay.serve_on(marks.GUESTS))
            self._sockets = [_opened(kind) for kind in (ETH_IPV4, ETH_IPV6)]
        except Exception as error:  # netlink's own errors are plain Exceptions
            self._trouble(f"{marks.GUESTS}: {error}")
            return
        self._trouble(None)
        self._listen()

    def _listen(self) -> None:
        for opened in self._sockets:
            asyncio.get_running_loop().add_reader(opened, self._readable, opened)

    def _readable(self, opened: socket.socket) -> None:
        """Answer what is there; stop listening for the rest of the period when it is too much."""
        for _ in range(_BATCH):
            if self._budget.is_spent():
                asyncio.get_running_loop().remove_reader(opened)
                return
            try:
                frame = opened.recv(MAX_FRAME + 1)
            except BlockingIOError:
                return
            except OSError as error:
                log.info("%s: %s", marks.GUESTS, error)
                self._close()
                return
            self._answer(frame)

    def _answer(self, frame: bytes) -> None:
        key = port_key(frame)
        if not self._budget.take(0 if key is None else key):
            self.counts["limited"] += 1
            return
        try:
            found = answer(frame, self._book)
        except Refused as reason:
            self.counts[str(reason)] += 1
            return
        self.counts[f"{found.service}-answered"] += 1
        for each in found.frames:
            self.send(each)

    def _close(self) -> None:
        for opened in self._sockets:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self._sockets = []


def _opened(kind: int) -> socket.socket:
    """Return a socket of one Ethernet type: what we send ourselves is not heard again."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
    opened.setblocking(False)
    opened.bind((marks.GUESTS, 0))
    return opened
