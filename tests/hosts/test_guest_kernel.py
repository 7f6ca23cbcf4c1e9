"""Router advertisements as a real guest's kernel takes them."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from agent.decide.guest.book import Book
from agent.decide.guest.schedule import Schedule
from tests.support import guest_frames as g
from tests.support.hosts import command, own_netns
from tests.support.waiting import wait_until
from tests.traffic.site import inside

DEVICE, FAR = "eth0", "far"
MADE, CHOSEN = "fd00:1::400:ff:fe00:1", "fd00:1::20"


class Kernel:
    """A guest that listens to routers and asks nobody, and the far end of its wire."""

    def __init__(self, netns: str) -> None:
        self._netns = netns
        words = ("address", g.MAC.hex(":"), "type", "veth", "peer", "name", FAR)
        command("ip", "-n", netns, "link", "add", DEVICE, *words)
        switches = (f"net.ipv6.conf.{DEVICE}.{name}" for name in ("accept_ra=2", "dad_transmits=0"))
        command("ip", "netns", "exec", netns, "sysctl", "-qw", *switches)
        for device in (FAR, DEVICE):
            command("ip", "-n", netns, "link", "set", device, "up")
        self.wire = inside(netns, _opened)

    def hears(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.wire.send(frame)

    def addresses(self) -> dict[str, int]:
        """Its addresses of the block, and for how long each is preferred, seconds."""
        said = self._asks("address", "show", "dev", DEVICE, "scope", "global")
        found = [one for device in said for one in device.get("addr_info", ())]
        return {one["local"]: one["preferred_life_time"] for one in found if one}

    def has_router(self) -> bool:
        return bool(self._asks("route", "show", "default"))

    def _asks(self, *words: str) -> list[dict[str, Any]]:
        return json.loads(command("ip", "-n", self._netns, "-j", "-6", *words).stdout or "[]")


def _opened() -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((FAR, 0))
    return wire


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with own_netns("ra") as netns:
        made = Kernel(netns)
        try:
            yield made
        finally:
            made.wire.close()


def book(*addresses: str) -> Book:
    return Book(g.state(g.guest(g.KEY, g.MAC, "10.0.1.20", *addresses), subnet=g.block("slaac")))


@pytest.mark.parametrize(
    ("after", "has_router"), [((CHOSEN,), True), ((), False)], ids=["another", "none"]
)
def test_an_address_that_the_port_has_lost_is_not_preferred_any_more(
    kernel: Kernel, after: tuple[str, ...], has_router: bool
) -> None:
    """The kernel keeps it for two hours at least, for the sake of what began with it."""
    schedule = Schedule(lambda: 0.0)
    schedule.want(book(MADE), 0.0)
    frames = schedule.due(0.0)

    def has_made() -> bool:
        kernel.hears(frames)
        return kernel.addresses().get(MADE, 0) > 0

    wait_until(has_made, what="the guest makes its address")
    schedule.want(book(*after), 1.0)
    kernel.hears(schedule.due(1.0))
    wait_until(lambda: kernel.addresses() == {MADE: 0}, what="deprecated")
    assert kernel.has_router() == has_router
