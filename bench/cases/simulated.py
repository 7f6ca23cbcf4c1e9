"""``simulated_hosts``: the controller alone, under many hosts that only speak its protocols."""

import shutil
import time
from pathlib import Path

from bench import cpu
from bench.session import Session, Value
from bench.simulated.cloud import Cloud
from bench.stats import quantile

KEY = "simulated_hosts"
_IDLE_S = 20.0
_PATIENCE_S = 600.0


def run(session: Session, directory: Path) -> None:
    """Measure convergence, changes, idle CPU and memory."""
    plan = session.plan
    shutil.rmtree(directory, ignore_errors=True)
    try:
        with Cloud(directory, plan.simulated_hosts, plan.simulated_ports) as cloud:
            _measure(session, cloud)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(session: Session, cloud: Cloud) -> None:
    begin = time.monotonic()
    cloud.prepare()
    session.console.log(f"simulated hosts: prepared in {time.monotonic() - begin:.1f} s")
    with session.span() as span:
        before = cpu.total(cloud.pids())
        start = cloud.start_hosts()
        converged = cloud.await_convergence(_PATIENCE_S) - start
        used = cpu.total(cloud.pids()) - before
    flows = cloud.ask({"op": "state"})["flows"]
    _keep(session, "first convergence", converged, "s", stalled=span.stalled, flows=flows)
    _keep(session, "first convergence, CPU of the controller", used, "s", flows=flows)
    session.console.log(f"simulated hosts: converged in {converged:.1f} s, {flows:,} flows")
    _changes(session, cloud, everywhere=False)
    _changes(session, cloud, everywhere=True)
    before, start = cpu.total(cloud.pids()), time.monotonic()
    time.sleep(_IDLE_S if session.plan.simulated_hosts > 100 else _IDLE_S / 4)
    share = (cpu.total(cloud.pids()) - before) / (time.monotonic() - start)
    _keep(session, "idle CPU of the controller", share * 100, "%")
    memory = sum(cpu.resident_bytes(pid) for pid in cloud.pids()) / 2**20
    _keep(session, "memory of the controller", memory, "MiB")


def _changes(session: Session, cloud: Cloud, *, everywhere: bool) -> None:
    who = "of every host" if everywhere else "of the VPC's hosts"
    times: list[float] = []
    touched = 0
    for _ in range(session.plan.simulated_changes):
        with session.span() as span:
            answer = cloud.change(everywhere=everywhere)
        if answer["ms"] is None:
            session.failures.append(f"simulated hosts: {answer['late']} hosts never committed")
            return
        touched += span.stalled
        if not span.stalled:
            times.append(answer["ms"])
    if times:
        what = f"one change to the last {who}"
        _keep(session, f"{what}, p50", quantile(times, 0.5), "ms", stalled_changes=touched)
        _keep(session, f"{what}, p99", quantile(times, 0.99), "ms", stalled_changes=touched)


def _keep(
    session: Session,
    variant: str,
    value: float,
    unit: str,
    *,
    stalled: bool = False,
    **detail: object,
) -> None:
    size = session.plan.simulated_ports
    session.add(Value(KEY, variant, value, unit, dict(detail)), size, "ours", stalled=stalled)
