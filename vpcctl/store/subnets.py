"""Subnets in the database."""

from sqlalchemy import Connection, bindparam, update

from vpcctl.store.rows import Repository
from vpcctl.store.tables import SubnetRow

SUBNETS = Repository(
    SubnetRow,
    "subnet",
    "vni",
    {
        "name": lambda value: SubnetRow.name == value,
        "tenant_id": lambda value: SubnetRow.tenant_id == value,
        "vpc_id": lambda value: SubnetRow.vpc_id == value,
        "network_acl_id": lambda value: SubnetRow.acl_id == value,
        "route_table_id": lambda value: SubnetRow.route_table_id == value,
        "availability_zone": lambda value: SubnetRow.availability_zone == value,
    },
)

_COUNT = (
    update(SubnetRow)
    .where(SubnetRow.id == bindparam("subnet_id_"))
    .values(used=SubnetRow.used + bindparam("more"))
)


def count_used(connection: Connection, subnet_id: str, more: int) -> None:
    """Note that ports have *more* IPv4 addresses of the subnet (or fewer, below zero)."""
    if more:
        connection.execute(_COUNT, {"subnet_id_": subnet_id, "more": more})
