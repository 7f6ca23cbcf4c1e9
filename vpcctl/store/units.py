"""Units of work: a write takes the next revision first, does its work, tells the feed, commits.

The update of the ledger's row orders all writers (its row lock on PostgreSQL, BEGIN IMMEDIATE on
SQLite), so the order of revisions is the order of commits, and what a unit reads cannot be changed
by another before it commits.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Connection, bindparam, insert, select, text, update

from vpcctl.store.database import Database
from vpcctl.store.tables import ChangeRow, LedgerRow
from vpcctl.store.wake import CHANNEL, LATER, TOPICS, NullWaker, Topic, Waker

T = TypeVar("T")

Action = Literal["created", "changed", "deleted", "warning"]
Counter = Literal[
    "vpc_key",
    "vni",
    "port_key",
    "host_key",
    "acl_key",
    "ext_key",
    "eip_key",
    "nat_key",
    "rtb_key",
    "limit_number",
]
Needs = Mapping[Counter, int]
"""How many numbers of which spaces a unit takes."""
Rider = Callable[[Connection, Any], None]
"""Does something more within a unit's transaction, told what the unit results in."""

_AWAKE_S = 0.02
"""Seconds for which who was woken is awake, with what it needs in the processor's caches."""
NO_NEEDS: Needs = MappingProxyType({})
_TELL = insert(ChangeRow)
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', :topic)")


@functools.cache
def _next(counters: tuple[Counter, ...]) -> Any:
    """Return the statement that takes the next revision and moves *counters* on."""
    columns = [getattr(LedgerRow, name) for name in counters]
    moved: dict[str, Any] = {column.key: column + bindparam(f"{column.key}_") for column in columns}
    statement = update(LedgerRow).values(value=LedgerRow.value + 1, **moved)
    return statement.returning(LedgerRow.value, *columns)


def utc_now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


class Unchanged(Exception, Generic[T]):
    """Raised inside a unit that finds nothing to change: it is rolled back, *result* returned."""

    def __init__(self, result: T) -> None:
        super().__init__("nothing changed")
        self.result = result


class Unit:
    """One write transaction.

    Attributes:
        connection: for the repositories.
        revision: the revision that this makes.
        now: one moment for everything in it.
        needs: how many numbers of which spaces it takes.
        counts: values of those spaces' counters, after it took them.
    """

    __slots__ = ("_changes", "_topics", "connection", "counts", "needs", "now", "revision")

    def __init__(self, connection: Connection, now: datetime, needs: Needs) -> None:
        names = tuple(sorted(needs))
        more = {f"{name}_": needs[name] for name in names}
        row: Any = connection.execute(_next(names), more).one()
        self.connection = connection
        self.revision: int = row[0]
        self.needs = needs
        self.counts: dict[Counter, int] = dict(zip(names, row[1:], strict=True))
        self.now = now
        self._changes: list[dict[str, Any]] = []
        self._topics: set[Topic] = set()

    def tell(self, kind: str, id: str, tenant_id: str, action: Action, detail: str = "") -> None:
        """Put a change of a resource, or a warning about one, into the feed."""
        self._changes.append(
            {
                "revision": self.revision,
                "sequence": len(self._changes),
                "kind": kind,
                "resource_id": id,
                "tenant_id": tenant_id,
                "action": action,
                "detail": detail[:1024],
                "time": self.now,
            }
        )
        self._topics.add("realised" if action == "warning" else "network")

    def wake(self, topic: Topic) -> None:
        """Wake *topic* once this is committed."""
        self._topics.add(topic)

    def finish(self) -> list[str]:
        """Write the changes; return the topics to wake, the most urgent first."""
        topics = [topic for topic in TOPICS if topic in self._topics]
        if self._changes:
            self.connection.execute(_TELL, self._changes)
        if self.connection.dialect.name == "postgresql":
            for topic in topics:
                self.connection.execute(_NOTIFY, {"topic": topic})
        return topics


class Units:
    """Makes units of work on a database.

    Attributes:
        clock: returns the present as an aware datetime.
    """

    def __init__(
        self,
        database: Database,
        waker: Waker | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = database
        self.clock = clock
        self._waker = waker or NullWaker()
        self._riders = threading.local()
        self._roused = 0.0

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run *work* on one moment of the database."""
        return self.database.read(work)

    def write(
        self, work: Callable[[Unit], T], needs: Needs = NO_NEEDS, *, durable: bool = True
    ) -> T:
        """Run *work* as one unit that makes a revision and takes the numbers it *needs*.

        Whoever is to act on it is woken first; then, if *durable*, the disk is waited for: what
        is acknowledged to a client outlives a power cut. What can be learnt again need not.
        """
        self._rouse()

        def body(connection: Connection) -> tuple[T, list[str]]:
            unit = Unit(connection, self.clock(), needs)
            result = work(unit)
            rider: Rider | None = getattr(self._riders, "present", None)
            if rider is not None:
                rider(connection, result)
            return result, unit.finish()

        try:
            result, topics = self.database.write(body)
        except Unchanged as unchanged:
            return unchanged.result
        self._wake(topics, durable=durable)
        return result

    def _rouse(self) -> None:
        """Wake the southbound, which finds nothing yet, but is awake when this is committed.

        To read the first change after a pause takes it five times as long as to read the next. From
        another process's database it would read in the way of this write.
        """
        if self.database.is_embedded and time.monotonic() - self._roused > _AWAKE_S:
            self._wake_for("network")

    def _wake(self, topics: Sequence[str], *, durable: bool) -> None:
        """Wake for *topics*, and wait for the disk; what can wait comes after it."""
        for topic in topics:
            if topic not in LATER:
                self._wake_for(topic)
        if durable:
            self.database.flush()
        for topic in topics:
            if topic in LATER:
                self._wake_for(topic)

    def _wake_for(self, topic: str) -> None:
        if topic == "network":
            self._roused = time.monotonic()
        self._waker.wake(topic)

    @contextmanager
    def riding(self, rider: Rider) -> Iterator[None]:
        """Have *rider* called within the transaction of every unit that this thread writes."""
        self._riders.present = rider
        try:
            yield
        finally:
            self._riders.present = None

    def write_aside(self, work: Callable[[Connection], T], *topics: str, durable: bool = True) -> T:
        """Run *work*, which writes what has no revision (tokens, liveness), then wake *topics*.

        *durable* is as for :meth:`write`.
        """

        def body(connection: Connection) -> T:
            result = work(connection)
            if connection.dialect.name == "postgresql":
                for topic in topics:
                    connection.execute(_NOTIFY, {"topic": topic})
            return result

        result = self.database.write(body)
        self._wake(topics, durable=durable)
        return result


def present_revision(connection: Connection) -> int:
    """Return the revision of the newest write."""
    return connection.execute(_PRESENT).scalar_one()


_PRESENT = select(LedgerRow.value)
