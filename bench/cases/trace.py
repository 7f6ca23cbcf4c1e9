"""``trace``: one attachment of ours, stage by stage, seen from outside the product.

Which stage takes the time: the sum of the stages is what ``attach_ms`` measures. The agent of
host b talks to the API through a socket that notes the times; OpenFlow is heard on the wire.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.cases.attach import detach
from bench.host import Host
from bench.processes import Process
from bench.rig import Rig
from bench.session import Session, Value
from bench.systems.ours import OPENFLOW_PORT, Ours
from bench.tracing.sniff_worker import Event
from bench.tracing.tap import Tap
from bench.waiting import TooLongError

KEY = "trace"
_SETTLE_S = 0.3
STAGES = (
    "1 API: create the port",
    "2 OVSDB: insert the interface",
    "3 ovs-vswitchd: OpenFlow port given",
    "4 agent: report leaves",
    "5 API, database, wake-up, compile, encode: bundle leaves",
    "6 ovs-vswitchd: bundles committed",
    "7 first answer",
)


def run(session: Session, size: int) -> None:
    """Trace attachments of ours."""
    for rig in session.rigs:
        if isinstance(rig.system, Ours):
            with _instruments(rig, rig.system) as (sniffer, tap):
                session.interleave(
                    "trace",
                    size,
                    lambda rig: _once(rig, sniffer, tap),
                    count=session.plan.samples,
                    rigs=[rig],
                )


@contextmanager
def _instruments(rig: Rig, ours: Ours) -> Iterator[tuple[Process, Tap]]:
    host = rig.target.host
    listen = host.directory / "tap.sock"
    tap = Tap(listen, ours.api_socket)
    argv = [sys.executable, "-m", "bench.tracing.sniff_worker", "management", str(OPENFLOW_PORT)]
    log = rig.world.directory / "sniffer.log"
    netns = rig.world.central_netns
    try:
        with Process(argv, log=log, netns=netns, pipes=True) as sniffer:
            assert sniffer.popen.stdout is not None
            sniffer.popen.stdout.readline()
            ours.restart_agent(host, listen)
            rig.settle()
            yield sniffer, tap
    finally:
        ours.restart_agent(host, ours.api_socket)
        tap.close()
        rig.settle()
        listen.unlink(missing_ok=True)


def _events(sniffer: Process) -> list[Event]:
    assert sniffer.popen.stdin is not None
    assert sniffer.popen.stdout is not None
    sniffer.popen.stdin.write(b"\n")
    sniffer.popen.stdin.flush()
    return [(when, who, what) for when, who, what in json.loads(sniffer.popen.stdout.readline())]


def _once(rig: Rig, sniffer: Process, tap: Tap) -> list[Value]:
    target = rig.target
    _events(sniffer)
    tap.take()
    watch = PortWatch(target.host, target.device)
    prober = rig.start(rig.source, target, until_first=True)
    times = [time.monotonic()]
    rig.system.create_port(target.spec)
    times.append(time.monotonic())
    rig.system.plug(target)
    times.append(time.monotonic())
    answered = prober.result().first_after(times[0])
    time.sleep(_SETTLE_S)
    events, said = _events(sniffer), tap.take()
    given = watch.result()
    detach(rig, target)
    if answered is None:
        raise TooLongError(f"{target.spec.name} never answered")
    reports = [item.time for item in said if item.who == "client" and "/reports" in item.text]
    left = _left(reports, given, plugged=times[1])
    given = min(given, left)
    opened = _first([when for when, _, what in events if what == "commit"], left)
    done = [when for when, _, what in events if what == "committed" and opened <= when <= answered]
    times += [given, left, opened, max(done, default=opened), answered]
    values = [
        Value(KEY, name, max(0.0, end - start) * 1000, "ms")
        for name, (start, end) in zip(STAGES, itertools.pairwise(times), strict=True)
    ]
    return [*values, Value(KEY, "8 altogether", (answered - times[0]) * 1000, "ms")]


def _left(reports: list[float], given: float, plugged: float) -> float:
    """Return when the report left that says the port's number.

    The agent hears of the number when we do: its report may be on its way before our own thread
    has had its turn, and is the last one then.
    """
    since = [moment for moment in reports if moment >= plugged]
    return _first(since, min(given, max(since, default=given)))


def _first(times: list[float], after: float) -> float:
    """Return the first of *times* from *after* on."""
    found = [moment for moment in times if moment >= after]
    if not found:
        raise TooLongError("a stage of the trace was not seen")
    return min(found)


class PortWatch:
    """Waits, in a thread of its own, until OVSDB shows an interface's OpenFlow port."""

    def __init__(self, host: Host, device: str) -> None:
        self._connection = host.connect()
        self._device = device
        self._when = 0.0
        self._connection.monitor("Interface", ["name", "ofport"])
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        for change in self._connection.changes():
            now = time.monotonic()
            rows = change.get("Interface", {}).values()
            for row in rows:
                new = row.get("new", {})
                if new.get("name") == self._device and isinstance(new.get("ofport"), int):
                    self._when = now
                    return

    def result(self) -> float:
        """Return when that was.

        Raises:
            TooLongError: it was not within 5 s.
        """
        self._thread.join(5)
        self._connection.close()
        if not self._when:
            raise TooLongError(f"{self._device} never had an OpenFlow port")
        return self._when
