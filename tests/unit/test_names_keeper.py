"""What the process that answers for names is told: every state, however soon after another."""

import asyncio
from pathlib import Path
from typing import Any

from agent.client import Client
from agent.names.keeper import Keeper
from agent.settings import Settings as AgentSettings
from vpcctl.wire.state import HostState, Settings

HOST = "host-00000000000000001"
STATES = 4


def state(number: int) -> HostState:
    return HostState(
        revision=number,
        host_id=HOST,
        name="test",
        dpid=1,
        openflow_targets=("unix:/nonexistent/of.sock",),
        settings=Settings(dns_forwarders=(f"192.0.2.{number}",)),
    )


async def _last_told(directory: Path) -> list[str]:
    """Return the newest that is told when each state comes as soon as an earlier one is told."""
    options = AgentSettings(host_id=HOST, api_url=f"unix:{directory}/none")
    told: list[list[str]] = []
    number = 1
    done = asyncio.Event()

    def tell(order: dict[str, Any]) -> None:
        nonlocal number
        told.append(order["forwarders"])
        if told[-1] == [f"192.0.2.{STATES}"]:
            done.set()
        elif told[-1] == [f"192.0.2.{number}"]:
            number += 1
            asyncio.get_running_loop().call_soon(keeper.want, state(number))

    keeper = Keeper(Client(options), directory, tell)
    keeper.want(state(number))
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        running.cancel()
    return told[-1]


def test_states_that_come_in_a_burst_are_all_told(tmp_path: Path) -> None:
    assert asyncio.run(_last_told(tmp_path)) == [f"192.0.2.{STATES}"]
