"""``add_one_port``: wall and CPU time until one more port works on all three hosts."""

import time

from bench.cases.attach import detach
from bench.rig import Rig, Spent
from bench.session import Session, Value
from bench.waiting import TooLongError

_IDLE_S = 2.0
KEY = "add_one_port"


def run(session: Session, size: int) -> None:
    """Measure; what the control plane costs when idle is taken off."""
    idle = {rig.name: rig.idle_rate(_IDLE_S) for rig in session.rigs}
    session.interleave(
        "add one port", size, lambda rig: _once(rig, idle[rig.name]), count=session.plan.samples
    )
    for rig in session.rigs:
        for part, used in rig.memory_bytes().items():
            value = Value("memory", part, used / 2**20, "MiB")
            session.add(value, size, rig.name, stalled=False)
        share = idle[rig.name].control * 100
        session.add(Value("idle_cpu", "control plane", share, "%"), size, rig.name, stalled=False)


def _once(rig: Rig, idle: Spent) -> list[Value]:
    target = rig.target
    near = rig.start(rig.source, target, until_first=True)
    before, start = rig.spent(), time.monotonic()
    far = rig.start(rig.far_resident, target, until_first=True)
    rig.system.create_port(target.spec)
    rig.system.plug(target)
    answers = (near.result(), far.result())
    rig.quiet()
    used, took = rig.spent() - before, time.monotonic() - start
    firsts = [answer.first_after(start) for answer in answers]
    detach(rig, target)
    good = [first for first in firsts if first is not None]
    if len(good) < len(firsts):
        raise TooLongError(f"{target.spec.name} never answered")
    control = max(0.0, used.control - idle.control * took) * 1000
    switch = max(0.0, used.switch - idle.switch * took) * 1000
    return [
        Value(KEY, "wall", (max(good) - start) * 1000, "ms"),
        Value(KEY, "CPU of the control plane", control, "ms"),
        Value(KEY, "CPU of the switches", switch, "ms"),
    ]
