"""``wait=realized``: answer a write only when every host concerned has acknowledged it.

An EIP that is in use, and a NAT gateway, also need a host that carries them; a drained host must
stand for no gateway any more.
"""

import asyncio

from api.context import Context
from api.problems import Lagging
from vpcctl.services.facade import Concern


async def wait_realized(
    context: Context, concern: Concern, revision: int, resource_id: str, timeout: float
) -> None:
    """Wait until *revision* is realised on the hosts of *concern*.

    Raises:
        Lagging: it was not within *timeout* seconds, or the process stops.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    pulse = context.wakeups.pulse("realised")
    while True:
        # Held before the look, so that a wake-up during it is not lost.
        with pulse.held() as woken, context.stopping.held() as stopping:
            progress = await context.aside(context.services.status.progress, concern, revision)
            if progress.realized:
                return
            left = deadline - loop.time()
            if left <= 0 or context.stopped:
                raise Lagging(
                    revision=revision,
                    resource_id=resource_id,
                    hosts=progress.behind,
                    lacking=progress.lacking,
                    holding=progress.holding,
                )
            await asyncio.wait(
                {woken, stopping},
                timeout=min(left, context.config.poll_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
