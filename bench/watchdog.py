"""Notes when the machine itself stands still, so that no system is blamed for it.

A process of its own at real-time priority sleeps 5 ms at a time. Whoever is scheduled before
everything else and still wakes late was not running because the machine was not.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Process

PERIOD_S = 0.005
THRESHOLD_S = 0.025


@dataclass(frozen=True, slots=True)
class Stall:
    """A time during which the machine stood still, on the monotonic clock, seconds."""

    start: float
    end: float


def find_stall(before: float, after: float) -> Stall | None:
    """Return the stall that waking at *after* shows, having gone to sleep at *before*."""
    return Stall(before, after) if after - before > PERIOD_S + THRESHOLD_S else None


def parse(text: str) -> tuple[Stall, ...]:
    """Return the stalls in the watchdog's file; an unfinished last line is left for later."""
    complete = text[: text.rfind("\n") + 1]
    return tuple(Stall(*map(float, line.split())) for line in complete.splitlines())


def touched(stalls: tuple[Stall, ...], start: float, end: float) -> bool:
    """Tell whether a stall overlaps the time from *start* to *end*."""
    return any(stall.start < end and stall.end > start for stall in stalls)


class Watchdog:
    """Runs the watching process and answers for spans of time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "stalls"
        self._path.write_text("")
        argv = [sys.executable, "-m", "bench.watchdog", str(self._path)]
        self._process = Process(argv, log=directory / "watchdog.log")

    def stalls(self) -> tuple[Stall, ...]:
        """Return all stalls so far."""
        return parse(self._path.read_text())

    def touched(self, start: float, end: float) -> bool:
        """Tell whether the machine stood still at any time from *start* to *end*."""
        return touched(self.stalls(), start, end)

    def close(self) -> None:
        """Stop watching."""
        self._process.stop()


def main() -> None:
    """Watch until killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))
    with Path(sys.argv[1]).open("a", buffering=1) as notes:
        while True:
            before = time.monotonic()
            time.sleep(PERIOD_S)
            if stall := find_stall(before, time.monotonic()):
                notes.write(f"{stall.start:.6f} {stall.end:.6f}\n")


if __name__ == "__main__":
    main()
