"""IPv6 addresses of ports that the outside reaches as they are, by their subnets' routes."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, IPv6Network
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from vpcctl.store.route_tables import OF_SUBNET
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

_GLOBAL_UNICAST = 0b001  # 2000::/3 (RFC 4291, 2.5.4)


class RoutedAddress(NamedTuple):
    """A global address of a port that is somewhere.

    Attributes:
        address: the address.
        port_key: key of the port.
        gateway_id: internet gateway with IPv6 that its subnet's route table leads to first.
        network_id: external network of the gateway.
        host_id: where the port is.
        placed: revision since when it is there.
    """

    address: str
    port_key: int
    gateway_id: str
    network_id: str
    host_id: str
    placed: int


class WayOut(NamedTuple):
    """A global address of a port, wherever that is, and how the outside reaches it.

    Attributes:
        address: the address.
        gateway_id: internet gateway with IPv6 that its subnet's route table leads to first.
        network_id: external network of the gateway.
        revision: of the newest change of what makes the outside reach it.
    """

    address: str
    gateway_id: str
    network_id: str
    revision: int


def _with_ways(statement: Any) -> Any:
    """Return a statement about ports with each address and each way that their tables lead."""
    return (
        statement.join(SubnetRow, SubnetRow.id == PortRow.subnet_id)
        .join(AddressRow, (AddressRow.port_id == PortRow.id) & (AddressRow.family == 6))
        .join(RouteTableRow, OF_SUBNET)
        .join(RouteTargetRow, RouteTargetRow.table_id == RouteTableRow.id)
        .join(InternetGatewayRow, InternetGatewayRow.id == RouteTargetRow.target_id)
        .join(ExternalNetworkRow, ExternalNetworkRow.id == InternetGatewayRow.external_network_id)
        .where(
            RouteTargetRow.destination.contains(":"),
            InternetGatewayRow.vpc_id == PortRow.vpc_id,
        )
    )


_WAY = (
    AddressRow.address,
    PortRow.key,
    InternetGatewayRow.id,
    InternetGatewayRow.external_network_id,
    RouteTargetRow.destination,
    ExternalNetworkRow.ipv6_cidr,
)
_DECIDING = (PortRow, SubnetRow, RouteTableRow, InternetGatewayRow, ExternalNetworkRow)
_ROUTED = _with_ways(
    select(*_WAY, LocationRow.host_id, LocationRow.revision).join(
        PortRow, PortRow.id == LocationRow.port_id
    )
)
_ON_HOST = _ROUTED.where(LocationRow.host_id == bindparam("host_id_"))
_IN_VPC = _ROUTED.where(PortRow.vpc_id == bindparam("vpc_id_"))
_OF_PORT = _with_ways(
    select(*_WAY, *(row.revision.label(row.__tablename__) for row in _DECIDING)).select_from(
        PortRow
    )
).where(PortRow.id == bindparam("port_id_"))


def on_host(connection: Connection, host_id: str) -> Sequence[RoutedAddress]:
    """Return the addresses of ports on a host."""
    return _routed(connection.execute(_ON_HOST, {"host_id_": host_id}))


def in_vpc(connection: Connection, vpc_id: str) -> Sequence[RoutedAddress]:
    """Return the addresses of a VPC's ports."""
    return _routed(connection.execute(_IN_VPC, {"vpc_id_": vpc_id}))


def of_port(connection: Connection, port_id: str) -> Sequence[WayOut]:
    """Return a port's addresses."""
    rows = _first(connection.execute(_OF_PORT, {"port_id_": port_id}))
    return [
        WayOut(row.address, row.id, row.external_network_id, max(row[len(_WAY) :])) for row in rows
    ]


def _routed(rows: Iterable[Any]) -> list[RoutedAddress]:
    return [
        RoutedAddress(
            row.address, row.key, row.id, row.external_network_id, row.host_id, row.revision
        )
        for row in _first(rows)
    ]


def _first(rows: Iterable[Any]) -> list[Any]:
    """Return each address once, by the first of the ways that its table leads."""
    found: dict[tuple[str, int], tuple[Any, Any]] = {}
    for row in rows:
        if int(IPv6Address(row.address)) >> 125 != _GLOBAL_UNICAST:
            continue
        block = IPv6Network(row.destination)
        place = int(block.network_address), block.prefixlen, row.id
        known = found.get((row.address, row.key))
        if known is None or place < known[0]:
            found[row.address, row.key] = place, row
    return [row for _, row in found.values() if row.ipv6_cidr is not None]
