"""The agent's answers to guests, alone in a process, on a device as br-int's internal port is one.

Started as a program it answers for the guests of a state that it reads; each line that it reads
after that it answers with what it has counted.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.decide import marks
from agent.guests import GuestAnswers
from agent.wire.base import read, written
from agent.wire.state import HostState
from agent.worker import Worker
from tests.support.hosts import command, own_netns
from tests.traffic.site import inside

ROOT = Path(__file__).resolve().parents[2]
_FAR = "far"


class GuestsProcess:
    """The process, and the far end of its device.

    Attributes:
        wire: where frames go in and answers come out.
    """

    def __init__(self, netns: str, state: HostState) -> None:
        inside_it = ("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{netns}")
        self._process = subprocess.Popen(
            [*inside_it, sys.executable, "-m", "tests.support.guests_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.wire = inside(netns, _opened)
        self._say(written(state).decode())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def counts(self) -> Counter[str]:
        """Return what it has counted."""
        self._say("")
        assert self._process.stdout is not None
        return Counter(json.loads(self._process.stdout.readline()))

    def resident(self) -> int:
        """Return how much memory it has, KiB."""
        with open(f"/proc/{self._process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def close(self) -> None:
        """End it."""
        self.wire.close()
        self._process.kill()
        self._process.communicate()


def _opened() -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((_FAR, 3))  # ETH_P_ALL
    wire.settimeout(10)
    return wire


@contextmanager
def guests_process(state: HostState) -> Iterator[GuestsProcess]:
    """Start the process in a namespace of its own; nothing of it is left at the end."""
    with own_netns("gp") as netns:
        words = ("mtu", "9000", "type", "veth", "peer", "name", _FAR, "mtu", "9000")
        command("ip", "-n", netns, "link", "add", marks.GUESTS, *words)
        command("ip", "-n", netns, "link", "set", _FAR, "up")
        process = GuestsProcess(netns, state)
        try:
            yield process
        finally:
            process.close()


async def _run() -> None:
    reader = asyncio.StreamReader(limit=1 << 26)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker(Path("/nonexistent"), "host", checksums_off=False)
    answers = GuestAnswers(worker, lambda _: None, lambda _: None)
    answers.want(read(HostState, await reader.readline()))
    running = asyncio.create_task(answers.run())
    while await reader.readline():
        print(json.dumps(answers.counts), flush=True)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(_run())
