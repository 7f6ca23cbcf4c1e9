"""What the ledger's row keeps beside the revision."""

from sqlalchemy import Connection, select, update

from vpcctl.store.tables import LedgerRow


def lock(connection: Connection) -> None:
    """Wait for other writers and keep them out until this transaction ends.

    Units of work do that by taking a revision; on SQLite every writer does.
    """
    connection.execute(select(LedgerRow.value).with_for_update())


def told_settings(connection: Connection, fingerprint: str) -> bool:
    """Store the fingerprint of what agents are told; tell whether it is a new one."""
    statement = (
        update(LedgerRow).where(LedgerRow.settings != fingerprint).values(settings=fingerprint)
    )
    return connection.execute(statement).rowcount > 0
