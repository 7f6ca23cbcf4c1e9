"""``simulated_eips``: one more EIP among few and among many, on hosts that only speak protocols."""

import shutil
import time
from pathlib import Path

from bench import cpu
from bench.session import Session, Value
from bench.simulated.eips import EipCloud

KEY = "simulated_eips"
ONE = "one association"
_IDLE_S, _SHORT_IDLE_S = 5.0, 2.0
_MANY = 100


def run(session: Session, directory: Path) -> None:
    """Measure with each of the plan's numbers of EIPs, on the same hosts and ports."""
    plan = session.plan
    shutil.rmtree(directory, ignore_errors=True)
    try:
        with EipCloud(directory, plan.eip_hosts, plan.eip_counts[-1]) as cloud:
            cloud.prepare()
            cloud.start_hosts()
            for eips in plan.eip_counts:
                _with(session, cloud, eips)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _with(session: Session, cloud: EipCloud, eips: int) -> None:
    begin = time.monotonic()
    cloud.grow(eips)
    session.console.log(f"{eips} EIPs: there after {time.monotonic() - begin:.1f} s")
    cloud.associate()  # the first one also makes the connection and fills caches
    idle = _idle_rate(cloud, _IDLE_S if session.plan.eip_hosts >= _MANY else _SHORT_IDLE_S)
    value = Value(KEY, "idle CPU of the controller", 100 * idle, "%")
    session.add(value, eips, "ours", stalled=False)
    for _ in range(session.plan.eip_changes):
        _once(session, cloud, eips, idle)


def _idle_rate(cloud: EipCloud, seconds: float) -> float:
    """Return the CPU seconds that the controller uses a second when nothing changes."""
    before, start = cpu.total(cloud.pids()), time.monotonic()
    time.sleep(seconds)
    return (cpu.total(cloud.pids()) - before) / (time.monotonic() - start)


def _once(session: Session, cloud: EipCloud, eips: int, idle: float) -> None:
    with session.span() as span:
        elapsed, used, took = cloud.associate()
    own = max(0.0, used - idle * took) * 1000
    for variant, value in ((ONE, elapsed), (f"{ONE}, CPU of the controller", own)):
        session.add(Value(KEY, variant, value, "ms"), eips, "ours", stalled=span.stalled)
