"""What the API process does beside answering: liveness, pruning, and the hubs of its streams."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from api.context import Context
from vpcctl.model.problems import Problem


async def _maintain(context: Context) -> None:
    """Look after tokens in use, the hosts' liveness and old records, about every second."""
    log = structlog.get_logger("api.upkeep")
    while True:
        try:
            await context.auth.look_again()  # first: to read may go where to write does not
            await context.aside(context.services.maintain)
        except Exception as error:  # the database may be away for a while: try again
            log.warning("upkeep failed", error=str(error))
        await asyncio.sleep(context.config.maintain_s)


@contextlib.asynccontextmanager
async def running(context: Context) -> AsyncIterator[None]:
    """Run everything that runs in the background, for the time of a block."""
    context.wakeups.start(("realised", "hoststate", "hoststate-soon", "zones"))
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
        with contextlib.suppress(Problem):
            await context.aside(context.services.reports.flush_liveness)
        await asyncio.get_running_loop().run_in_executor(None, context.close)
