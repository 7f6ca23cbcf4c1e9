"""Which ports are in which security groups."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Among
from vpcctl.store.tables import MembershipRow

_MEMBERSHIPS = select(MembershipRow.port_id, MembershipRow.group_id).order_by(
    MembershipRow.port_id, MembershipRow.group_id
)
_MEMBERSHIPS_OF = Among(_MEMBERSHIPS, MembershipRow.port_id)
_JOIN = insert(MembershipRow)
_LEAVE = delete(MembershipRow).where(MembershipRow.port_id == bindparam("port_id_"))
_MEMBERS = (
    select(MembershipRow.port_id)
    .where(MembershipRow.group_id == bindparam("group_id_"))
    .order_by(MembershipRow.port_id)
    .limit(bindparam("limit_"))
)


def memberships_of(connection: Connection, port_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the groups of these ports, sorted, by port id."""
    return _lists(_MEMBERSHIPS_OF.rows(connection, port_ids))


def _lists(rows: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for port_id, group_id in rows:
        found.setdefault(port_id, []).append(group_id)
    return found


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
