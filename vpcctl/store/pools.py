"""Pools of external networks, and which of their addresses are free.

As in subnets: what was never used is kept as ranges, what was given back in the order of giving
back, and that goes out when the ranges are used up. Addresses are numbers. Who has an address is
the table ``eips``; its constraint is what makes two owners impossible.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.model.ranges import Range, less
from vpcctl.store.rows import chunks
from vpcctl.store.tables import FreedEipRow, PoolRangeRow, PoolRow

_POOLS_OF = (
    select(PoolRow.network_id, PoolRow.first, PoolRow.last)
    .where(PoolRow.network_id.in_(bindparam("ids", expanding=True)))
    .order_by(PoolRow.network_id, PoolRow.first)
)
_UNUSED = (
    select(PoolRangeRow.first, PoolRangeRow.last)
    .where(PoolRangeRow.network_id == bindparam("network_id_"))
    .order_by(PoolRangeRow.last)
)
_DROP_POOLS = delete(PoolRow).where(PoolRow.network_id == bindparam("network_id_"))
_DROP_UNUSED = delete(PoolRangeRow).where(PoolRangeRow.network_id == bindparam("network_id_"))
_DROP_RANGE = _DROP_UNUSED.where(PoolRangeRow.last == bindparam("last_"))
_HOLDING = _UNUSED.where(PoolRangeRow.last >= bindparam("address_")).limit(1)
_FREED = (
    select(FreedEipRow.address, FreedEipRow.revision, FreedEipRow.hosts)
    .where(FreedEipRow.network_id == bindparam("network_id_"))
    .order_by(FreedEipRow.revision, FreedEipRow.address)
)
# Addresses may have been given back to a pool that is gone now.
_OLDEST = _FREED.where(
    select(PoolRow.first)
    .where(
        PoolRow.network_id == FreedEipRow.network_id,
        PoolRow.first <= FreedEipRow.address,
        PoolRow.last >= FreedEipRow.address,
    )
    .exists()
)
_FREED_ONE = _FREED.where(FreedEipRow.address == bindparam("address_"))
_TAKE_FREED = delete(FreedEipRow).where(
    FreedEipRow.network_id == bindparam("network_id_"),
    FreedEipRow.address == bindparam("address_"),
)


class Freed(NamedTuple):
    """An address that was given back at *revision*, and who may not know that yet."""

    address: int
    revision: int
    hosts: list[str]


def pools_of(connection: Connection, network_ids: Iterable[str]) -> dict[str, list[Range]]:
    """Return the pools of these networks, in order, by network id."""
    found: dict[str, list[Range]] = {}
    for part in chunks(network_ids):
        rows: Iterable[Any] = connection.execute(_POOLS_OF, {"ids": part})
        for network_id, first, last in rows:
            found.setdefault(network_id, []).append((first, last))
    return found


def set_pools(connection: Connection, network_id: str, pools: Sequence[Range]) -> None:
    """Make these the pools of a network: what is new in them was never used."""
    before = pools_of(connection, [network_id]).get(network_id, [])
    freed = [(one.address, one.address) for one in _freed(connection, _FREED, network_id)]
    gone, news = less(before, pools), less(less(pools, before), freed)
    unused = [*less(_unused(connection, network_id), gone), *news]
    connection.execute(_DROP_POOLS, {"network_id_": network_id})
    connection.execute(_DROP_UNUSED, {"network_id_": network_id})
    _add(connection, PoolRow, network_id, pools)
    _add(connection, PoolRangeRow, network_id, unused)


def _unused(connection: Connection, network_id: str) -> list[Range]:
    rows = connection.execute(_UNUSED, {"network_id_": network_id})
    return [(row.first, row.last) for row in rows]


def _add(connection: Connection, table: Any, network_id: str, ranges: Sequence[Range]) -> None:
    rows = [{"network_id": network_id, "first": first, "last": last} for first, last in ranges]
    if rows:
        connection.execute(insert(table), rows)


def take_unused(connection: Connection, network_id: str) -> int | None:
    """Take the lowest address that was never used; None when none is left."""
    row = connection.execute(_UNUSED.limit(1), {"network_id_": network_id}).one_or_none()
    if row is None:
        return None
    _cut(connection, network_id, (row.first, row.last), row.first)
    return row.first


def oldest_freed(connection: Connection, network_id: str, limit: int | None) -> list[Freed]:
    """Return at most *limit* of what was given back to the pools, what is free longest first."""
    return _freed(connection, _OLDEST.limit(limit), network_id)


def given_back(connection: Connection, network_id: str) -> list[Freed]:
    """Return what was given back, also to pools that are gone, what is free longest first."""
    return _freed(connection, _FREED, network_id)


def freed(connection: Connection, network_id: str, address: int) -> Freed | None:
    """Return when an address was given back; None when it was not."""
    return next(iter(_freed(connection, _FREED_ONE, network_id, address)), None)


def _freed(
    connection: Connection, statement: Any, network_id: str, address: int | None = None
) -> list[Freed]:
    keys: dict[str, Any] = {"network_id_": network_id}
    if address is not None:
        keys["address_"] = address
    return [Freed(*row) for row in connection.execute(statement, keys)]


def take(connection: Connection, network_id: str, address: int) -> None:
    """Take *address* out of what is free; who owns it is the caller's to check."""
    keys = {"network_id_": network_id, "address_": address}
    row = connection.execute(_HOLDING, keys).one_or_none()
    if row is None or row.first > address:
        connection.execute(_TAKE_FREED, keys)
        return
    _cut(connection, network_id, (row.first, row.last), address)


def _cut(connection: Connection, network_id: str, held: Range, address: int) -> None:
    """Take *address* out of the range *held* of never-used ones."""
    connection.execute(_DROP_RANGE, {"network_id_": network_id, "last_": held[1]})
    _add(connection, PoolRangeRow, network_id, less([held], [(address, address)]))


def give_back(connection: Connection, network_id: str, one: Freed) -> None:
    """Make an address free again, to be handed out after everything that is free now."""
    row = {"network_id": network_id, **one._asdict()}
    connection.execute(insert(FreedEipRow), row)
