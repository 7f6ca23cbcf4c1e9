"""``vpcctl serve``: keeps the API and the southbound running, as two processes.

The two share nothing but the database and the run directory, so neither can stall the other.
Signals are waited for, not handled: one loop, no handlers, no threads.

``python -m vpcctl.supervisor RUN-DIR DOOR LINE PID PID`` takes the place of the process that
started both (:mod:`vpcctl.processes.both`), so they are its children from the first. It lives as
long as the controller, so it imports but a little of the standard library; the settings are in its
environment, for children that it starts again.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vpcctl.readiness import Door, has_started, is_ready

CHILDREN = ("api", "southbound")
_PROCESSES = "vpcctl.processes"

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 10.0
HEALTHY_S = 30.0
GRACE_S = 10.0
FAILURES_BEFORE_READY = 4
UNUSABLE = 2
"""Exit code of a child that cannot work with these settings, and has said why: see
``vpcctl.processes.common``."""

_TICK_S = 0.2
_PR_SET_PDEATHSIG = 1
WAITED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})


@dataclass(slots=True)
class Child:
    """One supervised process.

    Attributes:
        name: what it is called in messages.
        command: argument list, to start it again.
        pid: the running process, None between two starts.
        started: monotonic time of its last start, seconds.
        delay: pause before its next start, seconds.
        due: monotonic time of its next start, seconds.
        failures: how often it ended since the controller started.
        code: how it ended the last time.
    """

    name: str
    command: tuple[str, ...]
    pid: int | None
    started: float
    delay: float = 0.0
    due: float = 0.0
    failures: int = 0
    code: int = 0


@dataclass(slots=True)
class Supervisor:
    """Starts children that ended again, with growing pauses, and stops them all.

    Attributes:
        children: what runs.
        ready: tells whether all of these children work; asked until they do.
        announce: called once when it does.
    """

    children: Sequence[Child]
    ready: Callable[[Sequence[Child]], bool]
    announce: Callable[[], None]
    _was_ready: bool = field(default=False, init=False)

    def run(self) -> int:
        """Run until a signal ends it; return the exit code."""
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
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
                if child.pid is None and now >= child.due:
                    self._start(child, now)
            if not self._was_ready:
                if stuck := self._gave_up():
                    if stuck.code != UNUSABLE:
                        say(f"{stuck.name} does not come up; giving up")
                    return 1
                if self.ready(self.children):
                    self._was_ready = True
                    self.announce()
            received = signal.sigtimedwait(WAITED, _TICK_S)
            if received is not None and received.si_signo != signal.SIGCHLD:
                say(f"{signal.Signals(received.si_signo).name}: stopping")
                return 0

    def _start(self, child: Child, now: float) -> None:
        child.started = now
        child.pid = fork()
        if child.pid == 0:
            try:
                os.execv(child.command[0], child.command)  # noqa: S606 - ours, without a shell
            finally:
                os._exit(1)

    def _reap(self, child: Child, now: float) -> None:
        if child.pid is None or (code := _ended(child.pid)) is None:
            return
        child.code = code
        child.pid = None
        child.failures += 1
        healthy = now - child.started >= HEALTHY_S
        child.delay = FIRST_DELAY_S if healthy else min(_doubled(child.delay), LONGEST_DELAY_S)
        child.due = now + child.delay
        if self._was_ready or code != UNUSABLE:
            say(f"{child.name} ended ({_describe(code)}); next start in {child.delay:.1f} s")

    def _gave_up(self) -> Child | None:
        """Return a child that will not come up, however often it is started."""
        for child in self.children:
            hopeless = child.failures > 0 and child.code == UNUSABLE
            if hopeless or child.failures >= FAILURES_BEFORE_READY:
                return child
        return None

    def _stop(self) -> None:
        running = [child.pid for child in self.children if child.pid is not None]
        for pid in running:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while running := [pid for pid in running if _ended(pid) is None]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            signal.sigtimedwait({signal.SIGCHLD}, left)
        for pid in running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> int:
    """Supervise the children that the command line names until a signal ends it.

    Returns:
        The exit code.
    """
    run_dir, door, line, *pids = sys.argv[1:]
    where, now = Door(**json.loads(door)), time.monotonic()
    supervisor = Supervisor(
        children=[
            Child(name, (sys.executable, "-m", _PROCESSES, name), int(pid), now)
            for name, pid in zip(CHILDREN, pids, strict=True)
        ],
        ready=lambda children: (
            all(has_started(run_dir, child.name, child.pid) for child in children)
            and is_ready(where)
        ),
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


def _ended(pid: int) -> int | None:
    """Return how the child *pid* ended; None while it runs. Once it has ended, ask no more."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def fork() -> int:
    """Return the pid of a new child, and 0 in the child, which never outlives its parent."""
    libc = ctypes.CDLL(None)
    parent = os.getpid()
    if pid := os.fork():
        return pid
    try:
        # Ctrl-C reaches the parent alone, which decides who stops when.
        os.setpgid(0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            # It died before the kernel knew about our wish.
            os._exit(1)
        _keep_standard_files()
    except BaseException:  # on its way up it would do what is the parent's to do
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED)
    return 0


def _keep_standard_files() -> None:
    """Close whatever is the parent's alone, such as its lock; nothing comes from stdin."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2:
            with contextlib.suppress(OSError):  # the listing's own, closed by now
                os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
