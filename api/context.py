"""What every request handler needs, in one object that hangs on the application."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from starlette.requests import Request

from api.config import ApiConfig
from api.idempotency import KeyLocks
from api.metrics import Metrics
from api.wakeups import Pulse, Wakeups
from vpcctl.services.counters import AT_ONCE
from vpcctl.services.facade import Services
from vpcctl.services.views import Actor

if TYPE_CHECKING:
    from api.auth import Authenticator
    from api.events import EventHub
    from api.longpoll import HostStateHub
    from api.readiness import SouthboundWatch
    from api.zone_polls import ZoneHub

P = ParamSpec("P")
R = TypeVar("R")

SELF = Actor(role="admin", token_id="")
"""The API process itself, for its upkeep and metrics."""

ACTOR = "vpcctl.actor"
REQUEST_ID = "vpcctl.request_id"


class Context:
    """Services, pools, pulses and hubs of one API process."""

    auth: "Authenticator"
    events: "EventHub"
    polls: "HostStateHub"
    southbound: "SouthboundWatch"
    zones: "ZoneHub"

    def __init__(self, services: Services, config: ApiConfig, wakeups: Wakeups) -> None:
        self.services = services
        self.config = config
        self.wakeups = wakeups
        self.metrics = Metrics()
        self.keys = KeyLocks()
        self.stopping = Pulse()
        self.stopped = False
        self._requests = ThreadPoolExecutor(config.request_threads, "api-request")
        # More threads than questions may wait: who comes beside them is refused at once.
        self._asking = ThreadPoolExecutor(2 * AT_ONCE, "api-asking")
        self._background = ThreadPoolExecutor(config.background_threads, "api-background")

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a service call of a request in its pool."""
        loop = asyncio.get_running_loop()
        bound = functools.partial(function, *args, **kwargs)
        return await loop.run_in_executor(self._requests, bound)

    async def ask(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a service call that waits for the southbound, where it holds up nothing else."""
        loop = asyncio.get_running_loop()
        bound = functools.partial(function, *args, **kwargs)
        return await loop.run_in_executor(self._asking, bound)

    async def aside(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a service call of a stream, wait, long poll or upkeep in its own pool."""
        loop = asyncio.get_running_loop()
        bound = functools.partial(function, *args, **kwargs)
        return await loop.run_in_executor(self._background, bound)

    def stop(self) -> None:
        """End every stream, wait and long poll now."""
        self.stopped = True
        self.stopping.fire()

    def wrote(self) -> None:
        """Tell the event streams that there may be news."""
        self.wakeups.pulse("written").fire()

    def close(self) -> None:
        """Give the threads back."""
        self._requests.shutdown(wait=True, cancel_futures=True)
        self._background.shutdown(wait=True, cancel_futures=True)
        self._asking.shutdown(wait=True, cancel_futures=True)


def context(request: Request) -> Context:
    """Return the application's context."""
    return request.app.state.context


def actor(request: Request) -> Actor:
    """Return who asks."""
    return request.scope[ACTOR]
