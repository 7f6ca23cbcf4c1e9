"""``add_one_port``: wall and CPU time until one more port works on all three hosts."""

import time

from bench.cases.attach import detach
from bench.rig import Rig, Spent
from bench.session import Session, Value
from bench.waiting import TooLongError

_IDLE_S = 5.0
KEY = "add_one_port"


def run(session: Session, size: int) -> None:
    """Measure; what the control plane costs when idle is taken off."""
    idle = _idle_rates(session)
    session.interleave(
        "add one port", size, lambda rig: _once(rig, idle[rig.name]), count=session.plan.samples
    )
    for rig in session.rigs:
        for part, used in rig.memory_bytes().items():
            value = Value("memory", part, used / 2**20, "MiB")
            session.add(value, size, rig.name, stalled=False)
        share = idle[rig.name].control * 100
        session.add(Value("idle_cpu", "control plane", share, "%"), size, rig.name, stalled=False)


def _idle_rates(session: Session) -> dict[str, Spent]:
    """Return, by system, the CPU seconds that a second costs when nothing happens."""
    before = {rig.name: rig.spent() for rig in session.rigs}
    start = time.monotonic()
    time.sleep(_IDLE_S)
    took = time.monotonic() - start
    return {rig.name: rig.spent().since(before[rig.name], took) for rig in session.rigs}


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
