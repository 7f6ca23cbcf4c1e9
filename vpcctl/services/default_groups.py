"""The default group of each VPC: it comes and goes with the VPC."""

from types import SimpleNamespace
from typing import Any, cast

from vpcctl.model.ids import new_id
from vpcctl.services import group_rules
from vpcctl.services.context import born
from vpcctl.store import security_groups
from vpcctl.store.security_groups import GROUPS
from vpcctl.store.tables import SecurityGroupRow
from vpcctl.store.units import Unit

DEFAULT_NAME = "default"
KEYS = 1 + len(group_rules.DEFAULTS)
"""Numbers that a default group needs: its own, and its rules'."""


def make(unit: Unit, vpc: Any, columns: dict[str, Any]) -> SecurityGroupRow:
    """Add a group of *vpc* to the database; return its row."""
    row = {
        "id": new_id("sg"),
        "vpc_id": vpc.id,
        "tenant_id": vpc.tenant_id,
        **columns,
        **born(unit),
    }
    GROUPS.insert(unit.connection, row)
    unit.tell("sg", row["id"], vpc.tenant_id, "created")
    return cast(SecurityGroupRow, SimpleNamespace(**row))


def make_default(unit: Unit, vpc: Any, numbers: list[int]) -> None:
    """Add the default group of a new VPC, with keys for it and its rules."""
    key, *others = numbers
    columns = {
        "key": key,
        "default_of": vpc.id,
        "stateful": True,
        "keep_established": False,
        "name": DEFAULT_NAME,
        "description": "",
        "tags": {},
    }
    group = make(unit, vpc, columns)
    group_rules.add(unit, group, group_rules.DEFAULTS, others, len(others))


def drop_default(unit: Unit, vpc: Any) -> None:
    """Remove the default group of a VPC in which nothing is left."""
    id = security_groups.default_of(unit.connection, vpc.id)
    security_groups.drop_group(unit.connection, id)
    unit.tell("sg", id, vpc.tenant_id, "deleted")
