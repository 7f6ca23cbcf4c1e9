"""What the API process does beside answering: liveness, pruning, and the hubs of its streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from api.context import Context
from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper

_CERTIFICATE_S = 60.0


async def _maintain(context: Context) -> None:
    """Flush and sweep the hosts' liveness and prune old records, about every second."""
    log = structlog.get_logger("api.upkeep")
    while True:
        try:
            await context.aside(context.services.maintain)
        except Exception as error:  # the database may be away for a while: try again
            log.warning("upkeep failed", error=str(error))
        await asyncio.sleep(context.config.maintain_s)


async def keep_certificate(tls: object) -> None:
    """Renew the server's certificate in time, and take over what another process renewed."""
    if not isinstance(tls, ServerKeeper):
        return
    log = structlog.get_logger("api.upkeep")
    loop = asyncio.get_running_loop()
    while True:
        try:
            if await loop.run_in_executor(None, tls.run_once):
                log.info("the server certificate was renewed")
        except (PkiError, OSError) as error:  # the present one goes on; it has weeks left
            log.error("the server certificate cannot be renewed", error=str(error))
        await asyncio.sleep(_CERTIFICATE_S)


@contextlib.asynccontextmanager
async def running(context: Context) -> AsyncIterator[None]:
    """Run everything that runs in the background, for the time of a block."""
    context.wakeups.start(("realised", "hoststate"))
    tasks = [
        asyncio.create_task(_maintain(context), name="upkeep"),
        asyncio.create_task(context.events.run(), name="events"),
        asyncio.create_task(context.polls.run(), name="polls"),
    ]
    try:
        yield
    finally:
        context.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        context.wakeups.stop()
        await asyncio.get_running_loop().run_in_executor(None, context.close)
