"""Numbers for flows (VPC keys, VNIs, port and host keys): freed ones are used again last.

A counter that never goes back hands them out; as long as it is within the number space the number
has never been used. Beyond, it goes round: the next number that nobody has.
"""

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from vpcctl.model.problems import Exhausted
from vpcctl.store.tables import HostRow, PortRow, SubnetRow, VpcRow
from vpcctl.store.units import Counter

SPACES: dict[Counter, tuple[InstrumentedAttribute[int], int]] = {
    "vpc_key": (VpcRow.key, 2**24 - 1),
    "vni": (SubnetRow.vni, 2**24 - 1),
    "port_key": (PortRow.key, 2**32 - 1),
    "host_key": (HostRow.key, 2**16 - 1),
}


def fit(connection: Connection, counter: Counter, count: int) -> int:
    """Return the number for the *count*-th allocation from the space of *counter*.

    Raises:
        Exhausted: every number of the space is in use.
    """
    column, largest = SPACES[counter]
    if count <= largest:
        return count
    start = (count - 1) % largest + 1
    free = _free_from(connection, column, start, largest)
    if free is None and start > 1:
        free = _free_from(connection, column, 1, start - 1)
    if free is None:
        raise Exhausted(f"All {largest} numbers of this kind are in use.")
    return free


def _free_from(
    connection: Connection, column: InstrumentedAttribute[int], start: int, largest: int
) -> int | None:
    """Return the lowest number in *start* … *largest* that no row has."""
    if connection.execute(select(column).where(column == start)).first() is None:
        return start
    neighbour: Any = aliased(column.class_)
    follower = getattr(neighbour, column.key)
    gap = (
        select(column + 1)
        .where(column >= start, column < largest)
        .where(~select(follower).where(follower == column + 1).exists())
        .order_by(column)
        .limit(1)
    )
    return connection.execute(gap).scalar_one_or_none()
