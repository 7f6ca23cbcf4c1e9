"""Routes of tables, where they lead, and who is concerned, in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from vpcctl.store.route_tables import OF_SUBNET, ROUTE_TABLES, ROUTES
from vpcctl.store.rows import chunks
from vpcctl.store.tables import (
    ExternalNetworkRow,
    InternetGatewayRow,
    NatGatewayRow,
    PortRow,
    RouteRow,
    RouteTableRow,
    RouteTargetRow,
    SubnetRow,
)


@dataclass(frozen=True, slots=True)
class StoredRoute:
    """A route as it is kept.

    Attributes:
        destination: canonical text of the block.
        targets: (kind, id), sorted; none: a blackhole.
        description: free text.
    """

    destination: str
    targets: tuple[tuple[str, str], ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class ThroughPort:
    """How a route leads through a port.

    Attributes:
        table_id: the route's table.
        destination: canonical text of the block.
        port_id: the port.
        to: the route table that the port's subnet names; None: its VPC's main one.
    """

    table_id: str
    destination: str
    port_id: str
    to: str | None


@dataclass(frozen=True, slots=True)
class Leads:
    """Where the IPv4 routes of a port's subnet lead.

    Attributes:
        table_id: the subnet's route table.
        to: ids of the gateways.
        by_ports: whether they lead to ports as well, and by these to who knows where.
    """

    table_id: str
    to: frozenset[str]
    by_ports: bool


_ROUTE_COUNTS = (
    select(RouteRow.table_id, func.count())
    .where(RouteRow.table_id.in_(bindparam("ids", expanding=True)))
    .group_by(RouteRow.table_id)
)
_SUBNET_COUNTS = (
    select(SubnetRow.route_table_id, func.count())
    .where(SubnetRow.route_table_id.in_(bindparam("ids", expanding=True)))
    .group_by(SubnetRow.route_table_id)
)
_ADD, _ADD_TARGET = insert(RouteRow), insert(RouteTargetRow)
_DROP = delete(RouteRow).where(
    RouteRow.table_id == bindparam("table_id_"), RouteRow.destination == bindparam("destination_")
)
_DROP_TARGETS = delete(RouteTargetRow).where(
    RouteTargetRow.table_id == bindparam("table_id_"),
    RouteTargetRow.destination == bindparam("destination_"),
)
_MAIN = select(RouteTableRow.id).where(RouteTableRow.main_of == bindparam("vpc_id_"))
_PORTS_IN = select(PortRow.id).where(
    PortRow.vpc_id == bindparam("vpc_id_"), PortRow.id.in_(bindparam("ids", expanding=True))
)
_NATS_IN = select(NatGatewayRow.id).where(
    NatGatewayRow.vpc_id == bindparam("vpc_id_"),
    NatGatewayRow.id.in_(bindparam("ids", expanding=True)),
)
_INTERNET_IN = (
    select(InternetGatewayRow.id, ExternalNetworkRow.cidr, ExternalNetworkRow.ipv6_cidr)
    .join(ExternalNetworkRow, ExternalNetworkRow.id == InternetGatewayRow.external_network_id)
    .where(
        InternetGatewayRow.vpc_id == bindparam("vpc_id_"),
        InternetGatewayRow.id.in_(bindparam("ids", expanding=True)),
    )
)
_USERS = (
    select(RouteTargetRow.table_id, RouteTargetRow.destination)
    .where(RouteTargetRow.target_id == bindparam("target_id_"))
    .order_by(RouteTargetRow.table_id, RouteTargetRow.destination)
)
_IPV6_OUT = (
    select(RouteTargetRow.table_id, RouteTargetRow.destination)
    .join(InternetGatewayRow, InternetGatewayRow.id == RouteTargetRow.target_id)
    .where(
        InternetGatewayRow.external_network_id == bindparam("network_id_"),
        RouteTargetRow.destination.contains(":"),
    )
    .order_by(RouteTargetRow.table_id, RouteTargetRow.destination)
)
_IN_VPC = (
    select(RouteTableRow.id, RouteRow.destination)
    .join(RouteRow, RouteRow.table_id == RouteTableRow.id)
    .where(RouteTableRow.vpc_id == bindparam("vpc_id_"))
    .order_by(RouteTableRow.key, RouteRow.destination)
)
# From a table over a port that a route of it leads to: the table of that port's subnet.
_THROUGH_PORTS = (
    select(
        RouteTargetRow.table_id,
        RouteTargetRow.destination,
        PortRow.id.label("port_id"),
        SubnetRow.route_table_id,
    )
    .join(RouteTableRow, RouteTableRow.id == RouteTargetRow.table_id)
    .join(PortRow, PortRow.id == RouteTargetRow.target_id)
    .join(SubnetRow, SubnetRow.id == PortRow.subnet_id)
    .where(
        RouteTableRow.vpc_id == bindparam("vpc_id_"),
        RouteTargetRow.destination.in_(bindparam("destinations_", expanding=True)),
        RouteTargetRow.kind == "port",
    )
    .order_by(RouteTargetRow.table_id, PortRow.id, RouteTargetRow.destination)
)

_LED_FROM = (
    select(PortRow.id, RouteTableRow.id, RouteTargetRow.kind, RouteTargetRow.target_id)
    .select_from(PortRow)
    .join(SubnetRow, SubnetRow.id == PortRow.subnet_id)
    .join(RouteTableRow, OF_SUBNET)
    .outerjoin(
        RouteTargetRow,
        (RouteTargetRow.table_id == RouteTableRow.id) & ~RouteTargetRow.destination.contains(":"),
    )
    .where(PortRow.id.in_(bindparam("ids", expanding=True)))
    .distinct()
)


def stored_routes(connection: Connection, table_id: str) -> list[StoredRoute]:
    """Return the routes of a table, sorted by family, address and length."""
    found: dict[str, StoredRoute] = {}
    for one in ROUTES.one(connection, table_id):
        before = found.get(one.destination, StoredRoute(one.destination, (), one.description))
        if one.kind is not None and one.target_id is not None:
            before = replace(before, targets=(*before.targets, (one.kind, one.target_id)))
        found[one.destination] = before
    return sorted(found.values(), key=_place)


def _place(route: StoredRoute) -> tuple[int, int, int]:
    block = ip_network(route.destination)
    return block.version, int(block.network_address), block.prefixlen


def route_counts(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return how many routes these tables have; those without any are missing."""
    return _counted(connection, _ROUTE_COUNTS, ids)


def subnet_counts(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return how many subnets name these tables; those that none names are missing."""
    return _counted(connection, _SUBNET_COUNTS, ids)


def _counted(connection: Connection, statement: Any, ids: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in chunks(ids):
        rows: Iterable[Any] = connection.execute(statement, {"ids": part})
        found.update((row[0], row[1]) for row in rows)
    return found


def put_routes(connection: Connection, table_id: str, routes: Sequence[StoredRoute]) -> None:
    """Add routes to a table in the place of those with their destinations."""
    if not routes:
        return
    drop_routes(connection, table_id, [route.destination for route in routes])
    made = [
        {"table_id": table_id, "destination": one.destination, "description": one.description}
        for one in routes
    ]
    connection.execute(_ADD, made)
    targets = [
        {"table_id": table_id, "destination": one.destination, "kind": kind, "target_id": id}
        for one in routes
        for kind, id in one.targets
    ]
    if targets:
        connection.execute(_ADD_TARGET, targets)


def drop_routes(connection: Connection, table_id: str, destinations: Sequence[str]) -> None:
    """Remove the routes to these destinations where there are some."""
    keys = [{"table_id_": table_id, "destination_": text} for text in destinations]
    if keys:
        connection.execute(_DROP_TARGETS, keys)
        connection.execute(_DROP, keys)


def drop_table(connection: Connection, table_id: str) -> None:
    """Remove a table with its routes."""
    connection.execute(delete(RouteTargetRow).where(RouteTargetRow.table_id == table_id))
    connection.execute(delete(RouteRow).where(RouteRow.table_id == table_id))
    ROUTE_TABLES.delete(connection, table_id)


def main_of(connection: Connection, vpc_id: str) -> str:
    """Return the id of a VPC's main table."""
    return connection.execute(_MAIN, {"vpc_id_": vpc_id}).scalar_one()


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* tables of the VPC but its main one, oldest first."""
    statement = select(RouteTableRow.id).where(
        RouteTableRow.vpc_id == vpc_id, RouteTableRow.main_of.is_(None)
    )
    return connection.execute(statement.order_by(RouteTableRow.key).limit(limit)).scalars().all()


def users(connection: Connection, table_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* subnets that name the table, oldest first."""
    statement = select(SubnetRow.id).where(SubnetRow.route_table_id == table_id)
    return connection.execute(statement.order_by(SubnetRow.vni).limit(limit)).scalars().all()


def routes_to(connection: Connection, target_id: str, limit: int) -> list[tuple[str, str]]:
    """Return (table id, destination) of at most *limit* routes that lead to a target."""
    rows = connection.execute(_USERS.limit(limit), {"target_id_": target_id})
    return [(row.table_id, row.destination) for row in rows]


def ipv6_routes_out(connection: Connection, network_id: str, limit: int) -> list[tuple[str, str]]:
    """Return (table id, destination) of at most *limit* IPv6 routes to an external network."""
    rows = connection.execute(_IPV6_OUT.limit(limit), {"network_id_": network_id})
    return [(row.table_id, row.destination) for row in rows]


def destinations_in(connection: Connection, vpc_id: str) -> list[tuple[str, str]]:
    """Return (table id, destination) of all routes of a VPC."""
    rows = connection.execute(_IN_VPC, {"vpc_id_": vpc_id})
    return [(row[0], row[1]) for row in rows]


def through_ports(
    connection: Connection, vpc_id: str, destinations: Sequence[str]
) -> list[ThroughPort]:
    """Return how a VPC's routes to any of these destinations lead through ports."""
    keys = {"vpc_id_": vpc_id, "destinations_": list(destinations)}
    return [
        ThroughPort(row.table_id, row.destination, row.port_id, row.route_table_id)
        for row in connection.execute(_THROUGH_PORTS, keys)
    ]


def led_from(connection: Connection, port_ids: Iterable[str]) -> dict[str, Leads]:
    """Return where the IPv4 routes of ports' subnets lead, by port id."""
    found: dict[str, Leads] = {}
    for part in chunks(port_ids):
        for port_id, table_id, kind, target_id in connection.execute(_LED_FROM, {"ids": part}):
            before = found.get(port_id, Leads(table_id, frozenset(), by_ports=False))
            to = before.to if target_id is None else before.to | {target_id}
            found[port_id] = Leads(table_id, to, before.by_ports or kind == "port")
    return found


def target_families(
    connection: Connection, vpc_id: str, targets: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], frozenset[int]]:
    """Return for which families the (kind, id) targets that are in a VPC lead on."""
    keys = {"vpc_id_": vpc_id}
    named: dict[str, list[str]] = {"internet": [], "nat": [], "port": []}
    for kind, id in targets:
        named[kind].append(id)
    found: dict[tuple[str, str], frozenset[int]] = {}
    for part in chunks(named["internet"]):
        for row in connection.execute(_INTERNET_IN, {**keys, "ids": part}):
            families = ((4, row.cidr), (6, row.ipv6_cidr))
            found["internet", row.id] = frozenset(family for family, block in families if block)
    for part in chunks(named["nat"]):
        for row in connection.execute(_NATS_IN, {**keys, "ids": part}):
            found["nat", row.id] = frozenset((4,))
    for part in chunks(named["port"]):
        for row in connection.execute(_PORTS_IN, {**keys, "ids": part}):
            found["port", row.id] = frozenset((4, 6))
    return found
