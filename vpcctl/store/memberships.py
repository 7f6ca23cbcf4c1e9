"""Which ports are in which security groups."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Lists
from vpcctl.store.tables import MembershipRow

MEMBERSHIPS: Lists[str] = Lists(
    select(MembershipRow.port_id, MembershipRow.group_id).order_by(
        MembershipRow.port_id, MembershipRow.group_id
    ),
    MembershipRow.port_id,
    lambda row: row.group_id,
)
"""Ports' groups, sorted."""

_JOIN = insert(MembershipRow)
_LEAVE = delete(MembershipRow).where(MembershipRow.port_id == bindparam("port_id_"))
_MEMBERS = (
    select(MembershipRow.port_id)
    .where(MembershipRow.group_id == bindparam("group_id_"))
    .order_by(MembershipRow.port_id)
    .limit(bindparam("limit_"))
)


def join(connection: Connection, port_id: str, group_ids: Iterable[str]) -> None:
    """Make a port that is in no group a member of these."""
    rows = [{"port_id": port_id, "group_id": group_id} for group_id in group_ids]
    if rows:
        connection.execute(_JOIN, rows)


def leave(connection: Connection, port_id: str) -> None:
    """Take a port out of all its groups."""
    connection.execute(_LEAVE, {"port_id_": port_id})


def members(connection: Connection, group_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* ports in the group."""
    keys = {"group_id_": group_id, "limit_": limit}
    return connection.execute(_MEMBERS, keys).scalars().all()
