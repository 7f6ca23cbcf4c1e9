"""Long polls for zones: one look at what changed for all who wait."""

import asyncio
from collections.abc import Mapping

import structlog

from api.context import SELF, Context

_SOON_S = 0.1
"""Seconds by which names come after traffic: whoever makes a port plugs it next."""


class ZoneHub:
    """Knows the revisions of all VPCs' zones while somebody waits for one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._revisions: dict[str, int] = {}
        self._seen = 0
        self._looking = asyncio.Lock()
        self._begun = 0
        self.polls = 0

    async def changed(
        self, host_id: str, known: Mapping[str, int], timeout: float, gone: "asyncio.Future[None]"
    ) -> dict[str, int]:
        """Wait until one of these zones has another revision than is known.

        Args:
            host_id: who asks. Whether it has a guest of a VPC is looked up when there is
                something to say, so that a VPC may come and go while it waits.
            known: revisions by VPC; of VPCs that are not there, or not on the host, nothing is
                said.
            timeout: seconds to wait at most.
            gone: done when the asker has gone away.

        Returns:
            Revisions of those that have; none: the time is over.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        pulse = self._context.wakeups.pulse("zones")
        self.polls += 1
        try:
            while True:
                # Held before the look, so that a change during it leads to another look.
                with pulse.held() as woken, self._context.stopping.held() as stopping:
                    found = await self._of_host(host_id, await self._look(known))
                    left = deadline - asyncio.get_running_loop().time()
                    if found or left <= 0 or gone.done() or self._context.stopped:
                        return found
                    wait = min(left, self._context.config.poll_s)
                    first = asyncio.FIRST_COMPLETED
                    await asyncio.wait({woken, stopping, gone}, timeout=wait, return_when=first)
                    if woken.done():
                        await asyncio.wait({stopping, gone}, timeout=_SOON_S, return_when=first)
        finally:
            self.polls -= 1

    async def _look(self, known: Mapping[str, int]) -> dict[str, int]:
        wanted = self._begun + 1  # a look that begins from now on
        async with self._looking:
            if self._begun < wanted:  # else one of those who came with us has looked
                self._begun += 1
                await self._learn()
        return {
            id: self._revisions[id]
            for id, revision in known.items()
            if self._revisions.get(id, revision) != revision
        }

    async def _of_host(self, host_id: str, found: dict[str, int]) -> dict[str, int]:
        """Return what was found of VPCs of which the host has a guest."""
        if not found:
            return found
        service = self._context.services.zones
        try:
            here = await self._context.aside(service.on_host, SELF, host_id, tuple(found))
        except Exception as error:  # the database may be away for a while: try again
            structlog.get_logger("api.zones").warning("guests cannot be read", error=str(error))
            return {}
        return {id: revision for id, revision in found.items() if id in here}

    async def _learn(self) -> None:
        service = self._context.services.zones
        try:
            news = await self._context.aside(service.revisions, SELF, self._seen)
        except Exception as error:  # the database may be away for a while: try again
            structlog.get_logger("api.zones").warning("zones cannot be read", error=str(error))
            return
        if any(revision <= self._seen for revision in news.values()):
            self._revisions, self._seen = {}, 0  # of a database that was replaced by an older copy
        self._revisions.update(news)
        self._seen = max((self._seen, *news.values()))
