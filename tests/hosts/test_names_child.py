"""The process for names as the agent keeps it: for one that never answers nobody waits."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.bridges import Ovs
from agent.names.child import Child
from agent.names.plug import Plug
from agent.ovs_process import Vswitchd
from agent.worker import Worker
from tests.support.hosts import command, own_netns
from tests.support.names_process import guest, zone
from tests.support.waiting import PATIENCE_S
from tests.traffic.site import inside

HOST_ID = "host-00000000000000001"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """Netlink's thread on a host of its own, where the pair to the sockets is there already."""
    directory = tmp_path / "netns"
    with own_netns("nc") as netns:
        made = inside(netns, lambda: Worker(directory, HOST_ID, checksums_off=False))
        try:
            made.call(made.services.make)
            made.call(made.services.connect)
            yield made
        finally:
            made.call(made.services.remove)
            made.close()
            command("umount", "-l", str(directory), check=False)


async def _nothing(_: Any) -> None:
    """There is no bridge, so there is nothing to be written."""


def test_a_process_that_never_begins_to_answer_is_started_anew(
    worker: Worker, tmp_path: Path
) -> None:
    path = tmp_path / "vpc-one.zone"
    os.mkfifo(path)  # which nobody writes to: who opens it waits for ever
    counts: Counter[str] = Counter()
    said: list[str | None] = []
    told = asyncio.Event()

    def trouble(text: str | None) -> None:
        said.append(text)
        told.set()

    async def run() -> None:
        plug = Plug(Ovs(_nothing, dict), Vswitchd(tmp_path), "br-int", HOST_ID)
        child = Child(worker, plug, counts.update, trouble, ready_s=0.5)
        order = {"guests": [guest(1)], "zones": {"vpc-one": 1}, "forwarders": [], "ports": {}}
        child.tell({**order, "directory": str(tmp_path)})
        running = asyncio.create_task(child.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await told.wait()
                path.unlink()
                path.write_text(json.dumps(zone("one", ("web", ["10.0.1.10"]))) + "\n")
                child._ready_s = PATIENCE_S  # a machine that does much else may need longer
                while said[-1] is not None:
                    told.clear()
                    await told.wait()
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(run())
    assert said[0] == "names: the process did not begin to answer in 0.5 s"
    assert counts["names-silent"] >= 1
