"""HTTPS with the installation's own certificate, which is renewed under the running server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper

PERIOD_S = 60.0


@contextlib.asynccontextmanager
async def keeping(keeper: ServerKeeper | None) -> AsyncIterator[None]:
    """Renew the server's certificate in time, for the time of a block; None: there is none."""
    task = None if keeper is None else asyncio.create_task(_keep(keeper), name="certificate")
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _keep(keeper: ServerKeeper) -> None:
    log = structlog.get_logger("api.tls")
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.run_in_executor(None, keeper.renew)
            if keeper.reload():
                log.info("the server certificate was renewed")
        except (PkiError, OSError) as error:  # the present one goes on: it has weeks left
            log.error("the server certificate cannot be renewed", error=str(error))
        await asyncio.sleep(PERIOD_S)
