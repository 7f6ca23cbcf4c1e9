"""Security groups and their rules in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from vpcctl.store.rows import Counts, Lists, Repository
from vpcctl.store.tables import GroupRuleRow, SecurityGroupRow

GROUPS = Repository(
    SecurityGroupRow,
    "sg",
    "key",
    {
        "name": lambda value: SecurityGroupRow.name == value,
        "tenant_id": lambda value: SecurityGroupRow.tenant_id == value,
        "vpc_id": lambda value: SecurityGroupRow.vpc_id == value,
    },
)
GROUP_RULES = Repository(
    GroupRuleRow,
    "sgr",
    "key",
    {
        "group_id": lambda value: GroupRuleRow.group_id == value,
        "direction": lambda value: GroupRuleRow.direction == value,
    },
)

_DEFAULT = select(SecurityGroupRow.id).where(SecurityGroupRow.default_of == bindparam("vpc_id_"))
RULES: Lists[GroupRuleRow] = Lists(
    select(GroupRuleRow.__table__).order_by(GroupRuleRow.group_id, GroupRuleRow.key),
    GroupRuleRow.group_id,
)
"""Groups' rules, in the order of keys."""

RULE_COUNTS = Counts(GroupRuleRow.group_id)
_ADD_RULES = insert(GroupRuleRow)
_MEANINGS = select(GroupRuleRow.meaning, GroupRuleRow.id).where(
    GroupRuleRow.group_id == bindparam("group_id_")
)


def default_of(connection: Connection, vpc_id: str) -> str:
    """Return the id of the VPC's default group."""
    return connection.execute(_DEFAULT, {"vpc_id_": vpc_id}).scalar_one()


def meanings(connection: Connection, group_id: str) -> dict[str, str]:
    """Return the id of each rule of the group by what it means."""
    rows = connection.execute(_MEANINGS, {"group_id_": group_id})
    return {row.meaning: row.id for row in rows}


def add_rules(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add rules."""
    if rows:
        connection.execute(_ADD_RULES, list(rows))


def drop_group(connection: Connection, group_id: str) -> None:
    """Remove a group that nobody uses, with its rules."""
    connection.execute(delete(GroupRuleRow).where(GroupRuleRow.group_id == group_id))
    GROUPS.delete(connection, group_id)


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* groups of the VPC beside its default one, oldest first."""
    statement = select(SecurityGroupRow.id).where(
        SecurityGroupRow.vpc_id == vpc_id, SecurityGroupRow.default_of.is_(None)
    )
    return connection.execute(statement.order_by(SecurityGroupRow.key).limit(limit)).scalars().all()


def rules_naming(connection: Connection, group_id: str, limit: int) -> Sequence[tuple[str, str]]:
    """Return (group, rule) ids of at most *limit* rules of other groups that name the group."""
    return _naming(
        connection,
        (GroupRuleRow.remote_group_id == group_id, GroupRuleRow.group_id != group_id),
        limit,
    )


def rules_naming_addresses(
    connection: Connection, address_group_id: str, limit: int
) -> Sequence[tuple[str, str]]:
    """Return (group, rule) ids of at most *limit* rules that name the address group."""
    return _naming(connection, (GroupRuleRow.remote_address_group_id == address_group_id,), limit)


def _naming(
    connection: Connection, where: tuple[Any, ...], limit: int
) -> Sequence[tuple[str, str]]:
    statement = select(GroupRuleRow.group_id, GroupRuleRow.id).where(*where)
    rows = connection.execute(statement.order_by(GroupRuleRow.key).limit(limit))
    return [(row.group_id, row.id) for row in rows]


def vpcs_naming(connection: Connection, address_group_id: str) -> Sequence[str]:
    """Return the VPCs that have a group with a rule that names the address group."""
    statement = (
        select(SecurityGroupRow.vpc_id)
        .join(GroupRuleRow, GroupRuleRow.group_id == SecurityGroupRow.id)
        .where(GroupRuleRow.remote_address_group_id == address_group_id)
        .distinct()
    )
    return connection.execute(statement).scalars().all()
