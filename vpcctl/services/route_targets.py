"""What routes lead to: something of their own VPC, and never in a circle."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vpcctl.model.problems import Blocker, Invalid
from vpcctl.services import routes
from vpcctl.services.context import MAX_BLOCKERS
from vpcctl.services.routes import ParsedRoute
from vpcctl.store import routes as stored


def require_targets(connection: Any, vpc_id: str, wanted: Sequence[ParsedRoute]) -> None:
    """Demand that every target of these routes is there, in the VPC, and of use to the route.

    Raises:
        Invalid: naming the target.
    """
    named = {target for route in wanted for target in route.targets}
    families = stored.target_families(connection, vpc_id, sorted(named))
    for route in wanted:
        for place, target in enumerate(route.targets):
            _require(route, place, families.get(target), vpc_id)


def _require(route: ParsedRoute, place: int, families: frozenset[int] | None, vpc_id: str) -> None:
    _, id = route.targets[place]
    field = route.target_field(place)
    if families is None:
        raise Invalid(
            f"There is no {id} in {vpc_id}.",
            field=field,
            accepted=routes.TARGETS,
        )
    if route.destination.version not in families:
        raise Invalid(
            f"{id} leads no IPv{route.destination.version} packets out.",
            field=field,
            accepted="an internet gateway of a network with a block of the family, or a port"
            if route.destination.version == 6
            else "an internet gateway of a network with an IPv4 block, a NAT gateway or a port",
        )


def require_no_circle(
    connection: Any, vpc_id: str, fields: Mapping[str, str], table_id: str | None = None
) -> None:
    """Demand that no default route of a VPC leads back to itself over the ports it leads to.

    Args:
        connection: of the transaction, in which the routes are.
        vpc_id: the VPC.
        fields: destinations to judge, and the field of the request that is to blame for each.
        table_id: the table whose routes they are; None: all tables' are to blame.

    Raises:
        Invalid: naming the table and the port where the circle closes.
    """
    for alike in routes.ALIKE:
        if fields.keys().isdisjoint(alike):
            continue
        found = stored.through_ports(connection, vpc_id, alike)
        if not found:
            continue
        main = stored.main_of(connection, vpc_id)
        circle = routes.circle((one.table_id, one.port_id, one.to or main) for one in found)
        if circle is not None:
            steps = [one for one in found if (one.table_id, one.port_id) in circle]
            mine = [one.destination for one in steps if table_id in (None, one.table_id)]
            blamed = next(one for one in (*mine, *alike) if one in fields)
            raise _leads_back(circle, blamed, fields[blamed])


def _leads_back(circle: Iterable[tuple[str, str]], destination: str, field: str) -> Invalid:
    way = ", then ".join(f"from {table} to {port}" for table, port in circle)
    return Invalid(
        f"The route to {destination} would lead in a circle: {way}, and back.",
        field=field,
        accepted="a port in a subnet whose own default route leads out",
    )


def blockers_of(connection: Any, target_id: str) -> list[Blocker]:
    """Return the routes that lead to a target, for a refusal to delete it."""
    return _blockers(stored.routes_to(connection, target_id, MAX_BLOCKERS + 1))


def ipv6_blockers_of(connection: Any, network_id: str) -> list[Blocker]:
    """Return the IPv6 routes to an external network, for a refusal to take its IPv6 block away."""
    return _blockers(stored.ipv6_routes_out(connection, network_id, MAX_BLOCKERS + 1))


def _blockers(found: Iterable[tuple[str, str]]) -> list[Blocker]:
    return [Blocker("rtb", table, f"has a route to {to} by it") for table, to in found]
