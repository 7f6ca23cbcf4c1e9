"""``move_gap_ms``: traffic lost while an interface moves from host b to host c.

Moved is what a user moves: the interface is unplugged on b and, right after, the one with the
same MAC and address is plugged on c. No API call is made.
"""

import math
import time

from bench.cases.attach import detach
from bench.probe import Prober
from bench.rig import Rig
from bench.session import Session, Value
from bench.waiting import TooLongError, wait_for

KNOWS = "to a host that knows the VPC"
NEW = "to a host new to the VPC"
_BEFORE_S = 0.1
_AFTER_S = 0.2
_FRESH_S = 0.01


def run(session: Session, size: int) -> None:
    """Measure both kinds of move."""
    plan = session.plan
    session.interleave("move", size, lambda rig: _once(rig, KNOWS), count=plan.samples)
    session.interleave("move, new host", size, _to_new, count=plan.cold_samples)


def _to_new(rig: Rig) -> list[Value]:
    rig.empty_far_host()
    try:
        return _once(rig, NEW)
    finally:
        rig.system.plug(rig.far_resident)
        rig.settle()
        rig.await_answer(rig.routed_source, rig.far_resident)


def _once(rig: Rig, variant: str) -> list[Value]:
    target, twin = rig.target, rig.twin
    rig.system.create_port(target.spec)
    rig.system.plug(target)
    rig.await_answer(rig.source, target)
    rig.settle()
    prober = rig.start(rig.source, target, until_first=False)
    time.sleep(_BEFORE_S)
    start = time.monotonic()
    rig.system.unplug(target)
    rig.system.plug(twin)
    moved = time.monotonic()
    resumed = await_resumption(prober, 60.0)
    time.sleep(_AFTER_S)
    silence = prober.stop().silence()
    detach(rig, twin)
    if not resumed or math.isinf(silence.longest_ms):
        raise TooLongError("the moved interface never answered")
    detail = {"lost": silence.lost, "replug_ms": (moved - start) * 1000}
    return [Value("move_gap_ms", variant, silence.longest_ms, "ms", detail)]


def await_resumption(prober: Prober, timeout: float) -> bool:
    """Wait until a train is answered again without a break; tell whether it came to that."""
    # The switch drops an unplugged port at once: after this pause the silence has begun.
    time.sleep(0.1)

    def flowing() -> bool:
        last = prober.last_answer()
        return last is not None and time.monotonic() - last < _FRESH_S

    try:
        return wait_for("answers", flowing, timeout=timeout)
    except TooLongError:
        return False
