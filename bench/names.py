"""How fast names are answered: ``python -m bench.names [--rate 2000] [--seconds 10]`` (root).

The resolver's own process and its sockets, asked over the loopback of a network namespace of its
own; what flows and a guest's stack add is not in it. Names are those of 1,000 ports, in turn.
"""

import argparse
import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dns.message

from bench.stats import quantile

_NEWNET = 0x40000000
_KEY = 0x0001_0001
"""What the addresses of the loopback, 127.0.0.1 at both ends, say of the port."""
_VPC = "vpc-00000000000000001"
_PORTS = 1_000

_SERVER = """
import asyncio, json, sys
from pathlib import Path
from agent.decide.names.turns import Turns
from agent.decide.names.zone import Zone
from agent.names import sockets
from agent.names.dns_server import DnsServer
from agent.names.library import Library
from agent.names.zone_file import ZoneFile

async def run():
    library = Library()
    said = json.loads(sys.stdin.readline())
    await library.load(said["order"])
    file = library._zones[said["zone"]["vpc_id"]] = ZoneFile(Path())
    file.zone = Zone(said["zone"])
    await DnsServer(library, Turns()).start([sockets.datagrams(4)], [])
    print("ready", flush=True)
    await asyncio.Event().wait()

from agent.names import dns_server
dns_server.Limits = lambda: type("All", (), {"take": lambda *_: True})()
asyncio.run(run())
"""


def main() -> None:
    """Measure, and print percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="questions a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    _isolate()
    with _server() as process:
        times, lost = _ask(arguments.rate, arguments.seconds)
        memory = _resident(process.pid)
    shown = ", ".join(f"p{p} {quantile(times, p / 100) * 1e3:.3f} ms" for p in (50, 95, 99))
    print(f"{len(times)} answers, {lost} lost: {shown}; resident {memory:.0f} MiB")


def _isolate() -> None:
    """Move into a network namespace with nothing but a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: is this root?")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _zone() -> dict[str, object]:
    ports = {f"p{n}": (f"p{n}", [f"10.0.{n // 250}.{n % 250 + 2}"]) for n in range(_PORTS)}
    shown = {"vpc_id": _VPC, "revision": 1, "domain": "vpc.internal", "cidrs": ["10.0.0.0/16"]}
    return {**shown, "ports": ports, "records": []}


@contextmanager
def _server() -> Iterator[subprocess.Popen[str]]:
    guest = {
        "key": _KEY,
        "port_id": "port-1",
        "vpc_id": _VPC,
        "tenant": "one",
        "subnet_id": "subnet-1",
        "mac": "0e:00:00:00:00:01",
        "interfaces": ["10.0.0.2/24"],
        "ipv6_mode": None,
        "mtu": 1450,
        "host_name": "p0",
        "domain": "",
        "resolvers": [],
        "public": [],
        "availability_zone": "",
        "tags": [],
    }
    order = {"guests": [guest], "forwarders": [], "directory": "/", "zones": {}, "ports": {}}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"order": order, "zone": _zone()}) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def _ask(rate: int, seconds: float) -> tuple[list[float], int]:
    """Return how long each answer took, seconds, and how many there were none of."""
    names = [f"p{n}.vpc.internal" for n in range(_PORTS)]
    questions = [dns.message.make_query(name, "A", id=0).to_wire()[2:] for name in names]
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("127.0.0.1", 0))
    client.connect(("127.0.0.1", 53))
    client.settimeout(0.5)
    times: list[float] = []
    lost, start = 0, time.perf_counter()
    for number in range(int(rate * seconds)):
        while (now := time.perf_counter()) < start + number / rate:
            if start + number / rate - now > 2e-4:
                time.sleep(1e-4)
        client.send((number & 0xFFFF).to_bytes(2, "big") + questions[number % _PORTS])
        try:
            client.recv(4096)
        except TimeoutError:
            lost += 1
            continue
        times.append(time.perf_counter() - now)
    return times, lost


def _resident(pid: int) -> float:
    """Return a process's resident memory, MiB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
