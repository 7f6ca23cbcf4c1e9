"""Network ACLs and their entries in the database."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from vpcctl.store.rows import Repository, chunks
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

_ENTRIES = select(AclEntryRow.__table__).order_by(
    AclEntryRow.acl_id, AclEntryRow.direction, AclEntryRow.number
)
_ENTRIES_OF = _ENTRIES.where(AclEntryRow.acl_id.in_(bindparam("ids", expanding=True)))
_COUNTS = (
    select(AclEntryRow.acl_id, func.count())
    .where(AclEntryRow.acl_id.in_(bindparam("ids", expanding=True)))
    .group_by(AclEntryRow.acl_id)
)
_ADD = insert(AclEntryRow)
_DROP = delete(AclEntryRow).where(
    AclEntryRow.acl_id == bindparam("acl_id_"),
    AclEntryRow.direction == bindparam("direction_"),
    AclEntryRow.number == bindparam("number_"),
)


def all_entries(connection: Connection) -> dict[str, list[AclEntryRow]]:
    """Return every entry, by direction and number, by ACL id."""
    return _grouped(connection.execute(_ENTRIES))


def entries_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[AclEntryRow]]:
    """Return the entries of these ACLs, by direction and number, by ACL id."""
    found: dict[str, list[AclEntryRow]] = {}
    for part in chunks(ids):
        found.update(_grouped(connection.execute(_ENTRIES_OF, {"ids": part})))
    return found


def _grouped(rows: Iterable[Any]) -> dict[str, list[AclEntryRow]]:
    found: dict[str, list[AclEntryRow]] = {}
    for row in rows:
        found.setdefault(row.acl_id, []).append(row)
    return found


def entry_counts(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return how many entries these ACLs have; those without any are missing."""
    found: dict[str, int] = {}
    for part in chunks(ids):
        found.update((row[0], row[1]) for row in connection.execute(_COUNTS, {"ids": part}))
    return found


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
