"""CPU time and memory of processes, without their help."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

_CLOCK_SCHED = 2


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that process *pid* has used (all its threads), 0.0 when it is gone.

    The process CPU-time clock (clock_getcpuclockid(3)) counts nanoseconds, where
    ``/proc/PID/stat`` counts ticks of 10 ms: too coarse for a change that costs a few.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CLOCK_SCHED)
    except OSError:
        return 0.0


def total(pids: Iterable[int]) -> float:
    """Return the CPU seconds of *pids* together."""
    return sum(cpu_seconds(pid) for pid in pids)


def children(pid: int) -> tuple[int, ...]:
    """Return *pid*'s descendants, parents first."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return tuple(found) + tuple(grand for child in found for grand in children(child))


def command(pid: int) -> str:
    """Return *pid*'s command line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def rss_bytes(pid: int) -> int:
    """Return the resident memory of *pid*, shared pages and all; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of *pid*, shared pages counted by share; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
