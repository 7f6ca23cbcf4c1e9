"""The database: how it is opened, brought up to date, and how transactions run and are retried."""

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from vpcctl.model.problems import Conflict, Unavailable
from vpcctl.store import durable

T = TypeVar("T")

ATTEMPTS = 8
BUSY_TIMEOUT_MS = 5_000
_CACHE_KIB = 512
"""Of each connection, KiB. Pages that are not in it come from the kernel's cache, in microseconds;
what is in it, each connection has for itself."""
_LOOK_S = 0.0002
"""Seconds between two looks whether another process's write has ended: most take a millisecond or
two. SQLite itself would look after 1, 3, 8, 18 … milliseconds."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1
_RETRY_SQLSTATES = {"40001", "40P01", "55P03"}
_WRITE = "vpcctl_write"


def parse_url(url: str) -> URL:
    """Return *url* with the driver that is used for it.

    Raises:
        ValueError: it is neither a file of SQLite nor PostgreSQL.
    """
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise ValueError("expected sqlite:///<path> or postgresql://<user>@<host>/<database>")


class UnusableDatabase(Exception):
    """The database cannot be brought to this program's schema; the text says why, in one line."""


class Database:
    """One database, used by any number of threads.

    Writers of this process to SQLite queue on a lock of their own, which is fair; between
    processes there is SQLite's lock, which is polled for.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        if self.dialect == "sqlite":
            _configure_sqlite(engine)
            self._reader = engine
            self._writer = engine.execution_options(**{_WRITE: True})
            self._turn: AbstractContextManager[Any] = threading.Lock()
            self._log = durable.Log(Path(engine.url.database or ""))
        else:
            self._log = None
            self._reader = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._writer = engine.execution_options(isolation_level="READ COMMITTED")
            self._turn = nullcontext()

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database at *url*; a SQLite file is made, readable by its owner alone.

        Raises:
            ValueError: the URL is of another kind.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(Path(parsed.database or ""))
            arguments: dict[str, Any] = {"check_same_thread": False, "isolation_level": None}
            arguments["timeout"] = BUSY_TIMEOUT_MS / 1000
        else:
            arguments = {"application_name": "vpcctl", "connect_timeout": 10}
        # Last in, first out: the same few connections, with what they have cached, do most of it.
        engine = create_engine(
            parsed,
            connect_args=arguments,
            pool_size=10,
            max_overflow=30,
            pool_timeout=30,
            pool_use_lifo=True,
        )
        return cls(engine)

    @property
    def is_embedded(self) -> bool:
        """Whether it is in this process: rows that are found by keys are there at once."""
        return self.dialect == "sqlite"

    @property
    def url(self) -> URL:
        """Where it is."""
        return self.engine.url

    def upgrade(self) -> None:
        """Bring the schema to the newest version; harmless when it is there already.

        It is done at every start, so it also leaves the gap in the revisions that may be needed.

        Raises:
            UnusableDatabase: it does not answer, is no database, or is a newer program's.
        """
        # Not needed by a process that works with a schema which is there already.
        from alembic.util import CommandError

        from vpcctl.store import schema

        try:
            with self._turn, _transaction(self._writer) as connection:
                schema.upgrade(connection)
        except (DBAPIError, CommandError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            lines = str(cause).strip().splitlines() or [type(cause).__name__]
            raise UnusableDatabase(lines[0].strip()) from error
        if self._log is not None:
            durable.leave_gap(Path(self.url.database or ""), self._write_durably)

    def _write_durably(self, work: Callable[[Connection], None]) -> None:
        self.write(work)
        self.flush()

    def flush(self) -> None:
        """Return once every write that has returned outlives a power cut.

        PostgreSQL sees to that before it answers a commit.
        """
        if self._log is not None:
            self._log.flush()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a read transaction that sees one moment of the database.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._run(self._reader, work, nullcontext())

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in a transaction that is done as a whole or not at all.

        It may run several times: after a deadlock or serialisation failure it starts over. To be
        acknowledged to somebody it needs :meth:`flush` afterwards.

        Raises:
            Unavailable: the database does not answer, is full, or stayed locked.
            Conflict: a constraint forbids it.
        """
        return self._run(self._writer, work, self._turn)

    def _run(
        self, engine: Engine, work: Callable[[Connection], T], turn: AbstractContextManager[Any]
    ) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            committing = False
            try:
                with turn, _transaction(engine) as connection:
                    result = work(connection)
                    committing = True
                return result
            except PoolTimeout as error:
                raise Unavailable("All database connections are in use; try again.") from error
            except DBAPIError as error:
                if attempt == ATTEMPTS or not _may_retry(error, attempt, committing=committing):
                    raise _problem(error) from error
            time.sleep(_pause(attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    """Give a connection within a transaction, which is committed when the block ends well."""
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            _begin(connection)
        yield connection


def _begin(connection: Connection) -> None:
    """Begin a transaction of SQLite, whose driver is told to leave that to us.

    Straight to the driver: a listener to SQLAlchemy's event would slow down every statement.
    """
    raw: Any = connection.connection.dbapi_connection
    try:
        if connection.get_execution_options().get(_WRITE, False):
            _begin_write(raw)
        else:
            raw.execute("BEGIN")
    except sqlite3.Error as error:
        raise OperationalError("BEGIN", {}, error) from error


def _begin_write(raw: Any) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
            time.sleep(_LOOK_S)
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")


def _pause(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret


def _may_retry(error: DBAPIError, attempt: int, *, committing: bool) -> bool:
    if error.connection_invalidated:
        # A commit whose answer was lost may have happened: only the caller can tell.
        return not committing
    if isinstance(error, IntegrityError):
        # Writers are ordered, so only random values (ids, MACs) can collide: once more.
        return attempt <= 2
    if getattr(error.orig, "sqlstate", None) in _RETRY_SQLSTATES:
        return True
    text = str(error.orig)
    return attempt <= 2 and ("database is locked" in text or "database table is locked" in text)


def _problem(error: DBAPIError) -> Exception:
    if isinstance(error, IntegrityError):
        return Conflict("Something else with the same unique value came first; try again.")
    if isinstance(error, OperationalError | InterfaceError | InternalError):
        return Unavailable("The database does not take the request now; nothing was changed.")
    return error


def _prepare_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _configure_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: object) -> None:
        # NORMAL: what that means for a power cut, and what is done about it, is in durable.py.
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            f"cache_size=-{_CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    # Kept by the engine's event registry as long as the engine lives.
    _ = on_connect
