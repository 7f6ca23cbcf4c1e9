"""How a lab begins and ends: ``run``, ``up``, ``down`` and ``exec``, alike for every lab."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from mininet_labs.common import places, runs
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
usage: python3 -m mininet_labs.{name} run | up | down | exec PLACE COMMAND...

  run    bring it up, check everything, tear it down
  up     bring it up and leave it running
  down   end what `up` started
  exec   run a command in what `up` started: inside a workload (red-1), inside a namespace that you
         attached to a host (host1/mine), or outside, where there is a provider's network

A lab that is up is up for everybody on this machine, whichever directory it was started from.
VPCCTL_LABS_DIR=/run/mine in the environment of these commands makes it one of your own.
"""
_INTERRUPTED = 130
_DEFAULT = "two_tenants"
"""What `make` brings up when it is not told which."""


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
        case ["exec", place, *command] if command:
            return _exec(name, place, command)
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
    """Start the lab in the background, unless it is up, and print how to use it."""
    for directory, record in runs.background_runs(name):
        return _tell_of(name, directory, record)
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


def _tell_of(name: str, directory: Path, record: dict[str, Any]) -> int:
    """Say that the lab is up already, since when and from where, and how to use it."""
    usage = directory / "usage"
    state = "already up" if usage.exists() else "being brought up"
    say(f"lab: {name} is {state}, since {record['since']}, from {record['directory']}")
    if not usage.exists():
        return 1
    say(usage.read_text().rstrip())
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
    if swept:
        say(f"lab: cleaned up after {len(swept)} that had been killed: {', '.join(swept)}")
    say("lab: down" if found else f"lab: {not_up(name)}")
    return 0


def make(target: str, name: str) -> str:
    """Return how a target of the Makefile is called for the lab *name*."""
    return f"make {target}" if name == _DEFAULT else f"make {target} LAB={name}"


def not_up(name: str) -> str:
    """Return that the lab *name* is not up, and which others are."""
    others = runs.labs_left_running()
    if not others:
        return "nothing is up"
    ways = (f"{other} is up: {make('down', other)}" for other in others)
    return f"{name} is not up; {'; '.join(ways)}"


def _exec(name: str, place: str, command: list[str]) -> int:
    for _, record in runs.background_runs(name):
        try:
            known = places.of_record(record)
        except LabError as error:
            print(f"lab: {error}", file=sys.stderr)
            return 1
        if place not in known:
            print(f"lab: no workload {place}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
        return subprocess.run([*known[place], *command], check=False).returncode
    print(f"lab: {not_up(name)}; start it with `{make('up', name)}`", file=sys.stderr)
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
