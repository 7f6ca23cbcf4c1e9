"""The main route table of each VPC: it comes and goes with the VPC."""

from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.services.context import born
from vpcctl.store import routes
from vpcctl.store.route_tables import ROUTE_TABLES
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


def drop_main(unit: Unit, vpc: Any) -> None:
    """Remove the main route table of a VPC in which nothing is left."""
    id = routes.main_of(unit.connection, vpc.id)
    routes.drop_table(unit.connection, id)
    unit.tell("rtb", id, vpc.tenant_id, "deleted")
