"""Idempotency-Key records in the database."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, delete, insert, select, update

from vpcctl.store.tables import IdempotencyRow


def get(connection: Connection, scope: str, key: str) -> IdempotencyRow | None:
    """Return the record, or None."""
    statement = select(IdempotencyRow.__table__).where(*_this(scope, key))
    return cast("IdempotencyRow | None", connection.execute(statement).one_or_none())


def reserve(
    connection: Connection,
    this: tuple[str, str],
    request_hash: str,
    now: datetime,
    earlier: IdempotencyRow | None,
) -> None:
    """Reserve the key, in place of *earlier*, the record of it that was read.

    Whoever reserves it at the same time meets the primary key, or finds *earlier* gone.
    """
    scope, key = this
    if earlier is not None:
        statement = delete(IdempotencyRow).where(*_this(scope, key))
        connection.execute(statement.where(IdempotencyRow.created_at == earlier.created_at))
    values = {"scope": scope, "key": key, "request_hash": request_hash, "created_at": now}
    connection.execute(insert(IdempotencyRow), values)


def complete(connection: Connection, scope: str, key: str, values: dict[str, Any]) -> bool:
    """Store the response of a reserved key; tell whether it was still reserved."""
    statement = update(IdempotencyRow).where(*_this(scope, key), IdempotencyRow.status.is_(None))
    return connection.execute(statement.values(**values)).rowcount == 1


def remove(connection: Connection, scope: str, key: str, *, unfinished_only: bool = False) -> None:
    """Forget the record."""
    statement = delete(IdempotencyRow).where(*_this(scope, key))
    if unfinished_only:
        statement = statement.where(IdempotencyRow.status.is_(None))
    connection.execute(statement)


def prune(connection: Connection, older_than: datetime) -> int:
    """Forget records from before *older_than*; return how many."""
    statement = delete(IdempotencyRow).where(IdempotencyRow.created_at < older_than)
    return connection.execute(statement).rowcount


def _this(scope: str, key: str) -> tuple[Any, ...]:
    return IdempotencyRow.scope == scope, IdempotencyRow.key == key
