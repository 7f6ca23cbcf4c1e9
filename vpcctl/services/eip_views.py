"""From rows to EIP views, which say where each one is realised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from vpcctl.services import gateway_hosts, limit_values
from vpcctl.services.context import meta
from vpcctl.services.gateway_hosts import Why
from vpcctl.services.outside_views import EipView, PlacementView
from vpcctl.services.routing_views import GatewayHostsView
from vpcctl.services.standing import judge
from vpcctl.services.views import Status
from vpcctl.store import gateways, hosts, locations
from vpcctl.store.realisation import (
    HostRealised,
    Standing,
    of_hosts,
    processed,
    reached,
    standing_among,
)
from vpcctl.store.tables import EipRow, LocationRow

NOWHERE = GatewayHostsView((), None, None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What EIPs' views need beside their rows.

    Attributes:
        locations: of the ports, by port id.
        reach: external networks that hosts reach, by host id.
        internet: ids of internet gateways, by VPC and external network.
        placements: where gateways are, by gateway id.
        meters: OpenFlow meters that hosts have, by host id.
        realised: how far hosts have come, by host id.
        done: what the southbound has taken.
        why: says why no host carries a gateway.
    """

    locations: Mapping[str, LocationRow]
    reach: Mapping[str, frozenset[str]]
    internet: Mapping[tuple[str, str], str]
    placements: Mapping[str, GatewayHostsView]
    meters: Mapping[str, int]
    realised: Mapping[str, HostRealised]
    done: int
    why: Why


@dataclass(frozen=True, slots=True)
class Carried:
    """Who has to carry something.

    Attributes:
        revision: what they have to confirm.
        hosts: who.
        lacking: why there is nobody; None: there is somebody, or nobody has to.
    """

    revision: int = 0
    hosts: frozenset[str] = frozenset()
    lacking: str | None = None


def views(connection: Any, rows: Sequence[EipRow]) -> list[EipView]:
    """Return the views of *rows*."""
    if not rows:
        return []
    around = _look(connection, rows)
    return [_view(row, around) for row in rows]


def carried(connection: Any, row: EipRow) -> Carried:
    """Return the hosts that have to confirm an EIP's newest change."""
    around = _look(connection, [row])
    placement, needed, found = _place(row, around)
    left = row.left_hosts if row.left_revision == row.revision else ()
    return Carried(needed, frozenset((*found, *left)), _lacking(row, placement, around))


def _look(connection: Any, rows: Sequence[EipRow]) -> Surroundings:
    found = gateways.of_vpcs(connection, {row.vpc_id for row in rows if row.vpc_id})
    internet = {(one.vpc_id, one.network_id): one.id for one in found if one.kind == "igw"}
    carrying = {*internet.values(), *(row.nat_gateway_id for row in rows if row.nat_gateway_id)}
    placements = gateway_hosts.placements(connection, sorted(carrying)) if carrying else {}
    placed = locations.locations_of(connection, [row.port_id for row in rows if row.port_id])
    concerned = {one.host_id for one in placed.values()}
    concerned |= {host.host_id for one in placements.values() for host in one.hosts}
    concerned |= {host_id for row in rows for host_id in row.left_hosts}
    return Surroundings(
        placed,
        hosts.reach(connection),
        internet,
        placements,
        hosts.meters(connection, concerned),
        of_hosts(connection, concerned),
        processed(connection),
        gateway_hosts.reasons(connection),
    )


def _view(row: EipRow, around: Surroundings) -> EipView:
    placement, needed, concerned = _place(row, around)
    standing = standing_among(concerned, around.realised, around.done)
    lacking = _lacking(row, placement, around)
    return EipView(
        meta(row, row.tenant_id),
        row.key,
        row.external_network_id,
        ip_address(row.address),
        row.port_id,
        row.vpc_id,
        ip_address(row.fixed_ip) if row.fixed_ip else None,
        row.nat_gateway_id,
        limit_values.view(row),
        placement,
        judge(standing, needed) if lacking is None else _pending(lacking, standing),
    )


Placed = tuple[PlacementView, int, list[str]]
"""Where an EIP is realised, the revision that has to be confirmed, and the hosts that have to."""


def _place(row: EipRow, around: Surroundings) -> Placed:
    if row.nat_gateway_id is not None:
        gateway = around.placements.get(row.nat_gateway_id, NOWHERE)
        return _on_gateway(row, gateway, row.revision, around)
    if row.port_id is None:
        return PlacementView(), row.left_revision, row.left_hosts
    location = around.locations.get(row.port_id)
    if location is None:
        return PlacementView(), row.revision, []
    needed = max(row.revision, location.revision)
    if row.external_network_id in around.reach.get(location.host_id, ()):
        here = _placed(row, "distributed", location.host_id, needed, around)
        return here, needed, [location.host_id]
    gateway = _internet(row, around)
    placement, since, concerned = _on_gateway(row, gateway, needed, around)
    return placement, since, [*concerned, location.host_id]


def _on_gateway(
    row: EipRow, gateway: GatewayHostsView, needed: int, around: Surroundings
) -> Placed:
    if gateway.active_host_id is None:
        return PlacementView(), needed, []
    since = max(needed, gateway.since_revision or 0)
    here = _placed(row, "gateway", gateway.active_host_id, since, around)
    return here, since, [one.host_id for one in gateway.hosts if one.state != "down"]


def _placed(
    row: EipRow,
    mode: Literal["distributed", "gateway"],
    host_id: str,
    needed: int,
    around: Surroundings,
) -> PlacementView:
    confirmed = reached(around.realised.get(host_id), around.done) >= needed
    limited = row.limit_number is not None
    return PlacementView(
        mode,
        host_id,
        needed if confirmed else None,
        around.meters.get(host_id, 0) > 0 if limited else None,
    )


def _pending(lacking: str, standing: Standing) -> Status:
    return Status("pending", lacking, standing.lowest, 0)


def _lacking(row: EipRow, placement: PlacementView, around: Surroundings) -> str | None:
    """Return why an EIP that is in use is realised nowhere; None: it is, or it is not in use."""
    network_id = row.external_network_id
    if placement.mode is not None:
        return None
    if row.nat_gateway_id is not None:
        gateway = around.placements.get(row.nat_gateway_id, NOWHERE)
        return f"{row.nat_gateway_id} is on no host: {around.why(gateway, network_id)}"
    if row.port_id is None:
        return None
    location = around.locations.get(row.port_id)
    if location is None:
        return f"{row.port_id} is on no host"
    place = f"{row.port_id} is on {location.host_id}, which does not reach {network_id}"
    return f"{place}, and {around.why(_internet(row, around), network_id)}"


def _internet(row: EipRow, around: Surroundings) -> GatewayHostsView:
    """Return where the internet gateway is that an EIP of a port is reached by."""
    id = around.internet.get((row.vpc_id or "", row.external_network_id), "")
    return around.placements.get(id, NOWHERE)
