"""What the repositories of all resources share: find by id, page, insert, change, delete.

Rows come back as results of Core statements, typed as their declarative class: reading a column is
reading an attribute, nothing is tracked, nothing is loaded later.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from vpcctl.model import ids
from vpcctl.store.tables import Base

R = TypeVar("R", bound=Base)
V = TypeVar("V")

CHUNK = 500
"""Values in one IN list: well below what SQLite and PostgreSQL take."""

Filter = Callable[[str], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows a page has.

    Attributes:
        after: order number of the last row of the page before; 0 for the first page.
        limit: most rows to return.
        tenant_id: only this tenant's; None for all.
        filters: field → value, each one that the repository knows.
        tags: tag → value.
    """

    after: int
    limit: int
    tenant_id: str | None = None
    filters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def chunks(values: Iterable[str]) -> Iterable[list[str]]:
    """Yield *values* in lists of at most :data:`CHUNK`."""
    items = list(values)
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _is_only(column: Any) -> Any:
    return column == bindparam("only_")


def _is_one_of(column: Any) -> Any:
    return column.in_(bindparam("several_", expanding=True))


class Among:
    """A statement about the rows whose *column* is one of some values.

    Mostly it is one, and then no list has to be written into the statement again.
    """

    def __init__(self, statement: Any, column: Any) -> None:
        self._one = statement.where(_is_only(column))
        self._some = statement.where(_is_one_of(column))

    @classmethod
    def built(cls, build: Callable[[Callable[[Any], Any]], Any]) -> "Among":
        """Return one of a statement that *build* makes, told what to demand of columns."""
        made = cls.__new__(cls)
        made._one, made._some = build(_is_only), build(_is_one_of)
        return made

    def rows(self, connection: Connection, values: Iterable[str], **more: Any) -> Iterator[Any]:
        """Yield the rows; *more* are the statement's other parameters."""
        for part in chunks(values):
            if len(part) == 1:
                yield from connection.execute(self._one, {"only_": part[0], **more})
            else:
                yield from connection.execute(self._some, {"several_": part, **more})

    def run(self, connection: Connection, values: Iterable[str], **more: Any) -> None:
        """Execute a statement that gives no rows."""
        for part in chunks(values):
            if len(part) == 1:
                connection.execute(self._one, {"only_": part[0], **more})
            else:
                connection.execute(self._some, {"several_": part, **more})


class Lists(Generic[V]):
    """What belongs to the rows of another table, in lists by their id.

    Args:
        statement: gives the rows, in order.
        owner: the column of whose they are.
        make: returns what is listed for a row; the row itself if not given.
    """

    def __init__(
        self, statement: Any, owner: Any, make: Callable[[Any], V] = lambda row: row
    ) -> None:
        self._all, self._some = statement, Among(statement, owner)
        self._owner: str = owner.key
        self._make = make

    def all(self, connection: Connection) -> dict[str, list[V]]:
        """Return all lists."""
        return self._listed(connection.execute(self._all))

    def of(self, connection: Connection, ids: Iterable[str]) -> dict[str, list[V]]:
        """Return the lists of some; those of whom nothing is are missing."""
        return self._listed(self._some.rows(connection, ids))

    def one(self, connection: Connection, id: str) -> list[V]:
        """Return the list of one."""
        return self.of(connection, [id]).get(id, [])

    def _listed(self, rows: Iterable[Any]) -> dict[str, list[V]]:
        found: dict[str, list[V]] = {}
        for row in rows:
            found.setdefault(getattr(row, self._owner), []).append(self._make(row))
        return found


class Counts:
    """How many rows belong to each row of another table.

    Args:
        owner: the column of whose they are.
    """

    def __init__(self, owner: Any) -> None:
        self._some = Among(select(owner, func.count()).group_by(owner), owner)

    def of(self, connection: Connection, ids: Iterable[str]) -> dict[str, int]:
        """Return how many some have; those without any are missing."""
        return {row[0]: row[1] for row in self._some.rows(connection, ids)}


class Repository(Generic[R]):
    """Rows of one table with an ``id``, paged by a number that grows with creation.

    Args:
        row: the table.
        kind: of what it has ids.
        order: name of the column that pages are ordered by.
        filters: fields that a list can be filtered by.

    Attributes:
        filters: fields that a list can be filtered by.
        order: name of the column that pages are ordered by.
    """

    def __init__(
        self, row: type[R], kind: ids.Kind, order: str, filters: dict[str, Filter]
    ) -> None:
        self._kind: ids.Kind = kind
        self.order = order
        self.filters = filters
        self._table = table = cast("Table", row.__table__)
        self._columns = table.c
        self._by_id = select(table).where(table.c.id == bindparam("row_id"))
        self._by_ids = Among(select(table), table.c.id)
        self._all = select(table)
        self._ids = select(table.c.id).order_by(table.c[order])
        # Of the table and not of its class, and with values as parameters: nothing is made anew.
        self._insert = insert(table)
        self._update = update(table).where(table.c.id == bindparam("row_id")).returning(table)
        self._delete = delete(table).where(table.c.id == bindparam("row_id"))

    def get(self, connection: Connection, id: str) -> R | None:
        """Return the row, or None."""
        return cast("R | None", connection.execute(self._by_id, {"row_id": id}).one_or_none())

    def find(self, connection: Connection, id: str) -> R | None:
        """Return the row, or None; what could be no id is not looked up."""
        return self.get(connection, id) if ids.is_id(self._kind, id) else None

    def get_many(self, connection: Connection, ids: Iterable[str]) -> dict[str, R]:
        """Return the rows that exist by id."""
        rows = self._by_ids.rows(connection, ids)
        return {row.id: cast("R", row) for row in rows}

    def all(self, connection: Connection) -> Sequence[R]:
        """Return every row."""
        return cast("Sequence[R]", connection.execute(self._all).all())

    def ids(self, connection: Connection) -> Sequence[str]:
        """Return every id, in the order of creation."""
        return connection.execute(self._ids).scalars().all()

    def page(self, connection: Connection, query: Query) -> Sequence[R]:
        """Return one page, in the order of creation.

        Raises:
            ValueError: a filter's value is malformed.
        """
        order = self._columns[self.order]
        statement = select(self._table).where(order > query.after)
        if query.tenant_id is not None:
            statement = statement.where(self._columns.tenant_id == query.tenant_id)
        for name, value in query.filters.items():
            statement = statement.where(self.filters[name](value))
        for tag, value in query.tags.items():
            statement = statement.where(self._columns.tags[tag].as_string() == value)
        statement = statement.order_by(order).limit(query.limit)
        return cast("Sequence[R]", connection.execute(statement).all())

    def insert(self, connection: Connection, values: dict[str, Any]) -> None:
        """Add a row."""
        connection.execute(self._insert, values)

    def update(self, connection: Connection, id: str, values: dict[str, Any]) -> R:
        """Change columns of a row, which is there, to *values*; return what it is now."""
        return cast("R", connection.execute(self._update, {"row_id": id, **values}).one())

    def delete(self, connection: Connection, id: str) -> None:
        """Remove a row."""
        connection.execute(self._delete, {"row_id": id})
