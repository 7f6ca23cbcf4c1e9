"""Route tables: where packets go that leave their VPC's own blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid, NotFound
from vpcctl.services import guest_routes, main_tables, outside_touch, routes, rules, target_states
from vpcctl.services.context import (
    MAX_BLOCKERS,
    Context,
    born,
    changed,
    listed,
    meta,
    query,
    refuse_blocked,
    require_at_most,
    spend,
)
from vpcctl.services.route_targets import require_no_circle, require_targets
from vpcctl.services.routes import ParsedRoute
from vpcctl.services.routing_views import (
    RouteTableChange,
    RouteTableCreate,
    RouteTableView,
    RouteView,
    TargetStateView,
)
from vpcctl.services.standing import judge
from vpcctl.services.traffic import field_at
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.services.vpcs import find_vpc, vpc_for
from vpcctl.store import keys, usage
from vpcctl.store import routes as stored
from vpcctl.store.realisation import standings
from vpcctl.store.route_tables import ROUTE_TABLES
from vpcctl.store.routes import StoredRoute
from vpcctl.store.tables import RouteTableRow
from vpcctl.store.units import Unit


class RouteTableService:
    """Use cases of route tables. Each change of their routes is a change of the table."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: RouteTableCreate) -> RouteTableView:
        """Make a table with its routes.

        Raises:
            Problem: Forbidden, Invalid, Conflict (a destination twice), Exhausted.
        """
        rules.require_tenancy(actor)
        columns = rules.described(values)
        wanted = routes.parse(values.routes)

        def work(unit: Unit) -> RouteTableView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            spend(unit, self._context, vpc.tenant_id, "route_tables")
            row = {
                "id": new_id("rtb"),
                "vpc_id": vpc.id,
                "tenant_id": vpc.tenant_id,
                "key": keys.fit(unit, "rtb_key"),
                "main_of": None,
                **columns,
                **born(unit),
            }
            ROUTE_TABLES.insert(unit.connection, row)
            self._put(unit, row["id"], vpc, wanted)
            unit.tell("rtb", row["id"], vpc.tenant_id, "created")
            return _view(unit.connection, row["id"])

        return self._units.write(work, {"rtb_key": 1})

    def get(self, actor: Actor, id: str) -> RouteTableView:
        """Return a table with its routes.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> RouteTableView:
            return _view(connection, own_table(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[RouteTableView]:
        """Return a page of tables without their routes, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, ROUTE_TABLES, rules.tenant_scope(actor))
        return listed(self._units, ROUTE_TABLES, asked, _views)

    def change(
        self, actor: Actor, id: str, values: RouteTableChange, if_match: int | None = None
    ) -> RouteTableView:
        """Change a table and its routes: all that is asked for at once, or nothing.

        Making it main moves the subnets that name no table to it, and their connections with it.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (a destination is there), Exhausted,
                Stale.
        """
        columns = rules.redescribed(values)
        asked = _asked(values)

        def work(unit: Unit) -> RouteTableView:
            row = own_table(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            self._change_routes(unit, row, asked)
            if values.main is not UNSET:
                main_tables.change_main(unit, row, main=values.main)
            ROUTE_TABLES.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("rtb", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a table that no subnet names and that is not main; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the subnets in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_table(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            if row.main_of is not None:
                blocker = Blocker("vpc", row.vpc_id, "has this main route table as long as it is")
                refuse_blocked("The main route table goes with its VPC", [blocker])
            found = stored.users(unit.connection, id, MAX_BLOCKERS + 1)
            blockers = [Blocker("subnet", subnet, "has this route table") for subnet in found]
            refuse_blocked("Subnets have the route table", blockers)
            stored.drop_table(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "route_tables", -1)
            unit.tell("rtb", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)

    def _change_routes(self, unit: Unit, row: RouteTableRow, asked: "_Asked") -> None:
        present = before = stored.stored_routes(unit.connection, row.id)
        if asked.whole is not None:
            gone = [route.destination for route in present]
            stored.drop_routes(unit.connection, row.id, gone)
            present = []
        if asked.remove:
            present = _remove(unit, row.id, present, asked.remove)
        _refuse_present(asked.add, present, row.id)
        vpc = find_vpc(unit.connection, row.vpc_id)
        wanted = [*(asked.whole or ()), *asked.add, *asked.put]
        self._put(unit, row.id, vpc, wanted)
        after = stored.stored_routes(unit.connection, row.id)
        guest_routes.touch_table(unit, row.id, *map(_destinations, (before, after)))
        if after != before and any(":" in one.destination for one in (*before, *after)):
            outside_touch.touch_routed(unit, row.vpc_id)

    def _put(self, unit: Unit, id: str, vpc: Any, wanted: Sequence[ParsedRoute]) -> None:
        """Put routes into a table; those that have one of their destinations make way."""
        if not wanted:
            return
        blocks = [ip_network(text) for text in vpc.cidrs]
        for route in wanted:
            routes.require_outside(route, blocks, vpc.id)
        require_targets(unit.connection, vpc.id, wanted)
        stored.put_routes(unit.connection, id, [route.stored for route in wanted])
        count = stored.route_counts(unit.connection, [id])[id]
        quota = self._context.settings.quotas.routes
        require_at_most(count, quota, "routes in the table", "routes")
        ends = {str(route.destination): field_at(route.at, "targets") for route in wanted}
        require_no_circle(unit.connection, vpc.id, ends, id)


def _destinations(routes: Sequence[StoredRoute]) -> dict[str, list[str]]:
    """Return the destinations of routes with the ports among their targets."""
    return {one.destination: [id for kind, id in one.targets if kind == "port"] for one in routes}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a change asks for of the routes; None: nothing."""

    whole: list[ParsedRoute] | None
    add: list[ParsedRoute]
    put: list[ParsedRoute]
    remove: list[str]


def _asked(values: RouteTableChange) -> _Asked:
    whole = None if values.routes is UNSET else routes.parse(values.routes)
    remove = [str(routes.destination("destination", text)) for text in values.remove]
    return _Asked(whole, routes.parse(values.add), routes.parse(values.put), remove)


def _remove(
    unit: Unit, id: str, present: Sequence[StoredRoute], gone: Sequence[str]
) -> list[StoredRoute]:
    """Take out routes; return those that are left.

    Raises:
        NotFound: there is no route to one of the destinations.
    """
    there = {route.destination for route in present}
    for text in gone:
        if text not in there:
            raise NotFound(f"There is no route to {text} in {id}.")
    stored.drop_routes(unit.connection, id, gone)
    return [route for route in present if route.destination not in gone]


def _refuse_present(wanted: Sequence[ParsedRoute], present: Sequence[StoredRoute], id: str) -> None:
    there = {route.destination for route in present}
    for route in wanted:
        if str(route.destination) in there:
            raise Conflict(
                f"{id} has a route to {route.destination}.",
                field=field_at(route.at, "destination"),
                accepted="a destination that is not in the table; PUT replaces a route",
            )


def own_table(connection: Any, actor: Actor, id: str) -> RouteTableRow:
    """Return the route table that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, ROUTE_TABLES.find(connection, id), "route table", id)


def require_table(connection: Any, id: str | None, vpc_id: str) -> str | None:
    """Return the id of a table that a subnet of the VPC is to have; None: the main one.

    Raises:
        Invalid: there is no such table in the VPC.
    """
    if id is None:
        return None
    row = ROUTE_TABLES.find(connection, id)
    if row is None or row.vpc_id != vpc_id:
        raise Invalid(
            f"There is no route table {rules.printable(id)} in {vpc_id}.",
            field="route_table_id",
            accepted=f"the id of a route table of {vpc_id}, rtb-…, or null for the main one",
        )
    return row.id


def _view(connection: Any, id: str) -> RouteTableView:
    row = ROUTE_TABLES.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    found = stored.stored_routes(connection, id)
    states = target_states.of_routes(connection, found)
    (plain,) = _views(connection, [row])
    shown = map(_route_view, found, states)
    return replace(plain, routes=tuple(shown))


def _route_view(route: StoredRoute, states: tuple[TargetStateView, ...]) -> RouteView:
    targets = tuple(id for _, id in route.targets)
    return RouteView(ip_network(route.destination), targets, route.description, states)


def _views(connection: Any, rows: Sequence[RouteTableRow]) -> Sequence[RouteTableView]:
    found = standings(connection, [row.vpc_id for row in rows])
    ids = [row.id for row in rows]
    of_routes = stored.route_counts(connection, ids)
    of_subnets = stored.subnet_counts(connection, ids)
    return [
        RouteTableView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.key,
            row.main_of is not None,
            None,
            of_routes.get(row.id, 0),
            of_subnets.get(row.id, 0),
            judge(found[row.vpc_id], row.revision),
        )
        for row in rows
    ]
