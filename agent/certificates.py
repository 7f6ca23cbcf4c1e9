"""Has the host's certificate renewed while the agent runs."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import agent
from agent import pki
from agent.client import Client
from agent.settings import Settings
from vpcctl.pki.errors import PkiError

log = logging.getLogger(__name__)

_PERIOD_S = 3600.0
_LEAST_S, _AFTER_S = 5.0, 0.1
_RETRY_S = 600.0
_PATIENCE_S = 60.0
_ROOT = str(Path(agent.__file__).parent.parent)


async def keep(settings: Settings, client: Client, changed: Callable[[], None]) -> None:
    """Renew in time, for ever; nothing to do on a machine that was never enrolled.

    Args:
        settings: with the state directory.
        client: of the API; uses the new certificate from its next connection on.
        changed: has to bring OVSDB's SSL row up to date.
    """
    while True:
        try:
            due = await _attend(settings, client, changed)
            # Not a moment too early, by a clock that differs: it would be looked at too late then.
            pause = min(_PERIOD_S, max(_LEAST_S, due + _AFTER_S))
        except (PkiError, TimeoutError, OSError) as error:
            log.warning("the certificate cannot be renewed now: %s", error or type(error).__name__)
            pause = _RETRY_S
        await asyncio.sleep(pause)


async def _attend(settings: Settings, client: Client, changed: Callable[[], None]) -> float:
    """Renew if it is time to; return in how many seconds it is (infinity: never enrolled).

    OVS is told every time, so a crash between the swap on disk and the OVSDB transaction is made
    good by the next call.

    Raises:
        PkiError: it was not renewed, or the credentials on disk cannot be used.
        OSError: as open(2) and fork(2).
        TimeoutError: the process that renews takes too long.
    """
    store = pki.open_store(settings.state_dir)
    present = store.current()
    if present is None:
        return float("inf")
    changed()
    if pki.about(present).renew_at <= time.time():
        await _renew(settings)
        renewed = store.current()
        if renewed is not None and renewed != present:
            client.use(renewed)
            changed()
            log.info("certificate renewed: %s", renewed.directory.name)
            present = renewed
    return pki.about(present).renew_at - time.time()


async def _renew(settings: Settings) -> None:
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.renew"),
        stdin=PIPE,
        stderr=PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            _, said = await process.communicate(settings.told().encode())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode != 0:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise PkiError(last or f"its process ended with code {process.returncode}")
