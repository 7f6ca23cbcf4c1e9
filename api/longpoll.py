"""Long polls for host states: no thread held while waiting, one look for all on a wake-up."""

import asyncio
from collections import Counter

import structlog

from api.context import SELF, Context
from api.wakeups import Pulse
from vpcctl.services.views import Actor

_GONE = -1
_SOON_S = 0.01
"""Seconds by which states wait that follow from where ports are: both cores have flows to make."""


class HostStateHub:
    """Knows the state revisions of the hosts that somebody waits for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pulses: dict[str, Pulse] = {}
        self._waiting: Counter[str] = Counter()
        self._revisions: dict[str, int] = {}
        self._wanted = Pulse()

    @property
    def polls(self) -> int:
        """Number of polls that wait."""
        return self._waiting.total()

    async def run(self) -> None:
        """Look for new states on every wake-up until cancelled."""
        poll_s = self._context.config.poll_s
        log = structlog.get_logger("api.polls")
        pulse = self._context.wakeups.pulse("hoststate")
        soon = self._context.wakeups.pulse("hoststate-soon")
        while True:
            if not self._waiting:
                await self._wanted.wait(3600.0)
                continue
            # Held before the look, so that a wake-up during it leads to another look.
            with pulse.held() as woken, soon.held() as soon_woken:
                try:
                    await self._look()
                except Exception as error:  # the database may be away for a while: try again
                    log.warning("host states cannot be read", error=str(error))
                wanted = {woken, soon_woken}
                await asyncio.wait(wanted, timeout=poll_s, return_when=asyncio.FIRST_COMPLETED)
                if soon_woken.done():
                    await asyncio.wait({woken}, timeout=_SOON_S)

    async def _look(self) -> None:
        hosts = tuple(self._waiting)
        found = await self._context.aside(self._context.services.hosts.state_revisions, SELF)
        for host in hosts:
            revision = found.get(host, _GONE)
            if host in self._waiting and self._revisions.get(host) != revision:
                self._revisions[host] = revision
                self._pulses[host].fire()

    async def newer(
        self,
        actor: Actor,
        host: str,
        *,
        after: int,
        timeout: float,
        gone: "asyncio.Future[None]",
    ) -> bool:
        """Wait until the state of *host* is not the one at revision *after*.

        Args:
            actor: who asks; the service decides whether it may.
            host: the host.
            after: revision that the asker has.
            timeout: seconds to wait at most.
            gone: done when the asker has gone away.

        Returns:
            Whether the state should be read now; False: the time is over.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        self._enter(host)
        try:
            # Entered first: a change after this look wakes us.
            service = self._context.services.hosts
            if await self._context.aside(service.state_revision, actor, host) != after:
                return True
            return await self._changed(host, after, deadline, gone)
        finally:
            self._leave(host)

    async def _changed(
        self, host: str, after: int, deadline: float, gone: "asyncio.Future[None]"
    ) -> bool:
        while self._revisions.get(host, after) == after:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or gone.done() or self._context.stopped:
                return False
            with self._context.stopping.held() as stopping:
                await self._pulses[host].wait(left, gone, stopping)
        return True

    def _enter(self, host: str) -> None:
        if host not in self._waiting:
            self._pulses[host] = Pulse()
            if not self._waiting:
                self._wanted.fire()
        self._waiting[host] += 1
        self._context.metrics.polls.set(self.polls)

    def _leave(self, host: str) -> None:
        self._waiting[host] -= 1
        if not self._waiting[host]:
            del self._waiting[host]
            del self._pulses[host]
            self._revisions.pop(host, None)
        self._context.metrics.polls.set(self.polls)
