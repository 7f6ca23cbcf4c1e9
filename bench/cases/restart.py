"""``restart_gap_ms``: what traffic notices when a host's control plane is killed and restarted."""

import time
from collections.abc import Callable

from bench.rig import Rig
from bench.session import Session, Value
from bench.waiting import TooLongError, wait_for
from bench.world import Host

KEY = "restart_gap_ms"
_POLL_S = 0.05
_STEADY_S = 1.0
_LIMIT_S = 90.0


def run(session: Session, size: int) -> None:
    """Restart every part of every system, in turn."""
    for rig in session.rigs:
        rig.system.create_port(rig.target.spec)
        rig.system.plug(rig.target)
        rig.await_answer(rig.source, rig.target)
        rig.settle()
    for index in range(max(len(rig.system.parts) for rig in session.rigs)):
        rigs = [rig for rig in session.rigs if index < len(rig.system.parts)]

        def attempt(rig: Rig, index: int = index) -> list[Value]:
            return _once(rig, rig.system.parts[index])

        what = "restart " + ", ".join(rig.system.parts[index] for rig in rigs)
        session.interleave(what, size, attempt, count=session.plan.restart_samples, rigs=rigs)
    for rig in session.rigs:
        rig.system.unplug(rig.target)
        rig.system.delete_port(rig.target.spec)
        rig.settle()


def _once(rig: Rig, part: str) -> list[Value]:
    host = rig.target.host
    before = flow_texts(host)
    prober = rig.start(rig.source, rig.target, until_first=False)
    time.sleep(0.1)
    start = time.monotonic()
    rig.system.restart(part, host)
    try:
        wrong_until = await_flows(host, len(before), lambda: rig.system.converge(_LIMIT_S))
        acknowledged = time.monotonic()
    finally:
        silence = prober.stop().silence()
    rig.quiet()
    after = flow_texts(host)
    right = (max(0.0, wrong_until - start)) * 1000
    detail = {
        "lost": silence.lost,
        "flows": len(before),
        "missing": len(before - after),
        "alien": len(after - before),
        "acknowledged_ms": (acknowledged - start) * 1000,
    }
    return [
        Value(KEY, f"{part}: silence", silence.longest_ms, "ms", detail),
        Value(KEY, f"{part}: lost probes", silence.lost, "probes"),
        Value(KEY, f"{part}: until all flows are right", right, "ms"),
    ]


def await_flows(host: Host, count: int, acknowledge: Callable[[], None]) -> float:
    """Watch the number of flows until it is *count* for good; return when it last was not.

    *acknowledge* is called once the number has been right for a while: it waits until the
    control plane says that it has done its work, after which the number must still be right.

    Raises:
        TooLongError: that did not come to pass.
    """
    wrong = 0.0

    def steady() -> bool:
        nonlocal wrong
        if host.flow_count() != count:
            wrong = time.monotonic()
        return time.monotonic() - max(wrong, begun) > _STEADY_S

    begun = time.monotonic()
    wait_for("the flows", steady, timeout=_LIMIT_S, every=_POLL_S)
    acknowledge()
    begun = time.monotonic()
    wait_for("the flows", steady, timeout=_LIMIT_S, every=_POLL_S)
    if host.flow_count() != count:
        raise TooLongError("the flows never came right")
    return wrong


def flow_texts(host: Host) -> set[str]:
    """Return the host's flows as text, without what counts or ages."""
    text = host.ofctl("dump-flows", "--no-stats", "--no-names")
    return {line.strip() for line in text.splitlines() if "actions=" in line}
