"""``python -m bench``: measure, show, write ``results.json`` and the plots."""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from bench import machine, plots, report
from bench.cases import guests, simulated, simulated_eips
from bench.plan import FULL, QUICK, Plan
from bench.rig import Rig
from bench.run import DATAPLANE, NAMES, OUTSIDE, build_rigs, run, start_session
from bench.session import Session
from bench.stats import summarise
from bench.systems.packages import find
from bench.world import sweep

SYSTEMS = ("ovn", "ours")
CASES = (*NAMES, "guests", "simulated", "simulated_eips")
NEEDED = ("ovs-vswitchd", "ovsdb-server", "ovs-ofctl", "iperf3", "ethtool", "ip", "ping", "setpriv")
_PACKAGES = ("openvswitch-switch", "iperf3", "ethtool", "iproute2", "iputils-ping", "util-linux")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="what matters most, with few samples, in 3 minutes"
    )
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="results folder")
    parser.add_argument(
        "--systems", type=_some_of(SYSTEMS), default=SYSTEMS, help="which systems, by comma"
    )
    parser.add_argument("--cases", type=_some_of(CASES), help="by comma, instead of the plan's")
    parser.add_argument("--sizes", help="numbers of ports, by comma, instead of the plan's")
    parser.add_argument("--samples", type=int, help="samples of a case instead of the plan's")
    parser.add_argument("--budget", type=float, help="seconds for a case instead of the plan's")
    parser.add_argument("--ovn-prefix", type=Path, help="another OVN build's folder")
    parser.add_argument("--document", type=Path, help="write the results of --out into it; end")
    return parser.parse_args(arguments)


def _some_of(accepted: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads names by comma, each of them one of *accepted*."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(","))
        if unknown := [name for name in names if name not in accepted]:
            said = ", ".join(map(repr, unknown))
            raise argparse.ArgumentTypeError(f"there is no {said}; accepted: {', '.join(accepted)}")
        return names

    return read


def plan_of(options: argparse.Namespace) -> Plan:
    """Return the plan that the options ask for."""
    plan = QUICK if options.quick else FULL
    if options.samples:
        plan = replace(plan, samples=options.samples, guest_rounds=options.samples)
    if options.budget:
        plan = replace(plan, budget_s=options.budget)
    if options.sizes:
        plan = replace(plan, sizes=tuple(int(size) for size in options.sizes.split(",")))
    return plan


def main() -> int:
    """Run the bench; 0 when it measured everything it was asked to."""
    options = parse(sys.argv[1:])
    if options.document:
        _document(options.out, options.document)
        return 0
    if os.geteuid() != 0:
        sys.exit("the bench makes network namespaces: run it as root")
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        sys.exit(f"missing: {', '.join(missing)}; Debian: apt-get install {' '.join(_PACKAGES)}")
    signal.signal(signal.SIGTERM, _end)
    sweep()
    console = Console(stderr=True)
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.time()
    session: Session | None = None
    try:
        with ExitStack() as stack:
            session = _measure(stack, options, plan_of(options), console)
    except KeyboardInterrupt:
        console.log("[red]ended by a signal; what was measured until then is written")
    if session is not None:
        _finish(session, options, console, started)
    return 0 if session is not None and not session.failures else 1


def _document(results: Path, path: Path) -> None:
    """Write the results and the plots that tell most into the documentation."""
    about, samples = report.read(results / "results.json")
    report.document(path, report.markdown(about, samples))
    plots.write_all(
        [item for item in summarise(samples) if item.key in plots.SHOWN], path.with_suffix("")
    )


def _measure(
    stack: ExitStack, options: argparse.Namespace, plan: Plan, console: Console
) -> Session:
    wanted = options.cases or plan.cases or CASES
    session = start_session(stack, plan, (), options.out, console)
    try:
        # What was measured until something fails is worth keeping: an hour of it, at worst.
        if set(wanted) & set(NAMES):
            with session.part("the systems side by side"):
                _side_by_side(session, options, wanted)
        if "guests" in wanted:
            with session.part("guests"):
                guests.run(session, options.systems, options.ovn_prefix, options.out)
        # Only now, when the other systems are gone: they need the whole machine.
        if "simulated" in wanted:
            with session.part("simulated hosts"):
                simulated.run(session, options.out / "simulated")
        if "simulated_eips" in wanted:
            with session.part("EIPs of simulated hosts"):
                simulated_eips.run(session, options.out / "simulated")
    except KeyboardInterrupt:
        session.failures.append("ended by a signal")
    return session


def _side_by_side(session: Session, options: argparse.Namespace, wanted: Sequence[str]) -> None:
    """Run every case that compares systems."""
    outside = bool(set(wanted) & set(OUTSIDE))
    prefix, cache = options.ovn_prefix, options.out
    with ExitStack() as stack:
        rigs = build_rigs(stack, options.systems, prefix, cache, outside=outside)
        session.rigs = tuple(rigs)
        static: Rig | None = None
        if set(wanted) & set(DATAPLANE):
            static = build_rigs(stack, ["static"], None, cache, outside=outside)[0]
        run(session, wanted, static)


def _finish(
    session: Session, options: argparse.Namespace, console: Console, started: float
) -> None:
    about: dict[str, Any] = {
        "machine": machine.describe(),
        "ovn": find(options.ovn_prefix, options.out).version,
        "plan": asdict(session.plan),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "load": session.load,
        "seconds": round(time.time() - started),
    }
    report.write(
        options.out / "results.json",
        samples=session.samples,
        about=about,
        stalls=[asdict(stall) for stall in session.stalls()],
        failures=session.failures,
    )
    plots.write_all(summarise(session.samples), options.out / "plots")
    report.show(Console(width=170 if not sys.stdout.isatty() else None), session.samples)


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
