"""Route tables and their routes in the database."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from vpcctl.store.rows import Repository, chunks
from vpcctl.store.tables import RouteRow, RouteTableRow, RouteTargetRow

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

_ROUTES = (
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
    .order_by(RouteRow.table_id, RouteRow.destination, RouteTargetRow.target_id)
)
_ROUTES_OF = _ROUTES.where(RouteRow.table_id.in_(bindparam("ids", expanding=True)))


class RouteOfTable(NamedTuple):
    """A route and one of its targets; a route without any has None in their place."""

    destination: str
    kind: str | None
    target_id: str | None
    description: str


def all_routes(connection: Connection) -> dict[str, list[RouteOfTable]]:
    """Return the routes of every table, once a target, by table id."""
    return _grouped(connection.execute(_ROUTES))


def routes_of(connection: Connection, table_ids: Iterable[str]) -> dict[str, list[RouteOfTable]]:
    """Return the routes of these tables, once a target, by table id."""
    found: dict[str, list[RouteOfTable]] = {}
    for part in chunks(table_ids):
        found.update(_grouped(connection.execute(_ROUTES_OF, {"ids": part})))
    return found


def _grouped(rows: Iterable[Any]) -> dict[str, list[RouteOfTable]]:
    found: dict[str, list[RouteOfTable]] = {}
    for table_id, *columns in rows:
        found.setdefault(table_id, []).append(RouteOfTable(*columns))
    return found
