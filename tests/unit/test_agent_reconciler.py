"""What is heard of an attachment while it is being made is not lost."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from agent.decide import marks
from agent.decide.rows import Wish
from agent.reconciler import Reconciler
from agent.worker import Worker
from tests.support.controller import attachment

WANTED = attachment(1, "red", "10.0.0.2/24")


class _Worker:
    """Runs calls at once and counts how often the one attachment was looked at."""

    def __init__(self) -> None:
        self.looks = 0
        self.attachments = self

    def converge(self, wanted: object) -> bool:
        self.looks += 1
        return True

    async def run(self, call: Callable[[], Any]) -> Any:
        return call()


def test_a_device_that_goes_while_it_is_plugged_is_looked_at_again() -> None:
    async def scenario() -> None:
        worker = _Worker()
        plugged: list[int] = []

        async def apply(wishes: Sequence[Wish]) -> None:
            plugged.append(len(wishes))
            if len(plugged) == 1:  # made already, but not noted as done
                reconciler.device_gone(marks.host_end(WANTED.port_id))

        reconciler = Reconciler(
            cast(Worker, worker), apply, bridge="br-int", owner="host-1", changed=lambda: None
        )
        reconciler.want([WANTED])
        task = asyncio.create_task(reconciler.run())
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        assert (worker.looks, len(plugged)) == (2, 2)
        assert not reconciler.ledger.suspect

    asyncio.run(scenario())
