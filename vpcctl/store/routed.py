"""IPv6 addresses of ports that the outside reaches as they are, by their subnets' routes."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select

from vpcctl.store.tables import (
    AddressRow,
    ExternalNetworkRow,
    InternetGatewayRow,
    LocationRow,
    PortRow,
    RouteTableRow,
    RouteTargetRow,
    SubnetRow,
)


class RoutedAddress(NamedTuple):
    """An IPv6 address of a port that is somewhere.

    Attributes:
        address: the address.
        port_key: key of the port.
        network_id: external network that its subnet's route table leads to.
        host_id: where the port is.
        placed: revision since when it is there.
    """

    address: str
    port_key: int
    network_id: str
    host_id: str
    placed: int


# The table of a subnet is the one that it names, else its VPC's main one.
_TABLE = (RouteTableRow.id == SubnetRow.route_table_id) | (
    SubnetRow.route_table_id.is_(None) & (RouteTableRow.main_of == SubnetRow.vpc_id)
)
_ROUTED = (
    select(
        AddressRow.address,
        PortRow.key,
        InternetGatewayRow.external_network_id,
        LocationRow.host_id,
        LocationRow.revision,
    )
    .join(PortRow, PortRow.id == LocationRow.port_id)
    .join(SubnetRow, SubnetRow.id == PortRow.subnet_id)
    .join(AddressRow, (AddressRow.port_id == PortRow.id) & (AddressRow.family == 6))
    .join(RouteTableRow, _TABLE)
    .join(RouteTargetRow, RouteTargetRow.table_id == RouteTableRow.id)
    .join(InternetGatewayRow, InternetGatewayRow.id == RouteTargetRow.target_id)
    .join(ExternalNetworkRow, ExternalNetworkRow.id == InternetGatewayRow.external_network_id)
    .where(
        RouteTargetRow.destination.contains(":"),
        ExternalNetworkRow.ipv6_cidr.is_not(None),
        InternetGatewayRow.vpc_id == PortRow.vpc_id,
    )
    .distinct()
)
_ON_HOST = _ROUTED.where(LocationRow.host_id == bindparam("host_id_"))
_THROUGH = _ROUTED.where(InternetGatewayRow.id == bindparam("gateway_id_"))


def on_host(connection: Connection, host_id: str) -> Sequence[RoutedAddress]:
    """Return the addresses of ports on a host, once for each network that they are reached from."""
    rows = connection.execute(_ON_HOST, {"host_id_": host_id})
    return [RoutedAddress(*row) for row in rows]


def through(connection: Connection, gateway_id: str) -> Sequence[RoutedAddress]:
    """Return the addresses that are reached through an internet gateway."""
    rows = connection.execute(_THROUGH, {"gateway_id_": gateway_id})
    return [RoutedAddress(*row) for row in rows]
