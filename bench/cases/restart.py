"""``restart_gap_ms``: what traffic notices when a host's control plane is killed and restarted."""

import contextlib
import functools
import time
from collections.abc import Callable

from bench.flow_count import FlowCount
from bench.host import Host
from bench.rig import Rig
from bench.session import Session, Value
from bench.targets import WRONG_FLOWS
from bench.waiting import wait_for
from vpcctl.flows.cookie import LEARNED_COOKIE

KEY = "restart_gap_ms"
VARIANTS = ("control plane", "agent")
"""What is restarted: what computes a host's flows, and what ours has on the host beside it."""

_POLL_S = 0.05
_STEADY_S = 1.0
_LIMIT_S = 90.0


def run(session: Session, size: int) -> None:
    """Restart every part of every system, in turn."""
    for index in range(max(len(rig.system.parts) for rig in session.rigs)):
        rigs = [rig for rig in session.rigs if index < len(rig.system.parts)]

        def attempt(rig: Rig, index: int = index) -> list[Value]:
            return _once(rig, rig.system.parts[index], VARIANTS[index])

        what = "restart " + ", ".join(rig.system.parts[index] for rig in rigs)
        session.interleave(what, size, attempt, count=session.plan.restart_samples, rigs=rigs)
    for rig in session.rigs:
        with session.part(f"clearing up after restarts at {size} ports, {rig.name}"):
            rig.recover()


def _occupy(rig: Rig) -> None:
    """Plug the guest whose traffic is watched; it stays from one attempt to the next."""
    if rig.system.is_plugged(rig.target):
        return
    rig.system.create_port(rig.target.spec)
    rig.system.plug(rig.target)
    rig.await_answer(rig.source, rig.target)
    rig.settle()


def _once(rig: Rig, part: str, variant: str) -> list[Value]:
    _occupy(rig)
    host = rig.target.host
    before = flow_texts(host)
    prober = rig.start(rig.source, rig.target, until_first=False)
    time.sleep(0.1)
    start = time.monotonic()
    rig.system.restart(part, host)
    try:
        right = await_flows(host, len(before), lambda: rig.system.converge(_LIMIT_S))
        acknowledged = time.monotonic()
    finally:
        silence = prober.stop().silence()
    rig.quiet()
    after = flow_texts(host)
    took = 0.0 if right is None else (right - start) * 1000
    missing, alien = len(before - after), len(after - before)
    detail = {
        "part": part,
        "lost": silence.lost,
        "flows": len(before),
        "missing": missing,
        "alien": alien,
        "acknowledged_ms": (acknowledged - start) * 1000,
    }
    return [
        Value(KEY, f"{variant}: silence", silence.longest_ms, "ms", detail),
        Value(KEY, f"{variant}: lost probes", silence.lost, "probes"),
        Value(KEY, f"{variant}: until all flows are right", took, "ms"),
        Value(KEY, f"{variant}: {WRONG_FLOWS}", missing + alien, "flows"),
    ]


def await_flows(
    host: Host, count: int, acknowledge: Callable[[], None], *, every: float = _POLL_S
) -> float | None:
    """Watch the number of flows until it is *count* for good.

    *acknowledge* is called once the number has been right for a while: it waits until the
    control plane says that it has done its work, after which the number must still be right.

    Returns:
        When the number came to be right for good; None when it never was anything else.

    Raises:
        TooLongError: that did not come to pass.
    """
    right: float | None = None
    was_wrong = False

    def steady(present: FlowCount, begun: float) -> bool:
        nonlocal right, was_wrong
        # As long as some are missing the cheap look says so: the dear one takes from the loading.
        good = present.now() >= count and host.flow_count() == count
        now = time.monotonic()
        if not good:
            was_wrong, right = True, None
        elif right is None:
            right = now
        return right is not None and now - max(right, begun) > _STEADY_S

    def watch() -> None:
        with contextlib.closing(host.counting()) as present:
            probe = functools.partial(steady, present, time.monotonic())
            wait_for("the flows", probe, timeout=_LIMIT_S, every=every)

    watch()
    acknowledge()
    watch()
    return right if was_wrong else None


def flow_texts(host: Host) -> set[str]:
    """Return the host's flows as text, without what counts or ages, or was learned."""
    text = host.ofctl("dump-flows", "--no-stats", "--no-names")
    lines = {line.strip() for line in text.splitlines() if "actions=" in line}
    return {line for line in lines if not line.startswith(f"cookie={LEARNED_COOKIE >> 48:#x}")}
