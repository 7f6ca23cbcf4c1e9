"""Waits for new host states by long poll."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from agent.client import POLL_S, Client, ClientError
from agent.decide.backoff import Backoff
from vpcctl.wire.state import HostState

log = logging.getLogger(__name__)

_TOO_SOON_S = 0.05


async def watch(
    client: Client, revision: Callable[[], int], take: Callable[[HostState], None]
) -> None:
    """Give every new host state to *take*, for ever.

    After a failure, and at the start, the whole state is asked for and taken whatever its
    revision: the controller may have been restored from a copy that is older than what we hold.

    Args:
        client: of the API.
        revision: gives the revision that the agent holds.
        take: takes a state.
    """
    failures = 0
    resync = True
    while True:
        started = time.monotonic()
        try:
            if resync:
                state = await client.state(0, 0)
            else:
                state = await client.state(revision(), POLL_S)
        except ClientError as error:
            failures += 1
            log.log(logging.WARNING if failures == 1 else logging.DEBUG, "%s", error)
            resync = True
            await asyncio.sleep(Backoff(limit=2.0).delay(failures, random.random()))  # noqa: S311
            continue
        failures = 0
        if state is not None and (resync or state.revision != revision()):
            take(state)
        elif not resync and time.monotonic() - started < _TOO_SOON_S:
            await asyncio.sleep(_TOO_SOON_S)  # a server that does not wait must not spin us
        resync = False
