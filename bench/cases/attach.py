"""``attach_ms``: create a port and plug its interface on host b → first answer to host a."""

import time

from bench.rig import Rig
from bench.session import Session, Value
from bench.waiting import TooLongError
from bench.world import Guest


def run(session: Session, size: int) -> None:
    """Measure within the subnet and routed."""
    for variant in ("same subnet", "routed"):

        def attempt(rig: Rig, variant: str = variant) -> list[Value]:
            source = rig.source if variant == "same subnet" else rig.routed_source
            return [_once(rig, source, variant)]

        session.interleave(f"attach, {variant}", size, attempt, count=session.plan.samples)


def _once(rig: Rig, source: Guest, variant: str) -> Value:
    target = rig.target
    prober = rig.start(source, target, until_first=True)
    start = time.monotonic()
    rig.system.create_port(target.spec)
    created = time.monotonic()
    rig.system.plug(target)
    answers = prober.result()
    detach(rig, target)
    if answers.first_after(start) is None:
        raise TooLongError(f"{target.spec.name} never answered")
    detail = {"api_ms": (created - start) * 1000}
    return Value("attach_ms", variant, answers.elapsed_ms(start), "ms", detail)


def detach(rig: Rig, guest: Guest) -> None:
    """Undo an attachment and wait until all is quiet."""
    rig.system.unplug(guest)
    rig.system.delete_port(guest.spec)
    rig.settle()
