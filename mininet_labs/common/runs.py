"""Runs of labs: a directory each, a lock that says who is alive, and a record of what it made.

A run that was killed leaves its directory with a free lock; the next run of anybody cleans up
after it. Only processes of the record whose start time still fits are ended: a number that has
come to mean somebody else's process is left alone.
"""

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
BASE_VARIABLE = "VPCCTL_LABS_DIR"
BASE = Path(os.environ.get(BASE_VARIABLE) or "/run/vpcctl-labs").absolute()
"""Where runs have their directories; a lab knows none of those elsewhere, and ends none of them."""
NETNS = Path("/run/netns")
PROVIDER = "internet"
"""Name of the provider network in agents' settings, where a lab has one."""
_RECORD = "record.json"


class Run:
    """One run of a lab, alive as long as this process holds its lock.

    Attributes:
        id: six hexadecimal digits, part of every name that the run makes.
        directory: holds whatever the run writes.
    """

    def __init__(self, directory: Path, lock: int, record: dict[str, Any]) -> None:
        self.id = directory.name
        self.directory = directory
        self._lock = lock
        self._record = record

    @classmethod
    def begin(cls, lab: str, *, background: bool) -> "Run":
        """Make a new run, with this process as its owner."""
        with _base():
            directory = BASE / secrets.token_hex(3)
            directory.mkdir(mode=0o711)
            lock = _lock(directory)
            if lock is None:
                raise RuntimeError(f"{directory} was just made and is locked already")
            record = {
                "lab": lab,
                "background": background,
                "owner": identity(os.getpid()),
                "since": time.strftime("%Y-%m-%d %H:%M:%S"),
                "directory": str(REPOSITORY),
                "processes": [],
                # Kept by a run that made it, so that the last one may remove it again.
                "made_netns_directory": not NETNS.exists(),
            }
            run = cls(directory, lock, record)
            run.save()
            return run

    def path(self, *parts: str) -> Path:
        """Return a path below the run's directory; the directory that holds it is made."""
        path = self.directory.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remember(self, pid: int) -> None:
        """Record a process before anything can go wrong with it."""
        self._record["processes"].append(identity(pid))
        self.save()

    def note(self, **facts: Any) -> None:
        """Add *facts* to the record, for other commands to read."""
        self._record.update(facts)
        self.save()

    def save(self) -> None:
        """Write the record; a reader sees the old or the new one, never half."""
        temporary = self.directory / f".{_RECORD}"
        temporary.write_text(json.dumps(self._record))
        temporary.replace(self.directory / _RECORD)

    def end(self) -> None:
        """Remove what is left of the run."""
        with _base():
            _remove(self.directory, self._record)
            os.close(self._lock)


def sweep() -> list[str]:
    """Clean up after runs whose owner is gone; return their ids."""
    swept = []
    with _base():
        for directory in sorted(path for path in BASE.iterdir() if path.is_dir()):
            lock = _lock(directory)
            if lock is None:
                continue
            record = read_record(directory)
            for process in record.get("processes", []):
                _kill(process)
            _remove(directory, record)
            os.close(lock)
            swept.append(directory.name)
    return swept


def background_runs(lab: str) -> list[tuple[Path, dict[str, Any]]]:
    """Return directory and record of every living background run of *lab*."""
    return [(directory, record) for directory, record in _background() if record["lab"] == lab]


def labs_left_running() -> list[str]:
    """Return the names of the labs that have a living background run."""
    return sorted({record["lab"] for _, record in _background()})


def base_setting() -> str:
    """Return what sets the base directory of a command to this one's; empty: nothing has to."""
    return f"{BASE_VARIABLE}={BASE} " if os.environ.get(BASE_VARIABLE) else ""


def _background() -> Iterator[tuple[Path, dict[str, Any]]]:
    if not BASE.is_dir():
        return
    for directory in sorted(path for path in BASE.iterdir() if path.is_dir()):
        record = read_record(directory)
        if record.get("background") and _is_alive(record["owner"]):
            yield directory, record


def read_record(directory: Path) -> dict[str, Any]:
    """Return the record of a run, empty when it was killed before it wrote one."""
    try:
        return json.loads((directory / _RECORD).read_text())
    except (OSError, ValueError):
        return {}


def identity(pid: int) -> list[int]:
    """Return [pid, start time]: two that are equal are the same process."""
    return [pid, _start_time(pid)]


def stop(process: list[int], *, seconds: float) -> bool:
    """Ask the process *process* to end; return whether it did within *seconds*."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process[0])
        try:
            if _start_time(process[0]) != process[1]:
                return True
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)
    return True


def _kill(process: list[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process[0])
        try:
            # Asked after the descriptor is held: from here on the number cannot change hands.
            if _start_time(process[0]) == process[1]:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                select.select([descriptor], [], [], 5.0)
        finally:
            os.close(descriptor)


def _is_alive(process: list[int]) -> bool:
    return _start_time(process[0]) == process[1] != 0


def _start_time(pid: int) -> int:
    """Return when *pid* started, in clock ticks since boot (proc(5), field 22); 0: no more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


def _lock(directory: Path) -> int | None:
    """Return a descriptor that holds the lock of *directory*, None when somebody else does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def _base() -> Iterator[None]:
    """Hold the lock of the base directory, making it before and removing it after when empty."""
    while True:
        BASE.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(BASE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The last run may have removed it while we waited for its lock.
        if BASE.exists() and os.path.samestat(os.fstat(descriptor), BASE.stat()):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            BASE.rmdir()
        os.close(descriptor)


def _remove(directory: Path, record: dict[str, Any]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    if record.get("made_netns_directory") and not is_mount_point(NETNS):
        with contextlib.suppress(OSError):
            NETNS.rmdir()


def is_mount_point(path: Path) -> bool:
    """Tell whether any process has something mounted at *path*.

    Hosts of other labs have, each in a mount namespace of its own. The kernel would remove the
    directory nevertheless, and their mounts with it.
    """
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            if f" {path} " in mounts.read_text():
                return True
    return False
