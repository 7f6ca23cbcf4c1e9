"""Address groups in the database."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Counts, Lists, Repository
from vpcctl.store.tables import AddressGroupRow, GroupBlockRow

ADDRESS_GROUPS = Repository(
    AddressGroupRow,
    "ag",
    "key",
    {
        "name": lambda value: AddressGroupRow.name == value,
        "tenant_id": lambda value: AddressGroupRow.tenant_id == value,
    },
)

BLOCKS: Lists[str] = Lists(
    select(GroupBlockRow.group_id, GroupBlockRow.cidr).order_by(GroupBlockRow.group_id),
    GroupBlockRow.group_id,
    lambda row: row.cidr,
)
"""Address groups' blocks, in any order."""

BLOCK_COUNTS = Counts(GroupBlockRow.group_id)
_ADD = insert(GroupBlockRow)
_DROP = delete(GroupBlockRow).where(
    GroupBlockRow.group_id == bindparam("group_id_"), GroupBlockRow.cidr == bindparam("cidr_")
)


def replace_blocks(
    connection: Connection, id: str, before: Collection[str], after: Collection[str]
) -> None:
    """Make the blocks of an address group, which are *before*, those of *after*."""
    kept, wanted = frozenset(before), frozenset(after)
    gone = [{"group_id_": id, "cidr_": cidr} for cidr in sorted(kept - wanted)]
    if gone:
        connection.execute(_DROP, gone)
    new = [{"group_id": id, "cidr": cidr} for cidr in sorted(wanted - kept)]
    if new:
        connection.execute(_ADD, new)


def drop_address_group(connection: Connection, id: str) -> None:
    """Remove an address group that no rule names, with its blocks."""
    connection.execute(delete(GroupBlockRow).where(GroupBlockRow.group_id == id))
    ADDRESS_GROUPS.delete(connection, id)
