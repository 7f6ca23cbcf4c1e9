"""Network ACLs and their entries in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Counts, Lists, Repository
from vpcctl.store.tables import AclEntryRow, NetworkAclRow, SubnetRow

ACLS = Repository(
    NetworkAclRow,
    "nacl",
    "key",
    {
        "name": lambda value: NetworkAclRow.name == value,
        "tenant_id": lambda value: NetworkAclRow.tenant_id == value,
        "vpc_id": lambda value: NetworkAclRow.vpc_id == value,
    },
)

ENTRIES: Lists[AclEntryRow] = Lists(
    select(AclEntryRow.__table__).order_by(
        AclEntryRow.acl_id, AclEntryRow.direction, AclEntryRow.number
    ),
    AclEntryRow.acl_id,
)
"""ACLs' entries, by direction and number."""

ENTRY_COUNTS = Counts(AclEntryRow.acl_id)
_ADD = insert(AclEntryRow)
_DROP = delete(AclEntryRow).where(
    AclEntryRow.acl_id == bindparam("acl_id_"),
    AclEntryRow.direction == bindparam("direction_"),
    AclEntryRow.number == bindparam("number_"),
)


def add_entries(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add entries."""
    if rows:
        connection.execute(_ADD, list(rows))


def drop_entry(connection: Connection, acl_id: str, direction: str, number: int) -> bool:
    """Remove one entry; tell whether it was there."""
    keys = {"acl_id_": acl_id, "direction_": direction, "number_": number}
    return connection.execute(_DROP, keys).rowcount > 0


def drop_entries(connection: Connection, acl_id: str) -> None:
    """Remove all entries of an ACL."""
    connection.execute(delete(AclEntryRow).where(AclEntryRow.acl_id == acl_id))


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* ACLs of the VPC, oldest first."""
    statement = select(NetworkAclRow.id).where(NetworkAclRow.vpc_id == vpc_id)
    return connection.execute(statement.order_by(NetworkAclRow.key).limit(limit)).scalars().all()


def users(connection: Connection, acl_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* subnets that have the ACL, oldest first."""
    statement = select(SubnetRow.id).where(SubnetRow.acl_id == acl_id)
    return connection.execute(statement.order_by(SubnetRow.vni).limit(limit)).scalars().all()
