"""Parts of the API that need no HTTP."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from api import preconditions
from api.limits import RateLimit
from api.readiness import Patience, SouthboundWatch
from api.wakeups import Pulse
from vpcctl.model.problems import Unavailable
from vpcctl.services.facade import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rate_limit_refills() -> None:
    clock = Clock()
    limit = RateLimit(2.0, 3.0, clock)
    assert [limit.take("a") for _ in range(3)] == [0.0] * 3
    assert limit.take("a") == pytest.approx(0.5)
    assert limit.take("b") == 0.0
    clock.now += 0.5
    assert limit.take("a") == 0.0
    assert limit.take("a") == pytest.approx(0.5)
    clock.now += 3600
    assert [limit.take("a") > 0 for _ in range(4)] == [False] * 3 + [True]


def test_a_southbound_that_stands_still_is_noticed() -> None:
    state = {"revision": 5, "processed": 5}

    def progress(_concern: Any, revision: int) -> Progress:
        return Progress(state["processed"] >= revision, state["processed"])

    services: Any = SimpleNamespace(
        status=SimpleNamespace(ready=lambda: None, progress=progress),
        events=SimpleNamespace(latest=lambda: (state["revision"], 0)),
    )
    clock = Clock()
    present = [True]
    watch = SouthboundWatch(services, lambda: present[0], Patience(10.0, clock))
    clock.now += 100
    watch.check()
    state["revision"] = 9
    watch.check()
    clock.now += 11
    with pytest.raises(Unavailable):
        watch.check()
    state["processed"] = 6  # behind, but it moves
    watch.check()
    clock.now += 11
    with pytest.raises(Unavailable):
        watch.check()
    state["processed"] = 9
    watch.check()
    present.clear()
    present.append(False)
    with pytest.raises(Unavailable, match="not there"):
        watch.check()


def test_a_pulse_wakes_whoever_waits() -> None:
    async def scenario() -> None:
        pulse = Pulse()
        assert not await pulse.wait(0.001)
        waiters = [asyncio.create_task(pulse.wait(20)) for _ in range(1000)]
        await asyncio.sleep(0)
        pulse.fire()
        assert all(await asyncio.gather(*waiters))
        with pulse.held() as held:
            pulse.fire()
            assert await pulse.wait(20, held)

    asyncio.run(scenario())


def test_if_match_lists() -> None:
    assert preconditions.if_match('"1", "22",W/"3"') == (1, 22)
    assert preconditions.if_match(" * ") is None
    assert preconditions.if_match(None) is None
