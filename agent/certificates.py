"""Renews the host's certificate while the agent runs."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent import pki
from agent.client import Client, ClientError
from agent.settings import Settings
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import CredentialStore
from vpcctl.wire.enrollment import CertificateAnswer

if TYPE_CHECKING:
    from agent.renewal import CertificateKeeper

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

    def make() -> "CertificateKeeper":
        # Off the loop, and for hosts that have certificates alone: OpenSSL's bindings, 10 MiB.
        from agent.renewal import CertificateKeeper

        return CertificateKeeper(store, post=post, tell_ovs=tell_ovs)

    store = pki.open_store(settings.state_dir)
    while not _has_credentials(store):
        await asyncio.sleep(_PERIOD_S)
    keeper = await loop.run_in_executor(None, make)
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


def _has_credentials(store: CredentialStore) -> bool:
    try:
        return store.current() is not None
    except OSError as error:
        log.warning("%s cannot be read: %s", store.link, error)
        return False
