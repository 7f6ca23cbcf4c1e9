"""Whether what routes lead to is there: a target that is dead gets no packets."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from vpcctl.services import gateway_hosts
from vpcctl.services.routing_views import TargetStateView
from vpcctl.store import gateways, hosts, locations, ports
from vpcctl.store.gateways import INTERNET_GATEWAYS, NAT_GATEWAYS
from vpcctl.store.ports import PORTS
from vpcctl.store.routes import StoredRoute

Target = tuple[str, str]
"""Kind and id."""


def of_routes(connection: Any, routes: Sequence[StoredRoute]) -> list[tuple[TargetStateView, ...]]:
    """Return the states of each route's targets, in order."""
    targets = {target for route in routes for target in route.targets}
    dead = {
        **_internet(connection, _ids(targets, "internet")),
        **_nats(connection, _ids(targets, "nat")),
        **_ports(connection, _ids(targets, "port")),
    }
    families = ports.ADDRESSES.of(connection, _ids(targets, "port"))
    return [
        tuple(_state(route, target, dead, families) for target in route.targets) for route in routes
    ]


def _ids(targets: Iterable[Target], kind: str) -> list[str]:
    return sorted(id for one, id in targets if one == kind)


def _state(
    route: StoredRoute, target: Target, dead: dict[str, str], addresses: dict[str, list[str]]
) -> TargetStateView:
    kind, id = target
    reason, is_four = dead.get(id), ip_network(route.destination).version == 4
    # Of IPv6, every port has a link-local address.
    if reason is None and kind == "port" and is_four and not _has_ipv4(addresses.get(id, ())):
        reason = "it has no IPv4 address"
    return TargetStateView(id, reason)


def _has_ipv4(addresses: Iterable[str]) -> bool:
    return any("." in text for text in addresses)


def _internet(connection: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return why internet gateways are dead, by id."""
    if not ids:
        return {}
    reached = frozenset[str]().union(*hosts.reach(connection).values())
    rows = INTERNET_GATEWAYS.get_many(connection, ids)
    gone = (row for row in rows.values() if row.external_network_id not in reached)
    return {row.id: f"no host reaches {row.external_network_id}" for row in gone}


def _nats(connection: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return why NAT gateways are dead, by id: as flows see it, so a late report does not count."""
    if not ids:
        return {}
    standing = gateways.HOST_IDS.of(connection, ids)
    dead = hosts.dead_among(connection, {one for order in standing.values() for one in order})
    found = {
        id: gateway_hosts.NONE_LIVES for id, order in standing.items() if dead.issuperset(order)
    }
    bare = NAT_GATEWAYS.get_many(connection, [id for id in ids if id not in standing])
    networks = {id: row.external_network_id for id, row in bare.items()}
    nowhere = dict.fromkeys(bare, gateway_hosts.NOWHERE)
    return {**found, **gateway_hosts.lacking(connection, nowhere, networks)}


def _ports(connection: Any, ids: Sequence[str]) -> dict[str, str]:
    """Return why ports are dead, by id."""
    if not ids:
        return {}
    placed = locations.locations_of(connection, ids)
    known = hosts.liveness_of(connection, sorted({one.host_id for one in placed.values()}))
    found: dict[str, str] = {}
    for id, row in PORTS.get_many(connection, ids).items():
        if row.source_dest_check:
            found[id] = "its source_dest_check is on, so it takes nothing that is not for itself"
        elif not row.admin_up:
            found[id] = "it is administratively down"
        elif id not in placed:
            found[id] = "it is on no host"
        elif known[placed[id].host_id].announced == hosts.DEAD:
            found[id] = f"its host {placed[id].host_id} neither reports nor is connected"
        elif known[placed[id].host_id].lost:
            found[id] = f"most hosts that watch its host {placed[id].host_id} do not see it"
    return found
