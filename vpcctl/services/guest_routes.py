"""What guests are told of their subnets' route tables, and which hosts hear of a change."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from vpcctl.services.attachments import touch_hosts_with
from vpcctl.store import hosts, route_tables
from vpcctl.store.tables import SubnetRow
from vpcctl.store.units import Unit
from vpcctl.wire.state import MAX_ROUTES, GuestRoute

_DEFAULT = "0.0.0.0/0"
Destinations = Mapping[str, Sequence[str]]
"""A table's destinations, each with the ports among its targets."""


def told(table: Destinations) -> tuple[GuestRoute, ...]:
    """Return which of a table's routes guests are told.

    IPv4's but the default, which they have anyway, with blackholes; the most specific first, and no
    more than a message holds: the default route leads the rest to the same gateway.
    """
    four = [one for one in table if ":" not in one and one != _DEFAULT]
    return tuple(
        GuestRoute(destination=IPv4Network(one), port_ids=tuple(sorted(table[one])))
        for one in sorted(four, key=_place)[:MAX_ROUTES]
    )


def _place(block: str) -> tuple[int, str]:
    return -int(block.rpartition("/")[2]), block


def of_subnets(connection: Any, rows: Iterable[SubnetRow]) -> dict[str, tuple[GuestRoute, ...]]:
    """Return what guests of these subnets are told of their tables, by subnet id."""
    tables = route_tables.of_subnets(connection, rows)
    found = route_tables.destinations_of(connection, set(tables.values()))
    said = {id: told(table) for id, table in found.items()}
    return {subnet_id: said.get(table_id, ()) for subnet_id, table_id in tables.items()}


def touch_table(unit: Unit, id: str, before: Destinations, after: Destinations) -> None:
    """Note that subnets have a table with these destinations now, and had those before."""
    if told(before) != told(after):
        touch_hosts_with(unit, route_tables.has_table(id), soon=True)


def touch_subnet(unit: Unit, old: SubnetRow, new: SubnetRow) -> None:
    """Note that a subnet names another table."""
    before, after = (of_subnets(unit.connection, [row])[row.id] for row in (old, new))
    if before != after:
        touch_hosts_with(unit, hosts.of_subnet(new.id), soon=True)
