"""What the ledger's row keeps beside the revision."""

from sqlalchemy import Connection, update

from vpcctl.store.tables import LedgerRow


def told_settings(connection: Connection, fingerprint: str) -> bool:
    """Store the fingerprint of what agents are told; tell whether it is a new one."""
    statement = (
        update(LedgerRow).where(LedgerRow.settings != fingerprint).values(settings=fingerprint)
    )
    return connection.execute(statement).rowcount > 0
