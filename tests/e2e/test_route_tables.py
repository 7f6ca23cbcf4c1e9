"""Changes of routes under traffic: no packet is lost between the old way and the new."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.waiting import wait_until
from tests.traffic.site import inside

pytestmark = [pytest.mark.root, pytest.mark.slow]
FAR, PORT = "198.51.100.9", 4711
"""Where the datagrams go: outside the VPC, at whichever workload the route leads to."""
_BEAT_S = 0.001


class Datagrams:
    """Numbered datagrams, one about every millisecond, and who got each.

    Attributes:
        sent: how many went out.
        got: receiver of each number that came, in order of arrival.
    """

    def __init__(self, source: Guest, targets: tuple[Guest, ...]) -> None:
        self.sent, self.got = 0, list[tuple[int, int]]()
        self._ended = threading.Event()
        self._out = inside(source.netns, _datagrams)
        self._in = [inside(one.netns, _datagrams) for one in targets]
        for wire in self._in:
            wire.bind(("", PORT))
            wire.settimeout(0.2)
        work = [threading.Thread(target=self._take, args=one) for one in enumerate(self._in)]
        self._threads = [*work, threading.Thread(target=self._send)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._ended.wait(_BEAT_S):
            self._out.sendto(str(self.sent).encode(), (FAR, PORT))
            self.sent += 1

    def _take(self, at: int, wire: socket.socket) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                self.got.append((int(wire.recv(64)), at))

    def reach(self, at: int) -> None:
        """Wait until what is sent from now on comes to receiver *at*."""
        start = self.sent
        wait_until(lambda: (last := self.got[-1:]) and last[0][0] > start and last[0][1] == at)

    def close(self) -> None:
        """End it."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        for wire in (self._out, *self._in):
            wire.close()


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@contextmanager
def _datagrams_to(source: Guest, targets: tuple[Guest, ...]) -> Iterator[Datagrams]:
    made = Datagrams(source, targets)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _tables(cloud: Cloud, vpc: dict[str, Any], targets: tuple[Guest, ...]) -> Iterator[list[str]]:
    """Make a route table for each target, which leads there; their paths. They go at the end."""
    first = _main_of(cloud, vpc)
    with ExitStack() as stack:
        made: list[str] = []
        for target in targets:
            route = {"destination": f"{FAR}/32", "targets": [target.id]}
            table = cloud.post("route-tables", vpc_id=vpc["id"], routes=[route])
            made.append(f"route-tables/{table['id']}")
            stack.callback(cloud.delete, made[-1])
        stack.callback(cloud.patch, first, main=True)
        yield made


def _main_of(cloud: Cloud, vpc: dict[str, Any]) -> str:
    tables = cloud.get(f"route-tables?vpc_id={vpc['id']}")["items"]
    return next(f"route-tables/{one['id']}" for one in tables if one["main"])


def _router(cloud: Cloud, at: int, subnet: dict[str, Any]) -> Guest:
    """Make a workload that takes what is for the far address."""
    made = cloud.guest(at, subnet, source_dest_check=False)
    made.run("ip", "addr", "add", f"{FAR}/32", "dev", "lo")
    return made


def _become_main(cloud: Cloud, table: str) -> None:
    cloud.patch(f"{table}?wait=realized&timeout=60", main=True)


def test_another_table_becomes_main_and_no_packet_is_lost(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.60.0.0/16"], tenant_id="routes")
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.60.1.0/24")
    client, one, two = cloud.guest(0, subnet), _router(cloud, 0, subnet), _router(cloud, 1, subnet)
    with _tables(cloud, vpc, (one, one, two)) as (old, same, other):
        _become_main(cloud, old)
        with _datagrams_to(client, (one, two)) as stream:
            stream.reach(0)
            begun = stream.sent
            for table, at in ((same, 0), (other, 1), (old, 0)):
                _become_main(cloud, table)
                stream.reach(at)
            ended = stream.sent
            stream.reach(0)
    came = sorted(number for number, _ in stream.got if begun <= number < ended)
    assert came == list(range(begun, ended)), f"{len(came)} of {ended - begun} came"
