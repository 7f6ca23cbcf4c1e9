"""Idempotency-Key records in the database."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, delete, insert, select, update

from vpcctl.store.tables import IdempotencyRow


def get(connection: Connection, scope: str, key: str) -> IdempotencyRow | None:
    """Return the record, or None."""
    statement = select(IdempotencyRow.__table__).where(*_this(scope, key))
    return cast("IdempotencyRow | None", connection.execute(statement).one_or_none())


def reserve(connection: Connection, scope: str, key: str, request_hash: str, now: datetime) -> None:
    """Reserve the key, in place of an earlier record of it."""
    remove(connection, scope, key)
    values = {"scope": scope, "key": key, "request_hash": request_hash, "created_at": now}
    connection.execute(insert(IdempotencyRow), values)


def complete(connection: Connection, scope: str, key: str, values: dict[str, Any]) -> None:
    """Store the response of a reserved key."""
    connection.execute(update(IdempotencyRow).where(*_this(scope, key)).values(**values))


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
