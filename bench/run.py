"""Runs the plan over the systems."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench.cases import (
    add_one,
    attach,
    cold_start,
    dataplane,
    dataplane_groups,
    eip,
    eip_dataplane,
    gateway_failover,
    group_scale,
    member,
    move,
    plug,
    restart,
    rule,
    trace,
)
from bench.plan import Plan
from bench.rig import Rig
from bench.session import Session
from bench.systems import make_system
from bench.watchdog import Watchdog
from bench.world import World

Case = Callable[[Session, int], None]
DATAPLANE: dict[str, Case] = {
    "dataplane": dataplane.run,
    "dataplane_groups": dataplane_groups.run,
    "eip_dataplane": eip_dataplane.run,
}
"""Cases in which hand-written flows take part."""

OUTSIDE = ("eip", "gateway_failover", "eip_dataplane")
"""Cases that need a provider's network."""

NAMES = (
    *("attach", "plug", "move", "add_one", "restart", "cold_start"),
    *("rule", "member", "group_scale", "trace", "eip", "gateway_failover"),
    *DATAPLANE,
)


def cases_at(plan: Plan, size: int) -> dict[str, Case]:
    """Return the cases that the plan has at *size*, by name, in order."""
    cases: dict[str, Case] = {
        "attach": attach.run,
        "plug": plug.run,
        "move": move.run,
        "add_one": add_one.run,
    }
    if size in plan.light_sizes:
        cases = {"add_one": add_one.run}
    if size:
        cases["rule"] = rule.run
    if size >= plan.group_members:
        cases["member"] = member.run
    if size in plan.group_scale_sizes:
        cases["group_scale"] = group_scale.run
    if size in (plan.dataplane_size, plan.sizes[-1]):
        cases["trace"] = trace.run
    # What was led outside leaves nothing behind, but nothing else shall have to rely on that.
    if "attach" in cases and (plan.eip_sizes is None or size in plan.eip_sizes):
        cases["eip"] = eip.run
    if size == plan.dataplane_size:
        cases["gateway_failover"] = gateway_failover.run
    # Last: what was measured after restarts was slower, with both systems there.
    if size in plan.restart_sizes:
        cases["restart"] = restart.run
    if size in plan.cold_start_sizes:
        cases["cold_start"] = cold_start.run
    return cases


def run(session: Session, wanted: Sequence[str], static: Rig | None) -> None:
    """Run the wanted cases over all sizes; *static* takes part in the dataplane only."""
    plan, rigs = session.plan, session.rigs
    for size in plan.sizes:
        session.rigs = tuple(rig for rig in rigs if _grown(session, rig, size))
        session.console.log(f"{size} ports")
        for name, case in cases_at(plan, size).items():
            if name in wanted:
                with session.part(f"{name} at {size} ports"):
                    case(session, size)
        if size == plan.dataplane_size:
            session.rigs = (*([static] if static else []), *session.rigs)
            for name, case in DATAPLANE.items():
                if name in wanted:
                    with session.part(f"{name} at {size} ports"):
                        case(session, size)
    session.rigs = rigs


def _grown(session: Session, rig: Rig, size: int) -> bool:
    """Bring a system to *size* ports; one that does not get there is not measured at that size."""
    start = time.monotonic()
    before = len(session.failures)
    with session.part(f"growing to {size} ports, {rig.name}"):
        rig.system.grow(size)
        rig.settle()
    took = time.monotonic() - start
    session.console.log(f"{rig.name}: grown to {size} ports in {took:.1f} s")
    return len(session.failures) == before


def build_rigs(
    stack: ExitStack,
    names: Sequence[str],
    ovn_prefix: Path | None,
    cache: Path,
    *,
    outside: bool = False,
) -> list[Rig]:
    """Start the systems called *names*, each on a world of its own, with an *outside* or not."""
    rigs: list[Rig] = []
    for name in names:
        world = stack.enter_context(World(name, outside=outside))
        system = make_system(name, world, ovn_prefix, cache)
        stack.callback(system.close)
        rig = Rig(system)
        rig.setup()
        rigs.append(rig)
    return rigs


def start_session(
    stack: ExitStack, plan: Plan, rigs: Sequence[Rig], directory: Path, console: Console
) -> Session:
    """Start the watchdog and return the session."""
    watchdog = Watchdog(directory)
    stack.callback(watchdog.close)
    return Session(plan, rigs, watchdog, console)
