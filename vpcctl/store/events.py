"""The event stream: the changes as users see them, and their pruning."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, delete, func, select, tuple_, update

from vpcctl.store.tables import ChangeRow, LedgerRow

_NEWEST = (
    select(ChangeRow.revision, ChangeRow.sequence)
    .order_by(ChangeRow.revision.desc(), ChangeRow.sequence.desc())
    .limit(1)
)


def since(
    connection: Connection, after: tuple[int, int], limit: int, tenant_id: str | None
) -> Sequence[ChangeRow]:
    """Return at most *limit* changes after (revision, sequence), of one tenant or of all."""
    statement = select(ChangeRow.__table__).where(
        tuple_(ChangeRow.revision, ChangeRow.sequence) > tuple_(*after)
    )
    if tenant_id is not None:
        statement = statement.where(ChangeRow.tenant_id == tenant_id)
    statement = statement.order_by(ChangeRow.revision, ChangeRow.sequence).limit(limit)
    return cast("Sequence[ChangeRow]", connection.execute(statement).all())


def newest(connection: Connection) -> tuple[int, int]:
    """Return (revision, sequence) of the newest change, (0, 0) when there is none."""
    row = connection.execute(_NEWEST).one_or_none()
    return (row.revision, row.sequence) if row else (0, 0)


def pruned(connection: Connection) -> int:
    """Return the revision up to which changes are gone."""
    return connection.execute(select(LedgerRow.pruned)).scalar_one()


def prune(connection: Connection, older_than: datetime, keep: int, at_most: int) -> int:
    """Forget changes that are too old or too many; at most about *at_most* revisions a call.

    Returns:
        how many rows went.
    """
    oldest = connection.execute(select(func.min(ChangeRow.revision))).scalar_one()
    if oldest is None:
        return 0
    ledger = connection.execute(select(LedgerRow.value, LedgerRow.pruned)).one()
    limit = max(_aged(connection, older_than), ledger.value - keep)
    limit = min(limit, oldest + at_most - 1)
    if limit < oldest:
        return 0
    gone = connection.execute(delete(ChangeRow).where(ChangeRow.revision <= limit)).rowcount
    connection.execute(update(LedgerRow).values(pruned=limit))
    return gone


def _aged(connection: Connection, older_than: datetime) -> int:
    statement = select(func.max(ChangeRow.revision)).where(ChangeRow.time < older_than)
    return connection.execute(statement).scalar_one() or 0
