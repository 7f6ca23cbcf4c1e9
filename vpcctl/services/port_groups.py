"""Which security groups a port is in: chosen ones, or its VPC's default group."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.problems import Invalid
from vpcctl.services.group_rules import require_group
from vpcctl.services.views import UNSET, Unset
from vpcctl.store import memberships, security_groups
from vpcctl.store.security_groups import GROUPS
from vpcctl.store.tables import PortRow
from vpcctl.store.units import Unit

MAX_GROUPS = 16
FIELD = "security_groups"


def parse(ids: Sequence[str]) -> tuple[str, ...]:
    """Return ids of groups, sorted.

    Raises:
        Invalid: too many, or one twice.
    """
    if len(ids) > MAX_GROUPS:
        raise Invalid(
            f"There are {len(ids)} groups.", field=FIELD, accepted=f"at most {MAX_GROUPS} groups"
        )
    for number, id in enumerate(ids):
        if id in ids[:number]:
            raise Invalid(
                f"The group of {FIELD}.{number} is named twice.",
                field=f"{FIELD}.{number}",
                accepted="each group once",
            )
    return tuple(ids)


def choose(
    connection: Any, vpc_id: str, wanted: Sequence[str] | None, *, port_security: bool
) -> list[str]:
    """Return the groups that a port is to be in; *wanted* None: none are said.

    Raises:
        Invalid: one is not a group of the VPC, or the port is not filtered at all.
    """
    if not port_security:
        if wanted is not None:
            raise Invalid(
                "Port security is off, so that no security group is asked.",
                field=FIELD,
                accepted="nothing, or port_security true",
            )
        return []
    if wanted is None:
        return [security_groups.default_of(connection, vpc_id)]
    found = GROUPS.get_many(connection, wanted)
    for number, id in enumerate(wanted):
        require_group(found.get(id), id, vpc_id, f"{FIELD}.{number}")
    return sorted(wanted)


def change(
    unit: Unit, row: PortRow, wanted: Sequence[str] | None, port_security: bool | Unset
) -> None:
    """Change a port's groups as it is asked, or as turning port security off or on entails.

    Raises:
        Invalid: as :func:`choose`.
    """
    security = row.port_security if port_security is UNSET else bool(port_security)
    if wanted is None and security == row.port_security:
        return
    chosen = choose(unit.connection, row.vpc_id, wanted, port_security=security)
    memberships.leave(unit.connection, row.id)
    memberships.join(unit.connection, row.id, chosen)
