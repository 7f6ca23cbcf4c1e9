"""Waits for new host states by long poll."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from agent.client import POLL_S, Client, ClientError
from agent.decide.backoff import Backoff
from agent.wire.state import HostState

log = logging.getLogger(__name__)

_TOO_SOON_S = 0.05


class Poller:
    """The long poll for host states.

    After a failure, and at the start, the whole state is asked for and taken whatever its
    revision: the controller may have been restored from a copy that is older than what we hold.

    Args:
        client: of the API.
        revision: gives the revision that the agent holds.
        take: takes a state.
    """

    def __init__(
        self, client: Client, revision: Callable[[], int], take: Callable[[HostState], None]
    ) -> None:
        self._client = client
        self._revision = revision
        self._take = take
        self._resync = True
        self._asking: asyncio.Task[HostState | None] | None = None

    def resync(self) -> None:
        """Ask for the whole state now: the controller was away and may be another one."""
        self._resync = True
        if self._asking is not None:
            self._asking.cancel()

    async def run(self) -> None:
        """Poll for ever."""
        failures = 0
        while True:
            started, whole = time.monotonic(), self._resync
            self._resync = False
            try:
                state = await self._ask(whole=whole)
            except ClientError as error:
                failures += 1
                log.log(logging.WARNING if failures == 1 else logging.DEBUG, "%s", error)
                self._resync = True
                await asyncio.sleep(Backoff(limit=2.0).delay(failures, random.random()))  # noqa: S311
                continue
            failures = 0
            if state is not None and (whole or state.revision != self._revision()):
                self._take(state)
            elif not self._resync and time.monotonic() - started < _TOO_SOON_S:
                await asyncio.sleep(_TOO_SOON_S)  # a server that does not wait must not spin us
            del state  # else it would be kept until the next one

    async def _ask(self, *, whole: bool) -> HostState | None:
        """Ask once; None when nothing changed or :meth:`resync` came in between."""
        asking = self._client.state(0, 0) if whole else self._client.state(self._revision(), POLL_S)
        self._asking = asyncio.create_task(asking)
        try:
            await asyncio.wait([self._asking])
            return None if self._asking.cancelled() else self._asking.result()
        finally:
            self._asking.cancel()
            self._asking = None
