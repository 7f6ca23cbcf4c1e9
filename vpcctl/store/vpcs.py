"""VPCs in the database."""

from sqlalchemy import Connection, bindparam, select

from vpcctl.store.rows import Repository
from vpcctl.store.tables import SubnetRow, VpcRow

VPCS = Repository(
    VpcRow,
    "vpc",
    "key",
    {"name": lambda value: VpcRow.name == value, "tenant_id": lambda v: VpcRow.tenant_id == v},
)

_BLOCKS = select(SubnetRow.id, SubnetRow.name, SubnetRow.cidr, SubnetRow.ipv6_cidr).where(
    SubnetRow.vpc_id == bindparam("vpc_id_")
)


def subnet_blocks(connection: Connection, vpc_id: str) -> list[tuple[str, str, list[str]]]:
    """Return id, name and CIDRs of each subnet of the VPC."""
    rows = connection.execute(_BLOCKS.order_by(SubnetRow.vni), {"vpc_id_": vpc_id})
    return [(row.id, row.name, [c for c in (row.cidr, row.ipv6_cidr) if c]) for row in rows]
