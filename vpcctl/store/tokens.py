"""Tokens in the database."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Among
from vpcctl.store.tables import TokenRow

_BY_ID = select(TokenRow.__table__).where(TokenRow.id == bindparam("token_id"))
_PRESENT = Among(select(TokenRow.id), TokenRow.id)


def get(connection: Connection, id: str) -> TokenRow | None:
    """Return the token's row, or None."""
    row = connection.execute(_BY_ID, {"token_id": id}).one_or_none()
    return cast("TokenRow | None", row)


def present(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return which of the tokens are there."""
    return {row.id for row in _PRESENT.rows(connection, ids)}


def add(connection: Connection, values: dict[str, Any]) -> None:
    """Add a token."""
    connection.execute(insert(TokenRow), values)


def remove(connection: Connection, id: str) -> bool:
    """Remove a token; tell whether it was there."""
    return connection.execute(delete(TokenRow).where(TokenRow.id == id)).rowcount > 0


def remove_of_host(connection: Connection, host_id: str) -> int:
    """Remove all tokens of a host; return how many there were."""
    return connection.execute(delete(TokenRow).where(TokenRow.host_id == host_id)).rowcount


def has_admin(connection: Connection) -> bool:
    """Tell whether an admin's token exists."""
    statement = select(TokenRow.id).where(TokenRow.role == "admin").limit(1)
    return connection.execute(statement).first() is not None


def page(
    connection: Connection, after: str, limit: int, filters: dict[str, str]
) -> Sequence[TokenRow]:
    """Return tokens with ids after *after*, by id."""
    statement = select(TokenRow.__table__).where(TokenRow.id > after)
    for name, value in filters.items():
        statement = statement.where(TokenRow.__table__.c[name] == value)
    rows = connection.execute(statement.order_by(TokenRow.id).limit(limit)).all()
    return cast("Sequence[TokenRow]", rows)
