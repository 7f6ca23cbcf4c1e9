"""Processes that a lab starts: recorded before they can be lost, and never outliving the lab."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mininet_labs.common.runs import Run

_PR_SET_PDEATHSIG = 1
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_LIBC = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The lab cannot go on; the text says why in one sentence."""


class Interrupted(BaseException):
    """A signal asks the lab to end; like KeyboardInterrupt nobody handles it on the way."""


class Daemons:
    """The processes of one run, stopped in reverse order of their start."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        talk: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start *command*; what it says goes to ``<name>.log`` in the run's directory.

        Args:
            name: what it is called in messages.
            command: argument list.
            environment: variables beyond this process's own.
            talk: keep pipes to its standard input and output.
        """
        log = log_of(self._run, name)
        with uninterrupted(), log.open("ab") as sink:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talk else sink,
                stderr=sink,
                env={**os.environ, **(environment or {})},
                # Ctrl-C in a terminal is for the lab, which then ends these in good order.
                process_group=0,
                preexec_fn=_die_with(os.getpid()),
            )
            self._running.append((name, process))
            self._run.remember(process.pid)
        return process

    def check(self) -> None:
        """Raise LabError if a process has ended by itself."""
        for name, process in self._running:
            if process.poll() is not None:
                raise LabError(f"{name} ended by itself\n{tail(self._run, name)}")

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill one process, which may end before the others."""
        process.kill()
        process.wait()
        self._running = [(name, one) for name, one in self._running if one is not process]

    def kill(self, name: str) -> None:
        """End the process *name* at once; it is none of those that must run any more."""
        for known, process in self._running:
            if known == name:
                process.kill()
                process.wait()
        self._running = [each for each in self._running if each[0] != name]

    def stop(self, grace_s: float = 5.0) -> None:
        """End every process: asked first, made to after *grace_s* seconds."""
        for _, process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + grace_s
        for _, process in reversed(self._running):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        self._running.clear()


def log_of(run: Run, name: str) -> Path:
    """Return where the process *name* writes."""
    return run.path("logs", f"{name}.log")


def tail(run: Run, name: str, lines: int = 15) -> str:
    """Return the last lines that the process *name* wrote."""
    try:
        return "\n".join(log_of(run, name).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float) -> None:
    """Return when *condition* holds.

    Raises:
        LabError: it does not within *seconds*.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.05)


def within(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Tell whether *condition* comes to hold within *seconds*."""
    try:
        wait_until(condition, "it", seconds=seconds)
    except LabError:
        return False
    return True


@contextlib.contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into :class:`Interrupted` within the block."""

    def interrupt(number: int, _frame: object) -> None:
        for other in _ENDING:
            signal.signal(other, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    previous = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From now on nothing but SIGKILL interrupts this process: it is cleaning up."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back within the block, so that what is made there is also recorded."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does first: take signals again, and never outlive *parent*."""

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)

    return prepare
