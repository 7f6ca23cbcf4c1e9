"""Address groups in the database."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from vpcctl.store.rows import Repository, chunks
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

_BLOCKS = select(GroupBlockRow.group_id, GroupBlockRow.cidr).order_by(GroupBlockRow.group_id)
_BLOCKS_OF = _BLOCKS.where(GroupBlockRow.group_id.in_(bindparam("ids", expanding=True)))
_COUNTS = (
    select(GroupBlockRow.group_id, func.count())
    .where(GroupBlockRow.group_id.in_(bindparam("ids", expanding=True)))
    .group_by(GroupBlockRow.group_id)
)
_ADD = insert(GroupBlockRow)
_DROP = delete(GroupBlockRow).where(
    GroupBlockRow.group_id == bindparam("group_id_"), GroupBlockRow.cidr == bindparam("cidr_")
)


def all_blocks(connection: Connection) -> dict[str, list[str]]:
    """Return the blocks of every address group, in any order, by its id."""
    return _grouped(connection.execute(_BLOCKS))


def blocks_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the blocks of these address groups, in any order, by id."""
    found: dict[str, list[str]] = {}
    for part in chunks(ids):
        found.update(_grouped(connection.execute(_BLOCKS_OF, {"ids": part})))
    return found


def _grouped(rows: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group_id, cidr in rows:
        found.setdefault(group_id, []).append(cidr)
    return found


def block_counts(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return how many blocks these address groups have; those without any are missing."""
    found: dict[str, int] = {}
    for part in chunks(ids):
        found.update((row[0], row[1]) for row in connection.execute(_COUNTS, {"ids": part}))
    return found


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
