"""``vpcctl serve``: runs the API and the southbound as two processes, and keeps them running.

The two share nothing but the database and the run directory, so neither can stall the other.
Signals are waited for, not handled: one loop, no handlers, no threads.

``python -m vpcctl.supervisor DOOR LINE`` takes the place of the command that prepared everything
(:func:`vpcctl.bootstrap.hand_over`). It lives as long as the controller, so it imports but a little
of the standard library; the settings are in its environment, for its children.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpcctl.readiness import Door, is_ready

CHILDREN = ("api", "southbound")
_PROCESSES = "vpcctl.processes"

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_S = 30.0
GRACE_S = 10.0
FAILURES_BEFORE_READY = 4
UNUSABLE = 2
"""Exit code of a child that cannot work with these settings: see ``vpcctl.processes.common``."""

_TICK_S = 0.2
_PR_SET_PDEATHSIG = 1
_WAITED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})


@dataclass(slots=True)
class Child:
    """One supervised process.

    Attributes:
        name: what it is called in messages.
        command: argument list.
        process: the running process, None between two starts.
        started: monotonic time of its last start, seconds.
        delay: pause before its next start, seconds.
        due: monotonic time of its next start, seconds.
        failures: how often it ended since the controller started.
        code: how it ended the last time.
    """

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.0
    due: float = 0.0
    failures: int = 0
    code: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts children, restarts the dead with growing pauses, and stops them all.

    Attributes:
        children: what to run.
        environment: variables of every child.
        ready: tells whether the whole answers; asked until it does.
        announce: called once when it does.
    """

    children: Sequence[Child]
    environment: dict[str, str]
    ready: Callable[[], bool]
    announce: Callable[[], None]
    _was_ready: bool = field(default=False, init=False)

    def run(self) -> int:
        """Run until a signal ends it; return the exit code."""
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED)
        try:
            return self._loop()
        finally:
            self._stop()
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)

    def _loop(self) -> int:
        while True:
            now = time.monotonic()
            for child in self.children:
                self._reap(child, now)
                if child.process is None and now >= child.due:
                    self._start(child, now)
            if not self._was_ready:
                if stuck := self._gave_up():
                    say(f"{stuck.name} does not come up; giving up")
                    return 1
                if self.ready():
                    self._was_ready = True
                    self.announce()
            received = signal.sigtimedwait(_WAITED, _TICK_S)
            if received is not None and received.si_signo != signal.SIGCHLD:
                say(f"{signal.Signals(received.si_signo).name}: stopping")
                return 0

    def _start(self, child: Child, now: float) -> None:
        child.process = subprocess.Popen(
            child.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            # Ctrl-C reaches us alone: we decide who stops when.
            process_group=0,
            preexec_fn=_die_with(os.getpid()),
        )
        child.started = now

    def _reap(self, child: Child, now: float) -> None:
        if child.process is None or child.process.poll() is None:
            return
        child.code = child.process.returncode
        child.process = None
        child.failures += 1
        healthy = now - child.started >= HEALTHY_S
        child.delay = FIRST_DELAY_S if healthy else min(_doubled(child.delay), LONGEST_DELAY_S)
        child.due = now + child.delay
        say(f"{child.name} ended ({_describe(child.code)}); next start in {child.delay:.1f} s")

    def _gave_up(self) -> Child | None:
        """Return a child that will not come up, however often it is started."""
        for child in self.children:
            hopeless = child.failures > 0 and child.code == UNUSABLE
            if hopeless or child.failures >= FAILURES_BEFORE_READY:
                return child
        return None

    def _stop(self) -> None:
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_S
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> int:
    """Run the controller until a signal ends it; return the exit code."""
    door, line = sys.argv[1:]
    return run(Door(**json.loads(door)), line)


def run(door: Door, line: str) -> int:
    """Run the children until a signal ends it; return the exit code.

    Args:
        door: where the API is asked whether it is ready.
        line: what to say once it is.
    """
    supervisor = Supervisor(
        children=[Child(name, (sys.executable, "-m", _PROCESSES, name)) for name in CHILDREN],
        environment=dict(os.environ),
        ready=lambda: is_ready(door),
        announce=lambda: say(line),
    )
    return supervisor.run()


def say(text: str) -> None:
    """Tell the operator something, in one line on stdout."""
    print(f"vpcctl: {text}", flush=True)


def _doubled(delay: float) -> float:
    return delay * 2 if delay else FIRST_DELAY_S


def _describe(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does before it runs its program: never outlive *parent*."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            # It died before the kernel knew about our wish.
            os._exit(1)

    return prepare


if __name__ == "__main__":
    sys.exit(main())
