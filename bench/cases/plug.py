"""``plug_ms``: the port exists; plug its interface on host b → first answer to host a."""

import time

from bench.cases.attach import detach
from bench.rig import Rig
from bench.session import Session, Value
from bench.waiting import TooLongError


def run(session: Session, size: int) -> None:
    """Measure within the subnet."""
    session.interleave("plug", size, _once, count=session.plan.samples)


def _once(rig: Rig) -> list[Value]:
    target = rig.target
    rig.system.create_port(target.spec)
    rig.settle()
    prober = rig.start(rig.source, target, until_first=True)
    start = time.monotonic()
    rig.system.plug(target)
    answers = prober.result()
    detach(rig, target)
    if answers.first_after(start) is None:
        raise TooLongError(f"{target.spec.name} never answered")
    return [Value("plug_ms", "same subnet", answers.elapsed_ms(start), "ms")]
