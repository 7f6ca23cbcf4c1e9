"""Renews the host's certificate while the agent runs."""

import asyncio
import logging
from collections.abc import Callable

from agent import pki
from agent.client import Client, ClientError
from agent.settings import Settings
from vpcctl.pki.errors import PkiError
from vpcctl.wire.enrollment import CertificateAnswer

log = logging.getLogger(__name__)

_PERIOD_S = 3600.0
_LEAST_S = 5.0
_RETRY_S = 600.0
_ANSWER_S = 30.0


async def keep(settings: Settings, client: Client, changed: Callable[[], None]) -> None:
    """Renew in time, for ever; nothing to do on a machine that was never enrolled.

    Args:
        settings: with the state directory.
        client: of the API; uses the new certificate from its next connection on.
        changed: has to bring OVSDB's SSL row up to date.
    """
    loop = asyncio.get_running_loop()

    def post(request: str) -> CertificateAnswer:
        asked = asyncio.run_coroutine_threadsafe(client.renew(request), loop)
        return asked.result(_ANSWER_S)

    def tell_ovs(_files: pki.SslFiles) -> None:
        # The bridges' task reads what is current when it looks.
        loop.call_soon_threadsafe(changed)

    keeper = pki.CertificateKeeper(
        pki.open_store(settings.state_dir),
        post=post,
        tell_ovs=tell_ovs,
    )
    while True:
        pause = _PERIOD_S
        try:
            renewed = await loop.run_in_executor(None, keeper.run_once)
            if renewed is not None:
                client.use(renewed)
                log.info("certificate renewed: %s", renewed.directory.name)
            due = await loop.run_in_executor(None, keeper.due_in)
            pause = min(_PERIOD_S, max(_LEAST_S, due))
        except (PkiError, ClientError, TimeoutError, OSError) as error:
            log.warning("the certificate cannot be renewed now: %s", error or type(error).__name__)
            pause = _RETRY_S
        await asyncio.sleep(pause)
