"""Limits of ports limit what they are about, in their direction, and nobody else."""

import itertools
import socket
import time
from dataclasses import replace

import pytest

from tests.support.waiting import wait_until
from tests.traffic.site import Guest, Site
from tests.traffic.tenancy import Tenancy
from vpcctl.model.limits import Limits

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(120)]

Pair = tuple[Guest, Guest]
_numbers = itertools.count(1)
PORT = 7000
SIZE = 1_000
FRAME = SIZE + 42
"""Bytes on the wire: with the headers of Ethernet, IPv4 and UDP."""
BURST_KBIT, BURST_PACKETS = 1024, 20
SECONDS = 0.6


def limits(**rates: int) -> Limits:
    return Limits(next(_numbers), **rates)


def guest(tenancy: Tenancy, at: int, some: Limits | None = None) -> Guest:
    return tenancy.guest(at, groups=None, limits=some)


def limited(tenancy: Tenancy, one: Guest, some: Limits | None) -> None:
    """Change what *one* is limited to."""
    tenancy.site.change(replace(one.port, limits=some))


def flood(source: Guest, target: Guest, seconds: float = SECONDS) -> tuple[int, int, float]:
    """Send datagrams for a while; return how many were sent, how many came, in how many seconds."""
    with source.opens(socket.SOCK_DGRAM) as out, target.opens(socket.SOCK_DGRAM) as into:
        into.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
        into.bind(("0.0.0.0", PORT))
        into.settimeout(0.2)
        started, sent, came = time.monotonic(), 0, 0
        while time.monotonic() < started + seconds:
            out.sendto(bytes(SIZE), (target.ipv4, PORT))
            sent += 1
            time.sleep(0.0004)
        took = time.monotonic() - started
        try:
            while into.recv(2 * SIZE):
                came += 1
        except TimeoutError:
            return sent, came, took


def is_free(source: Guest, target: Guest) -> bool:
    """Tell whether everything comes, far more than any limit here lets through.

    Only a few are on their way at a time: a busy machine drops what comes too fast for it.
    """
    with source.opens(socket.SOCK_DGRAM) as out, target.opens(socket.SOCK_DGRAM) as into:
        into.bind(("0.0.0.0", PORT))
        into.settimeout(5.0)
        try:
            for number in range(800):
                out.sendto(bytes(SIZE), (target.ipv4, PORT))
                if number >= BURST_PACKETS:
                    into.recv(2 * SIZE)
            for _ in range(BURST_PACKETS):  # one that was lost on the way is missed here
                into.recv(2 * SIZE)
        except TimeoutError:
            return False
    return True


@pytest.fixture(scope="module")
def tenancy(site: Site) -> Tenancy:
    """One VPC for all: what is limited changes."""
    return Tenancy(site)


@pytest.fixture(scope="module")
def guests(tenancy: Tenancy) -> Pair:
    """Two guests of two hosts, who know each other."""
    one, other = guest(tenancy, 0), guest(tenancy, 1)
    wait_until(lambda: flood(one, other, seconds=0.1)[1] > 0, 20, "they reach each other")
    return one, other


@pytest.fixture
def pair(tenancy: Tenancy, guests: Pair) -> Pair:
    """The two, without limits."""
    tenancy.site.change(*(one.port for one in guests))
    return guests


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_packets_a_second(tenancy: Tenancy, pair: Pair, direction: str) -> None:
    one, other = pair
    limited(tenancy, one if direction == "egress" else other, limits(**{f"{direction}_pps": 100}))
    sent, came, seconds = flood(one, other)
    assert sent > 2 * came
    assert 50 <= came <= BURST_PACKETS + 100 * seconds + 10
    assert is_free(other, one), "the other direction is free"


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_bandwidth(tenancy: Tenancy, pair: Pair, direction: str) -> None:
    one, other = pair
    limited(tenancy, one if direction == "egress" else other, limits(**{f"{direction}_kbps": 800}))
    sent, came, seconds = flood(one, other)
    most = BURST_KBIT + 800 * seconds
    assert sent * FRAME * 8 / 1000 > 1.2 * most
    assert 0.7 * most <= came * FRAME * 8 / 1000 <= 1.1 * most
    limited(tenancy, one, None)
    limited(tenancy, other, None)
    assert is_free(one, other), "a limit that is gone limits nothing"


@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_of_two_limits_the_narrower_counts(tenancy: Tenancy, pair: Pair, direction: str) -> None:
    one, other = pair
    which = one if direction == "egress" else other
    wide = {f"{direction}_kbps": 1_000_000, f"{direction}_pps": 50}
    limited(tenancy, which, limits(**wide))
    _, came, seconds = flood(one, other)
    assert 25 <= came <= BURST_PACKETS + 50 * seconds + 10
    limited(tenancy, which, limits(**{f"{direction}_kbps": 400, f"{direction}_pps": 100_000}))
    _, came, seconds = flood(one, other)
    most = BURST_KBIT + 400 * seconds
    assert 0.6 * most <= came * FRAME * 8 / 1000 <= 1.1 * most


def test_a_limit_is_its_ports_alone(tenancy: Tenancy, pair: Pair) -> None:
    """Copies for a subnet reach the others although one that is at its limit is among them."""
    one, other = pair
    limited(tenancy, other, limits(ingress_pps=1))
    third = guest(tenancy, 1)
    flood(one, other)
    assert is_free(one, third)
    with one.opens(socket.SOCK_DGRAM) as out, third.opens(socket.SOCK_DGRAM) as into:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        into.bind(("0.0.0.0", PORT))
        into.settimeout(5.0)
        for number in range(40):
            out.sendto(bytes((number,)), ("255.255.255.255", PORT))
        assert [into.recv(10) for _ in range(40)] == [bytes((number,)) for number in range(40)]
