"""``simulated_eips``: one more EIP among few and among many, on hosts that only speak protocols."""

import shutil
import time
from pathlib import Path

from bench import cpu
from bench.session import Session, Value
from bench.simulated.eips import EipCloud

KEY = "simulated_eips"
ONE = "one association"
_IDLE_S = 4.0
_PATIENCE_S = 600.0


def run(session: Session, directory: Path) -> None:
    """Measure with each of the plan's numbers of EIPs, on the same hosts and ports."""
    for eips in session.plan.eip_counts:
        with session.part(f"{eips} EIPs of simulated hosts"):
            shutil.rmtree(directory, ignore_errors=True)
            try:
                _with(session, directory, eips)
            finally:
                shutil.rmtree(directory, ignore_errors=True)


def _with(session: Session, directory: Path, eips: int) -> None:
    plan = session.plan
    begin = time.monotonic()
    with EipCloud(directory, plan.eip_hosts, eips, plan.eip_counts[-1]) as cloud:
        cloud.prepare()
        session.console.log(f"{eips} EIPs: prepared in {time.monotonic() - begin:.1f} s")
        start = cloud.start_hosts()
        converged = cloud.await_convergence(_PATIENCE_S) - start
        session.add(Value(KEY, "first convergence", converged, "s"), eips, "ours", stalled=False)
        cloud.await_rest()
        cloud.associate()  # the first one also makes the connection and fills caches
        idle = _idle_rate(cloud)
        for _ in range(plan.eip_changes):
            _once(session, cloud, eips, idle)


def _idle_rate(cloud: EipCloud) -> float:
    """Return the CPU seconds that the controller uses a second when nothing changes."""
    before, start = cpu.total(cloud.pids()), time.monotonic()
    time.sleep(_IDLE_S)
    return (cpu.total(cloud.pids()) - before) / (time.monotonic() - start)


def _once(session: Session, cloud: EipCloud, eips: int, idle: float) -> None:
    with session.span() as span:
        elapsed, used, took = cloud.associate()
    own = max(0.0, used - idle * took) * 1000
    for variant, value in ((ONE, elapsed), (f"{ONE}, CPU of the controller", own)):
        session.add(Value(KEY, variant, value, "ms"), eips, "ours", stalled=span.stalled)
