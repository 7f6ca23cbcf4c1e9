"""How a lab begins and ends: ``run``, ``up``, ``down`` and ``exec``, alike for every lab."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from mininet_labs.common import runs
from mininet_labs.common.processes import (
    Daemons,
    Interrupted,
    LabError,
    ending_on_signals,
    ignore_signals,
)
from mininet_labs.common.report import Checks, say
from mininet_labs.common.runs import Run

_USAGE = """\
usage: python3 -m mininet_labs.{name} run | up | down | exec WORKLOAD COMMAND...

  run    bring it up, check everything, tear it down
  up     bring it up and leave it running
  down   end what `up` started
  exec   run a command inside a workload (red-1), or inside a namespace that you attached to a
         host (host1/mine), of what `up` started
"""
_INTERRUPTED = 130


class Lab(Protocol):
    """One lab, between its first process and its last."""

    def bring_up(self) -> None:
        """Build everything and return when it works."""

    def check(self, checks: Checks) -> None:
        """Check everything, and that taking it down through the API leaves nothing."""

    def describe(self) -> str:
        """Return what to tell somebody who is to use it."""

    def close(self) -> None:
        """Let go of whatever is no process."""


Factory = Callable[[Run, Daemons], Lab]


def main(name: str, factory: Factory) -> int:
    """Do what the command line asks for; return the exit code."""
    arguments = sys.argv[1:]
    if os.geteuid() != 0:
        print("lab: needs root (network namespaces): run it by sudo", file=sys.stderr)
        return 2
    match arguments:
        case ["run"]:
            return _run(name, factory)
        case ["up"]:
            return _up(name)
        case ["up", "--foreground", descriptor]:
            return _stay(name, factory, int(descriptor))
        case ["down"]:
            return _down(name)
        case ["exec", workload, *command] if command:
            return _exec(name, workload, command)
        case _:
            print(_USAGE.format(name=name), file=sys.stderr, end="")
            return 2


def _run(name: str, factory: Factory) -> int:
    checks = Checks()
    try:
        with _lab(name, factory, background=False) as lab:
            lab.bring_up()
            lab.check(checks)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except Interrupted as signal_name:
        print(f"lab: {signal_name}: everything is taken down", file=sys.stderr)
        return _INTERRUPTED
    return checks.conclude()


def _up(name: str) -> int:
    """Start the lab in the background and print how to use it."""
    for directory, _ in runs.background_runs(name):
        say((directory / "usage").read_text().rstrip())
        return 0
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", f"mininet_labs.{name}", "up", "--foreground", str(theirs)]
    lab = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=[theirs], start_new_session=True
    )
    os.close(theirs)
    try:
        with os.fdopen(ours) as answer, ending_on_signals():
            usage = answer.read()
    except Interrupted:
        lab.terminate()
        lab.wait()
        return _INTERRUPTED
    if not usage:
        return lab.wait() or 1
    say(usage.rstrip())
    return 0


def _stay(name: str, factory: Factory, descriptor: int) -> int:
    """Bring the lab up, tell the waiting parent, and stay until a signal."""
    try:
        with _lab(name, factory, background=True) as lab:
            lab.bring_up()
            _leave_terminal(lab.describe(), descriptor)
            while True:
                signal.pause()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except Interrupted:
        return 0


def _leave_terminal(usage: str, descriptor: int) -> None:
    with os.fdopen(descriptor, "w") as parent:
        parent.write(usage)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def _down(name: str) -> int:
    found = runs.background_runs(name)
    for _, record in found:
        if not runs.stop(record["owner"], seconds=30.0):
            say("lab: it does not end when asked to; its processes are ended")
            os.kill(record["owner"][0], signal.SIGKILL)
            runs.stop(record["owner"], seconds=5.0)
    swept = runs.sweep()
    say("lab: down" if found or swept else "lab: nothing is up")
    return 0


def _exec(name: str, workload: str, command: list[str]) -> int:
    for _, record in runs.background_runs(name):
        known = record.get("workloads", {})
        host, _, netns = workload.rpartition("/")
        inside = record.get("hosts", {}).get(host or known.get(netns))
        if inside is None:
            print(f"lab: no workload {workload}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
        within = [*inside, "ip", "netns", "exec", netns, *command]
        return subprocess.run(within, check=False).returncode
    print("lab: nothing is up; start it with `make up`", file=sys.stderr)
    return 1


@contextlib.contextmanager
def _lab(name: str, factory: Factory, *, background: bool) -> Iterator[Lab]:
    """Make a lab, and take everything down however the block ends."""
    with ending_on_signals():
        if swept := runs.sweep():
            say(f"lab: cleaned up after {len(swept)} that had been killed: {', '.join(swept)}")
        run = Run.begin(name, background=background)
        daemons = Daemons(run)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(run.end)
            cleanup.callback(daemons.stop)
            lab = factory(run, daemons)
            cleanup.callback(lab.close)
            cleanup.callback(ignore_signals)
            yield lab


def give_to_caller(path: Path) -> None:
    """Make *path* the property of who called sudo, so that they can read it."""
    if "SUDO_UID" in os.environ:
        os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1")))
