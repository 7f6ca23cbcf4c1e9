"""The main route table of each VPC: there is one as long as there is the VPC."""

from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Invalid
from vpcctl.services import guest_routes, outside_touch
from vpcctl.services.context import born, changed
from vpcctl.services.route_targets import require_no_circle
from vpcctl.services.routes import DEFAULTS
from vpcctl.store import routes
from vpcctl.store.route_tables import ROUTE_TABLES, destinations_of
from vpcctl.store.tables import RouteTableRow
from vpcctl.store.units import Unit

MAIN_NAME = "main"


def make_main(unit: Unit, vpc: Any, key: int) -> None:
    """Add the main route table of a new VPC: without routes, nothing leaves the VPC."""
    row = {
        "id": new_id("rtb"),
        "vpc_id": vpc.id,
        "tenant_id": vpc.tenant_id,
        "key": key,
        "main_of": vpc.id,
        "name": MAIN_NAME,
        "description": "",
        "tags": {},
        **born(unit),
    }
    ROUTE_TABLES.insert(unit.connection, row)
    unit.tell("rtb", row["id"], vpc.tenant_id, "created")


def change_main(unit: Unit, row: RouteTableRow, *, main: bool) -> None:
    """Make a table the main one of its VPC, in one step with the one that was.

    Raises:
        Invalid: the main table is to be none, or ports that default routes lead to would get
            back what they send on.
    """
    if not main and row.main_of is not None:
        raise Invalid(
            f"{row.id} is the main route table of {row.vpc_id}.",
            field="main",
            accepted="true for another table of the VPC, which takes its place",
        )
    if not main or row.main_of is not None:
        return
    before = routes.main_of(unit.connection, row.vpc_id)
    ROUTE_TABLES.update(unit.connection, before, {"main_of": None, **changed(unit)})
    ROUTE_TABLES.update(unit.connection, row.id, {"main_of": row.vpc_id})
    unit.tell("rtb", before, row.tenant_id, "changed", f"{row.id} is the main route table now")
    require_no_circle(unit.connection, row.vpc_id, dict.fromkeys(DEFAULTS, "main"))
    found = destinations_of(unit.connection, (before, row.id))
    guest_routes.touch_table(unit, row.id, found.get(before, {}), found.get(row.id, {}))
    outside_touch.touch_routed(unit, row.vpc_id)


def drop_main(unit: Unit, vpc: Any) -> None:
    """Remove the main route table of a VPC in which nothing is left."""
    id = routes.main_of(unit.connection, vpc.id)
    routes.drop_table(unit.connection, id)
    unit.tell("rtb", id, vpc.tenant_id, "deleted")
