"""``guests``: what guests ask their own host, DHCP and DNS, and what answering costs."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cpu
from bench.addressing import mass_port
from bench.guest_crowd import Answered, Crowd, local_port
from bench.processes import Process
from bench.session import Session, Value
from bench.stats import quantile
from bench.systems import make_system
from bench.systems.base import System
from bench.systems.ours import Ours
from bench.world import World

KEY = "guests"
DHCP_RATE, DNS_RATE = 200.0, 2_000.0
"""Questions a second of one host's guests altogether: the goals' own."""
NEIGHBOUR_RATE = 500.0
"""Names asked for by the others while one floods: less than what a flood and they can both have."""
FLOOD_RATE = 5_000.0
MOST = {"dhcp": (20, 40), "dns": (1_024, 2_048)}
"""Questions a second and at once of one port that are answered; see docs/guests.md."""

_NAMES = 1_000
"""Twice what is kept of a VPC's answers: asked for in turn, each is new again."""
_REPEATED = 20
_DOMAIN = "vpc.internal"
_AROUND_S = 0.5
_DEVICES = {"dhcp": "vpcctl-guests", "dns": "vpcctl-services"}
"""Through which questions come to the agent."""
_DETAIL = {"dhcp": "DHCP", "dns": "DNS"}


@dataclass(frozen=True, slots=True)
class Setup:
    """A system with its guests.

    Attributes:
        system: that is measured.
        crowd: guests that ask; their process has real-time priority.
        flooder: one guest that may flood; its process has none.
    """

    system: System
    crowd: Crowd
    flooder: Crowd


@dataclass(frozen=True, slots=True)
class Series:
    """One series of questions: what it is called, what is asked, how often, for which names."""

    label: str
    kind: str
    rate: float
    names: Sequence[str] = ()


def names() -> list[str]:
    """Return the names of ports that exist, and that guests ask for."""
    return [f"{mass_port(number).name}.{_DOMAIN}" for number in range(_NAMES)]


_SERIES = (
    Series("DHCP", "dhcp", DHCP_RATE),
    Series("DNS, repeated names", "dns", DNS_RATE, names()[:_REPEATED]),
    Series("DNS, new names", "dns", DNS_RATE, names()),
)
_NEIGHBOURS = (
    Series("DHCP of others", "dhcp", DHCP_RATE),
    Series("DNS of others", "dns", NEIGHBOUR_RATE, names()),
)


def run(session: Session, systems: Sequence[str], ovn_prefix: Path | None, cache: Path) -> None:
    """Measure both systems by turns, with few ports on the host and with many."""
    plan = session.plan
    with ExitStack() as stack:
        setups = [
            stack.enter_context(_set_up(name, ovn_prefix, cache))
            for name in systems
            if name != "static"
        ]
        for size in plan.guest_sizes:
            ready: list[Setup] = []
            for setup in setups:
                with session.part(f"{size} guests of {setup.system.name}"):
                    _grow(setup, size)
                    ready.append(setup)
            for turn in range(plan.guest_rounds):
                for setup in ready if turn % 2 == 0 else reversed(ready):
                    with session.part(f"guests, {size} ports, {setup.system.name}"):
                        _measure(session, setup, size)
            for setup in ready:
                if setup.system.name == "ours":
                    _memory(session, setup, size)
            session.console.log(f"guests, {size} ports on the host: {plan.guest_rounds} rounds")


@contextmanager
def _set_up(name: str, ovn_prefix: Path | None, cache: Path) -> Iterator[Setup]:
    """Yield a running system, whose names are there and whose guests are still to come."""
    with World(f"guests-{name}") as world, ExitStack() as stack:
        system = make_system(name, world, ovn_prefix, cache)
        stack.callback(system.close)
        system.setup()
        system.grow(_NAMES)
        host = world.host("a")
        if isinstance(system, Ours):
            system.keep_agent(host)
        crowd, flooder = Crowd(world, host, "m"), Crowd(world, host, "f", calm=True)
        stack.callback(crowd.close)
        stack.callback(flooder.close)
        flooder.add(system, [local_port(0)])
        yield Setup(system, crowd, flooder)


def _grow(setup: Setup, size: int) -> None:
    """Bring the host to *size* ports, each of which has been answered."""
    setup.crowd.add(setup.system, [local_port(n) for n in range(1 + len(setup.crowd.askers), size)])
    known = [local_port(number) for number in range(size)]
    known += [mass_port(number) for number in range(_NAMES)]
    setup.system.serve_guests(known, _DOMAIN)
    setup.system.converge(120)
    for crowd in (setup.crowd, setup.flooder):
        crowd.await_answers("dhcp")
        crowd.await_answers("dns", names())


def _measure(session: Session, setup: Setup, size: int) -> None:
    for series in _SERIES:
        _keep(session, setup, size, series)
    if setup.system.name != "ours":
        return  # its meters are the operator's to set: nothing to compare
    for series in _SERIES:
        _share(session, setup, size, series)
    for series in _NEIGHBOURS:
        _keep(session, setup, size, series)
        for flood in MOST:
            _beside(session, setup, size, series, flood)


def _keep(
    session: Session, setup: Setup, size: int, series: Series, suffix: str = ""
) -> tuple[Answered, bool]:
    """Ask, and keep what came of it."""
    seconds = session.plan.guest_seconds
    with session.span() as span:
        setup.crowd.start(series.kind, rate=series.rate, seconds=seconds, names=series.names)
        answered = setup.crowd.result()
    detail = {"sent": answered.sent, "lost": answered.lost, "load": session.load_now()}
    for what, share in (("p50", 0.5), ("p99", 0.99)):
        value = Value(KEY, f"{series.label}{suffix}, {what}", answered.at(share), "ms", detail)
        session.add(value, size, setup.system.name, stalled=span.stalled)
    return answered, span.stalled


def _share(session: Session, setup: Setup, size: int, series: Series) -> None:
    """Ask, and keep how long the agent itself had of the answers."""
    host = setup.system.world.host("a")
    argv = [sys.executable, "-m", "bench.share_worker", series.kind, _DEVICES[series.kind]]
    log = host.directory / "share.log"
    with session.span() as span, Process(argv, log=log, netns=host.netns, pipes=True) as watching:
        stdin, stdout = watching.popen.stdin, watching.popen.stdout
        assert stdin is not None
        assert stdout is not None
        stdout.readline()
        seconds = session.plan.guest_seconds
        setup.crowd.start(series.kind, rate=series.rate, seconds=seconds, names=series.names)
        setup.crowd.result()
        stdin.write(b"\n")
        stdin.flush()
        said = json.loads(stdout.readline())
    detail = {"answers": len(said["times"]), "load": session.load_now()}
    for what, share in (("p50", 0.5), ("p99", 0.99)):
        took = 1000 * quantile(said["times"], share)
        value = Value(KEY, f"{series.label}, the agent's own share, {what}", took, "ms", detail)
        session.add(value, size, "ours", stalled=span.stalled)


def _beside(session: Session, setup: Setup, size: int, series: Series, flood: str) -> None:
    """Ask while one guest floods; keep that, and how much of its share the flood was answered."""
    seconds = session.plan.guest_seconds + 2 * _AROUND_S
    setup.flooder.start(flood, rate=FLOOD_RATE, seconds=seconds, names=names()[:_REPEATED])
    time.sleep(_AROUND_S)
    named = f", beside a {_DETAIL[flood]} flood"
    _, stalled = _keep(session, setup, size, series, named)
    flooded = setup.flooder.result()
    rate, burst = MOST[flood]
    used = 100 * len(flooded.times_ms) / (rate * seconds + burst)
    variant = f"{_DETAIL[flood]} flood, answered of its meter's share"
    detail = {"sent": flooded.sent, "answered": len(flooded.times_ms), "seconds": seconds}
    session.add(Value(KEY, variant, used, "%", detail), size, "ours", stalled=stalled)


def _memory(session: Session, setup: Setup, size: int) -> None:
    """Keep the memory of the host's agent and of its process that answers for names."""
    pids = {name: pid for name, pid in setup.system.pids().items() if name.startswith("agent a")}
    for how, measure in (("PSS", cpu.resident_bytes), ("RSS", cpu.rss_bytes)):
        parts = {name: measure(pid) / 2**20 for name, pid in pids.items()}
        variant = f"memory of the agent with its names process, {how}"
        value = Value(KEY, variant, sum(parts.values()), "MiB", parts)
        session.add(value, size, "ours", stalled=False)
