"""Route tables and their routes in the database."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, select, union

from vpcctl.store.hosts import IS_DEAD
from vpcctl.store.rows import Lists, Repository, chunks
from vpcctl.store.tables import (
    GatewayHostRow,
    LivenessRow,
    LocationRow,
    RouteRow,
    RouteTableRow,
    RouteTargetRow,
    SubnetRow,
)

ROUTE_TABLES = Repository(
    RouteTableRow,
    "rtb",
    "key",
    {
        "name": lambda value: RouteTableRow.name == value,
        "tenant_id": lambda value: RouteTableRow.tenant_id == value,
        "vpc_id": lambda value: RouteTableRow.vpc_id == value,
    },
)

_DESTINATIONS = (
    select(RouteRow.table_id, RouteRow.destination, RouteTargetRow.target_id)
    .outerjoin(
        RouteTargetRow,
        (RouteTargetRow.table_id == RouteRow.table_id)
        & (RouteTargetRow.destination == RouteRow.destination)
        & (RouteTargetRow.kind == "port"),
    )
    .where(RouteRow.table_id.in_(bindparam("ids", expanding=True)))
)
_MAINS = select(RouteTableRow.main_of, RouteTableRow.id).where(
    RouteTableRow.main_of.in_(bindparam("ids", expanding=True))
)
OF_SUBNET = (RouteTableRow.id == SubnetRow.route_table_id) | (
    SubnetRow.route_table_id.is_(None) & (RouteTableRow.main_of == SubnetRow.vpc_id)
)
"""The table of a subnet is the one that it names, else its VPC's main one."""
_PORTS_HOSTS = (
    (RouteTargetRow.kind == "port") & (LocationRow.port_id == RouteTargetRow.target_id),
    LocationRow,
)
_NATS_HOSTS = (
    (RouteTargetRow.kind == "nat") & (GatewayHostRow.gateway_id == RouteTargetRow.target_id),
    GatewayHostRow,
)


def _dead(*among: ColumnElement[bool]) -> Any:
    """Return the statement for (table, host) of the dead hosts that routes lead to."""
    return union(
        *(
            select(RouteTargetRow.table_id, row.host_id)
            .join(row, leads)
            .join(LivenessRow, LivenessRow.host_id == row.host_id)
            .where(IS_DEAD, *among)
            for leads, row in (_PORTS_HOSTS, _NATS_HOSTS)
        )
    )


def _through() -> Any:
    """Return the statement for (id, tenant) of the tables with routes to some hosts."""
    return union(
        *(
            select(RouteTableRow.id, RouteTableRow.tenant_id)
            .join(RouteTargetRow, RouteTargetRow.table_id == RouteTableRow.id)
            .join(row, leads)
            .where(row.host_id.in_(bindparam("ids", expanding=True)))
            for leads, row in (_PORTS_HOSTS, _NATS_HOSTS)
        )
    )


_DEAD = _dead()
_DEAD_OF = _dead(RouteTargetRow.table_id.in_(bindparam("ids", expanding=True)))
_THROUGH = _through()
_LEADING_TO = (
    select(RouteTableRow.id, RouteTableRow.tenant_id)
    .join(RouteTargetRow, RouteTargetRow.table_id == RouteTableRow.id)
    .where(RouteTargetRow.target_id.in_(bindparam("ids", expanding=True)))
    .distinct()
)


class RouteOfTable(NamedTuple):
    """A route and one of its targets; a route without any has None in their place."""

    destination: str
    kind: str | None
    target_id: str | None
    description: str


ROUTES: Lists[RouteOfTable] = Lists(
    select(
        RouteRow.table_id,
        RouteRow.destination,
        RouteTargetRow.kind,
        RouteTargetRow.target_id,
        RouteRow.description,
    )
    .outerjoin(
        RouteTargetRow,
        (RouteTargetRow.table_id == RouteRow.table_id)
        & (RouteTargetRow.destination == RouteRow.destination),
    )
    .order_by(RouteRow.table_id, RouteRow.destination, RouteTargetRow.target_id),
    RouteRow.table_id,
    lambda row: RouteOfTable(*row[1:]),
)
"""Tables' routes, once a target."""


def of_subnets(connection: Connection, rows: Iterable[SubnetRow]) -> dict[str, str]:
    """Return the ids of these subnets' tables, by subnet id."""
    subnets = list(rows)
    mains: dict[str, str] = {}
    for part in chunks(sorted({one.vpc_id for one in subnets if one.route_table_id is None})):
        found: Iterable[Any] = connection.execute(_MAINS, {"ids": part})
        mains.update((row.main_of, row.id) for row in found)
    return {one.id: one.route_table_id or mains[one.vpc_id] for one in subnets}


def destinations_of(
    connection: Connection, table_ids: Iterable[str]
) -> dict[str, dict[str, list[str]]]:
    """Return these tables' destinations with the ports that they lead to, by table id.

    Tables without routes are missing.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for part in chunks(sorted(table_ids)):
        for table_id, destination, port_id in connection.execute(_DESTINATIONS, {"ids": part}):
            ports = found.setdefault(table_id, {}).setdefault(destination, [])
            ports += [] if port_id is None else [port_id]
    return found


def has_table(id: str) -> ColumnElement[bool]:
    """Return the condition that the table is the one of a subnet."""
    subnets = select(SubnetRow.id).join(RouteTableRow, OF_SUBNET).where(RouteTableRow.id == id)
    return SubnetRow.id.in_(subnets)


def all_dead_hosts(connection: Connection) -> dict[str, list[str]]:
    """Return the dead hosts that routes lead to, by table id."""
    return _by_table(connection.execute(_DEAD))


def dead_hosts_of(connection: Connection, table_ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the dead hosts that routes of these tables lead to, by table id."""
    found: dict[str, list[str]] = {}
    for part in chunks(table_ids):
        found.update(_by_table(connection.execute(_DEAD_OF, {"ids": part})))
    return found


def _by_table(rows: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table_id, host_id in rows:
        found.setdefault(table_id, []).append(host_id)
    return found


def through_hosts(connection: Connection, host_ids: Iterable[str]) -> list[tuple[str, str]]:
    """Return (id, tenant id) of the tables with routes that lead to one of these hosts.

    That is to a port on it, or to a NAT gateway that it stands for.
    """
    return _found(connection, _THROUGH, host_ids)


def leading_to(connection: Connection, target_ids: Iterable[str]) -> list[tuple[str, str]]:
    """Return (id, tenant id) of the tables with routes to one of these targets."""
    return _found(connection, _LEADING_TO, target_ids)


def _found(connection: Connection, statement: Any, ids: Iterable[str]) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for part in chunks(ids):
        rows: Iterable[Any] = connection.execute(statement, {"ids": part})
        found.update((row[0], row[1]) for row in rows)
    return sorted(found.items())
