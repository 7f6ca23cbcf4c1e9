"""What the southbound keeps, and that it never keeps others waiting, however large a network is."""

import asyncio
import subprocess
import sys

from tests.southbound.memory_worker import changes
from vpcctl.model.changes import ChangeBatch
from vpcctl.southbound.network_program import NetworkProgram

_PORTS = 20_000
_MOST_BYTES = 1_200


def test_a_port_takes_little_more_than_a_kibibyte() -> None:
    command = (sys.executable, "-m", "tests.southbound.memory_worker", str(_PORTS))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert 0 < int(done.stdout) <= _MOST_BYTES


def test_loading_lets_others_run() -> None:
    async def scenario() -> int:
        program, turns = NetworkProgram(), 0
        loading = asyncio.create_task(program.load(ChangeBatch(7, tuple(changes(5_000)))))
        while not loading.done():
            turns += 1
            assert program.revision == 0
            await asyncio.sleep(0)
        assert program.revision == 7
        return turns

    assert asyncio.run(scenario()) > 2
