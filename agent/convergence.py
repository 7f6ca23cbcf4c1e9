"""A task that makes something as it should be, whenever something has changed, until it is."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from agent.decide.backoff import Backoff
from agent.ovsdb import OvsdbError

log = logging.getLogger(__name__)

_DEBOUNCE_S = 0.005


class Trouble(Exception):
    """Something cannot be as it should; the text says why. Tried again later."""


class Convergence:
    """Calls *converge* after each :meth:`wake`, and again after a while when it fails.

    Args:
        converge: makes everything as it should be; does nothing where it is.
        tell: told what is wrong, or None when all is well.
    """

    def __init__(
        self, converge: Callable[[], Awaitable[None]], tell: Callable[[str | None], None]
    ) -> None:
        self._converge = converge
        self._tell = tell
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at everything again."""
        self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        failures = 0
        while True:
            await self._wait(failures)
            try:
                await self._converge()
            except Exception as error:  # netlink's own errors are plain Exceptions
                failures += 1
                expected = isinstance(error, Trouble | OvsdbError | OSError)
                text = str(error) if expected else repr(error)
                log.log(logging.WARNING if failures == 1 else logging.DEBUG, "%s", text)
                self._tell(str(error) or type(error).__name__)
            else:
                failures = 0
                self._tell(None)

    async def _wait(self, failures: int) -> None:
        delay = Backoff().delay(failures, random.random()) if failures else None  # noqa: S311
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_DEBOUNCE_S)
        self._wake.clear()
