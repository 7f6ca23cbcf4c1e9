"""What of an embedded database outlives a power cut, and revisions that never come twice.

SQLite runs with ``synchronous=NORMAL``: a commit is in the write-ahead log, seen by everybody,
and safe from a crash of any process, but the log is only flushed to the disk now and then. After
a power cut the database is sound and as it was some commits ago. That is made good in two ways:
a write is acknowledged to its client only after :func:`flush`, and the first start after the
machine went down leaves a gap in the revisions, wider than what can have been lost, so that
nobody who saw a lost revision ever meets it again with another meaning.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, update

from vpcctl.store.tables import LedgerRow

GAP = 1 << 20
"""Revisions skipped: the log is flushed at every checkpoint, about every thousand pages."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Log:
    """The write-ahead log beside a SQLite file; usable from several threads."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-wal")
        self._entered = -1  # inode whose directory entry is on the disk

    def flush(self) -> None:
        """Return once everything that was committed before outlives a power cut.

        No log means that its last user wrote everything to the database itself and flushed that.
        SQLite holds no locks on the log, so closing the descriptor releases none.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            os.fdatasync(descriptor)
            inode = os.fstat(descriptor).st_ino
        finally:
            os.close(descriptor)
        if inode != self._entered:
            _flush_directory(self._path.parent)
            self._entered = inode


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leave_gap(database: Path, write: Callable[[Callable[[Connection], None]], None]) -> None:
    """Skip :data:`GAP` revisions if the machine may have gone down since the last start.

    Args:
        database: the file; ``<name>.boot`` beside it keeps which boot used it last.
        write: runs a transaction and flushes it.
    """
    mark = database.with_name(database.name + ".boot")
    present = _BOOT.read_text().strip()
    with contextlib.suppress(FileNotFoundError):
        if mark.read_text().strip() == present:
            return
    write(_skip)
    _write_durably(mark, present)


def _skip(connection: Connection) -> None:
    """A database without any revision yet has lost none."""
    connection.execute(
        update(LedgerRow).where(LedgerRow.value > 0).values(value=LedgerRow.value + GAP)
    )


def _write_durably(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
    _flush_directory(path.parent)
