"""``dataplane``: throughput, its CPU, small packets and round trips of traffic that flows."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench import cpu
from bench.host import Host
from bench.probe import INTERVAL_S, Prober, new_identifier
from bench.probe_worker import Flight
from bench.processes import CommandError, Process, in_netns
from bench.processes import run as command
from bench.rig import Rig
from bench.session import Session, Value
from bench.stats import quantile
from bench.waiting import TooLongError, wait_for
from bench.world import Guest, flight

KEY = "dataplane"
PORT = 5201
_SMALL = 18  # bytes of payload that make an Ethernet frame of 64 with headers and checksum
_GB = 1e9
ASKING_SHARE = 0.5
"""Of the time of a throughput measurement: one echo a millisecond is soon enough of them."""


def run(session: Session, size: int) -> None:
    """Measure every path on every system in turn."""
    for where in ("across hosts", "one host") if session.plan.one_host else ("across hosts",):
        for how in ("same subnet", "routed"):
            _measure(session, size, f"{how}, {where}")


def _measure(session: Session, size: int, path: str) -> None:
    plan = session.plan

    def attempt(rig: Rig) -> list[Value]:
        return measure(rig, path, plan.dataplane_seconds)

    count = plan.dataplane_rounds
    session.interleave(f"dataplane, {path}", size, attempt, count=count, whole=True)


def _ends(rig: Rig, path: str) -> tuple[Guest, Guest]:
    if path.endswith("one host"):
        source = rig.source if path.startswith("same") else rig.routed_source
        return source, rig.neighbour
    # b's and c's residents are in subnet 1.
    return (rig.routed_source if path.startswith("same") else rig.source), rig.resident


@dataclass(frozen=True, slots=True)
class Line:
    """From whom to whom is measured.

    Attributes:
        client: namespace of who sends.
        server: namespace of who answers.
        address: at which the client finds the server.
        hosts: whose Open vSwitches may work for it; the last one has the servers' logs.
        prober: of the client.
        train: what it probes with.
    """

    client: str
    server: str
    address: str
    hosts: tuple[Host, ...]
    prober: Prober
    train: Flight


def measure(rig: Rig, path: str, seconds: float) -> list[Value]:
    """Return everything about one path of one system, its guests seated anew."""
    rig.reseat()
    source, target = _ends(rig, path)
    line = Line(
        source.netns,
        target.netns,
        target.spec.address,
        (source.host, target.host),
        rig.world.prober(source),
        flight(source, target, new_identifier()),
    )
    asking = seconds * ASKING_SHARE
    values = [icmp(line, asking), _udp(line, asking), *streams(line, seconds)]
    return [Value(KEY, f"{name}, {path}", value, unit) for name, value, unit in values]


def streams(line: Line, seconds: float) -> list[tuple[str, float, str]]:
    """Return throughput with its CPU, and small packets."""
    # A server that has served one client resets those who come before it listens again.
    with _iperf_server(line):
        values = _tcp(line, seconds)
    with _iperf_server(line):
        return [*values, _small_packets(line, seconds)]


def icmp(line: Line, seconds: float) -> tuple[str, float, str]:
    """Return the median round trip."""
    line.prober.start(line.train, until_first=False, timeout=seconds, interval=INTERVAL_S)
    times = line.prober.result().round_trips_ms()
    if not times:
        raise TooLongError("no answer to ICMP")
    return "ICMP round trip", quantile(times, 0.5) * 1000, "µs"


def _udp(line: Line, seconds: float) -> tuple[str, float, str]:
    worker = [sys.executable, "-m", "bench.echo_worker"]
    log = line.hosts[-1].directory / "echo.log"
    with Process([*worker, "serve", "7007"], log=log, netns=line.server, pipes=True) as server:
        assert server.popen.stdout is not None
        server.popen.stdout.readline()
        asking = [*worker, "ask", line.address, "7007", str(seconds)]
        times = json.loads(command(*in_netns(line.client, asking)))
    if not times:
        raise TooLongError("no answer to UDP")
    return "UDP round trip", quantile(times, 0.5), "µs"


@contextmanager
def _iperf_server(line: Line) -> Iterator[None]:
    argv = ["iperf3", "--server", "--port", str(PORT)]
    log = line.hosts[-1].directory / "iperf3.log"
    with Process(argv, log=log, netns=line.server):

        def listening() -> bool:
            return f":{PORT} " in command("ip", "netns", "exec", line.server, "ss", "-tlnH")

        wait_for("iperf3", listening, timeout=10)
        yield


def _iperf(line: Line, words: Sequence[str]) -> dict[str, dict[str, float]]:
    argv = ["iperf3", "--client", line.address, "--port", str(PORT), "--json", *words]
    try:
        document = json.loads(command(*in_netns(line.client, argv)))
    except CommandError as error:
        raise TooLongError(f"iperf3: {error}") from error
    # It can end well and still have an error and no figures to tell.
    if "error" in document or not document.get("end"):
        raise TooLongError(f"iperf3: {document.get('error', 'no figures')}")
    return document["end"]


def whole(seconds: float) -> str:
    """Return seconds as iperf3 takes them: it cuts fractions off, and 0 has no end."""
    return str(max(1, round(seconds)))


def _tcp(line: Line, seconds: float) -> list[tuple[str, float, str]]:
    pids = [pid for host in line.hosts for pid in host.switch_pids()]
    before = cpu.total(set(pids))
    end = _iperf(line, ["--time", whole(seconds)])
    used = cpu.total(set(pids)) - before
    received = end["sum_received"]
    gigabytes = received["bytes"] / _GB
    return [
        ("TCP throughput", received["bits_per_second"] / _GB, "Gbit/s"),
        ("TCP CPU of the switches", used / gigabytes if gigabytes else 0.0, "s/GB"),
    ]


def _small_packets(line: Line, seconds: float) -> tuple[str, float, str]:
    words = ["--udp", "--bitrate", "0", "--length", str(_SMALL), "--time", whole(seconds)]
    end = _iperf(line, words).get("sum")
    if not end:
        raise TooLongError("iperf3: no figures of small packets")
    received = (end["packets"] - end["lost_packets"]) / end["seconds"]
    time.sleep(0.2)  # what is still queued must not run into the next measurement
    return "UDP 64-byte packets", received / 1000, "kpps"
