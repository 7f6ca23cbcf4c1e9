"""``gateway_failover_ms``: what a VM's traffic to the outside notices when its gateway host dies.

The host dies at once: its cables are taken off, its Open vSwitch and its control plane killed.
"""

import math
import time
from contextlib import ExitStack

from bench.cases.move import await_resumption
from bench.rig import Rig
from bench.session import Session, Value
from bench.stats import Silence
from bench.waiting import TooLongError
from bench.ways_out import await_outside, lead_outside, probe_outside

KEY = "gateway_failover_ms"
_BEFORE_S, _AFTER_S = 0.2, 0.3
_PATIENCE_S = 30.0


def run(session: Session, size: int) -> None:
    """Kill the active gateway host of every system in turn."""
    with ExitStack() as stack:
        led = lead_outside(session, stack, size)
        for rig in led:
            with session.part(f"the first answer from outside at {size} ports, {rig.name}"):
                await_outside(rig)
        count = session.plan.failover_samples
        session.interleave("gateway failover", size, _once, count=count, rigs=led)


def _once(rig: Rig) -> list[Value]:
    rig.world.outside.announce()
    await_outside(rig)
    host = rig.external.active()
    rig.system.rest(host)
    prober = probe_outside(rig, until_first=False)
    time.sleep(_BEFORE_S)
    rig.crash(host)
    try:
        resumed = await_resumption(prober, _PATIENCE_S)
        time.sleep(_AFTER_S)
        silence = prober.stop().silence()
    finally:
        rig.revive(host)
    require_failover(silence, resumed=resumed)
    detail = {"lost": silence.lost, "host": host.name}
    return [Value(KEY, "NAT gateway", silence.longest_ms, "ms", detail)]


def require_failover(silence: Silence, *, resumed: bool) -> None:
    """Refuse what says nothing about a failover.

    Raises:
        TooLongError: traffic did not resume, or was never interrupted.
    """
    if not resumed or math.isinf(silence.longest_ms):
        raise TooLongError("no other gateway host took over")
    if not silence.lost:
        raise TooLongError("the host that died carried nothing: it was not the active one")
