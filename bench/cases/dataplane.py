"""``dataplane``: throughput, its CPU, small packets and round trips of traffic that flows."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench import cpu
from bench.probe import INTERVAL_S, new_identifier
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


def run(session: Session, size: int) -> None:
    """Measure every path on every system in turn."""
    plan = session.plan
    for where in ("across hosts", "one host") if plan.one_host else ("across hosts",):
        for how in ("same subnet", "routed"):
            path = f"{how}, {where}"

            def attempt(rig: Rig, path: str = path) -> list[Value]:
                return measure(rig, path, plan.dataplane_seconds)

            session.interleave(f"dataplane, {path}", size, attempt, count=plan.dataplane_rounds)


def _ends(rig: Rig, path: str) -> tuple[Guest, Guest]:
    if path.endswith("one host"):
        source = rig.source if path.startswith("same") else rig.routed_source
        return source, rig.neighbour
    # b's and c's residents are in subnet 1.
    return (rig.routed_source if path.startswith("same") else rig.source), rig.resident


def measure(rig: Rig, path: str, seconds: float) -> list[Value]:
    """Return everything about one path of one system."""
    source, target = _ends(rig, path)
    values = [_icmp(rig, source, target, seconds), _udp(source, target, min(seconds, 2.0))]
    with _iperf_server(rig, target):
        values += _tcp(rig, source, target, seconds)
        values.append(_small_packets(source, target, seconds))
    return [Value(KEY, f"{name}, {path}", value, unit) for name, value, unit in values]


def _icmp(rig: Rig, source: Guest, target: Guest, seconds: float) -> tuple[str, float, str]:
    prober = rig.world.prober(source)
    train = flight(source, target, new_identifier())
    prober.start(train, until_first=False, timeout=min(seconds, 2.0), interval=INTERVAL_S)
    times = prober.result().round_trips_ms()
    if not times:
        raise TooLongError("no answer to ICMP")
    return "ICMP round trip", quantile(times, 0.5) * 1000, "µs"


def _udp(source: Guest, target: Guest, seconds: float) -> tuple[str, float, str]:
    worker = [sys.executable, "-m", "bench.echo_worker"]
    log = target.host.directory / "echo.log"
    with Process([*worker, "serve", "7007"], log=log, netns=target.netns, pipes=True) as server:
        assert server.popen.stdout is not None
        server.popen.stdout.readline()
        asking = [*worker, "ask", target.spec.address, "7007", str(seconds)]
        times = json.loads(command(*in_netns(source.netns, asking)))
    if not times:
        raise TooLongError("no answer to UDP")
    return "UDP round trip", quantile(times, 0.5), "µs"


@contextmanager
def _iperf_server(rig: Rig, target: Guest) -> Iterator[None]:
    argv = ["iperf3", "--server", "--port", str(PORT)]
    log = target.host.directory / "iperf3.log"
    with Process(argv, log=log, netns=target.netns):

        def listening() -> bool:
            return f":{PORT} " in command("ip", "netns", "exec", target.netns, "ss", "-tlnH")

        wait_for("iperf3", listening, timeout=10)
        yield


def _iperf(source: Guest, target: Guest, words: Sequence[str]) -> dict[str, dict[str, float]]:
    argv = ["iperf3", "--client", target.spec.address, "--port", str(PORT), "--json", *words]
    try:
        document = json.loads(command(*in_netns(source.netns, argv)))
    except CommandError as error:
        raise TooLongError(f"iperf3: {error}") from error
    # It can end well and still have an error and no figures to tell.
    if "error" in document or not document.get("end"):
        raise TooLongError(f"iperf3: {document.get('error', 'no figures')}")
    return document["end"]


def whole(seconds: float) -> str:
    """Return seconds as iperf3 takes them: it cuts fractions off, and 0 has no end."""
    return str(max(1, round(seconds)))


def _tcp(rig: Rig, source: Guest, target: Guest, seconds: float) -> list[tuple[str, float, str]]:
    pids = [pid for host in (source.host, target.host) for pid in host.switch_pids()]
    before = cpu.total(set(pids))
    end = _iperf(source, target, ["--time", whole(seconds)])
    used = cpu.total(set(pids)) - before
    received = end["sum_received"]
    gigabytes = received["bytes"] / _GB
    return [
        ("TCP throughput", received["bits_per_second"] / _GB, "Gbit/s"),
        ("TCP CPU of the switches", used / gigabytes if gigabytes else 0.0, "s/GB"),
    ]


def _small_packets(source: Guest, target: Guest, seconds: float) -> tuple[str, float, str]:
    words = ["--udp", "--bitrate", "0", "--length", str(_SMALL), "--time", whole(seconds)]
    end = _iperf(source, target, words).get("sum")
    if not end:
        raise TooLongError("iperf3: no figures of small packets")
    received = (end["packets"] - end["lost_packets"]) / end["seconds"]
    time.sleep(0.2)  # what is still queued must not run into the next measurement
    return "UDP 64-byte packets", received / 1000, "kpps"
