"""DHCP option sets in the database."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from vpcctl.store.rows import Repository, chunks
from vpcctl.store.tables import DhcpOptionsRow, SubnetRow, VpcRow

DHCP_OPTIONS = Repository(
    DhcpOptionsRow,
    "dopt",
    "key",
    {
        "name": lambda value: DhcpOptionsRow.name == value,
        "tenant_id": lambda value: DhcpOptionsRow.tenant_id == value,
    },
)

_OF_SUBNETS = (
    select(SubnetRow.id, DhcpOptionsRow.options)
    .join(VpcRow, VpcRow.id == SubnetRow.vpc_id)
    .join(DhcpOptionsRow, DhcpOptionsRow.id == VpcRow.dhcp_options_id)
    .where(SubnetRow.id.in_(bindparam("ids", expanding=True)))
)


def of_subnets(connection: Connection, subnet_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the option sets of subnets' VPCs say, by subnet id, where there are any."""
    found: dict[str, dict[str, Any]] = {}
    for part in chunks(subnet_ids):
        rows = connection.execute(_OF_SUBNETS, {"ids": part})
        found.update((subnet_id, options) for subnet_id, options in rows)
    return found


def vpcs_with(connection: Connection, id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* VPCs that have the option set, the oldest first."""
    statement = select(VpcRow.id).where(VpcRow.dhcp_options_id == id).order_by(VpcRow.key)
    return connection.execute(statement.limit(limit)).scalars().all()


def told(id: str) -> ColumnElement[bool]:
    """Return the condition that a subnet's VPC has the option set."""
    return SubnetRow.vpc_id.in_(select(VpcRow.id).where(VpcRow.dhcp_options_id == id))


def count(connection: Connection, tenant_id: str) -> int:
    """Return how many option sets a tenant has."""
    owned = DhcpOptionsRow.tenant_id == tenant_id
    return connection.execute(select(func.count()).where(owned)).scalar_one()
