"""From rows to port views: a handful of statements for any number of ports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from vpcctl.model.addresses import Mac
from vpcctl.services import attachments, global_addresses, limit_values
from vpcctl.services.claims import elect, judge
from vpcctl.services.context import meta
from vpcctl.services.dhcp_values import restored
from vpcctl.services.locating import claims_of
from vpcctl.services.port_metadata import shown
from vpcctl.services.standing import judge as judge_standing
from vpcctl.services.views import ClaimView, PortView, Status
from vpcctl.store import hosts, locations, memberships, models, port_metadata, ports
from vpcctl.store.realisation import Standing, standings
from vpcctl.store.tables import LinkRow, LocationRow, PortMetadataRow, PortRow

"""What an underlay of 1500 bytes leaves beside VXLAN over IPv4."""

_ORDER = {"won": 0, "lost": 1, "waiting": 2, "refused": 3}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What ports' views need beside their rows."""

    addresses: Mapping[str, Sequence[str]]
    groups: Mapping[str, Sequence[str]]
    links: Mapping[str, Sequence[LinkRow]]
    locations: Mapping[str, LocationRow]
    standings: Mapping[str, Standing]
    metadata: Mapping[str, PortMetadataRow]
    mtu: int
    meters: Mapping[str, int]


def views(connection: Any, rows: Sequence[PortRow]) -> list[PortView]:
    """Return the views of *rows*."""
    if not rows:
        return []
    ids = [row.id for row in rows]
    around = Surroundings(
        ports.ADDRESSES.of(connection, ids),
        memberships.MEMBERSHIPS.of(connection, ids),
        locations.links_of(connection, ids),
        locations.locations_of(connection, ids),
        standings(connection, [row.vpc_id for row in rows]),
        port_metadata.get_many(connection, ids),
        hosts.port_mtu(connection),
        {},
    )
    limited = {row.id for row in rows if row.limit_number is not None}
    if limited:
        where = {one.host_id for id, one in around.locations.items() if id in limited}
        around = replace(around, meters=hosts.meters(connection, where))
    return [_view(row, around) for row in rows]


def whole_view(connection: Any, row: PortRow) -> PortView:
    """Return the view of one port with what lists leave out."""
    (view,) = views(connection, [row])
    return _whole(connection, row, view)


def _whole(connection: Any, row: PortRow, view: PortView) -> PortView:
    return replace(view, outside=global_addresses.of_port(connection, row, view.fixed_ips))


def fresh_view(
    connection: Any,
    row: PortRow,
    addresses: Sequence[str],
    groups: Sequence[str],
    *,
    has_metadata: bool,
) -> PortView:
    """Return the view of a port made in this transaction: nobody can have claimed it."""
    standing = standings(connection, [row.vpc_id])
    said = port_metadata.get_many(connection, [row.id]) if has_metadata else {}
    own = {row.id: addresses}, {row.id: groups}
    around = Surroundings(*own, {}, {}, standing, said, hosts.port_mtu(connection), {})
    return _whole(connection, row, _view(row, around))


def _enforced(row: PortRow, location: LocationRow | None, meters: Mapping[str, int]) -> bool | None:
    if row.limit_number is None or location is None:
        return None
    return meters.get(location.host_id, 0) > 0


def _view(row: PortRow, around: Surroundings) -> PortView:
    links = around.links.get(row.id, ())
    location = around.locations.get(row.id)
    claims = _claims(row, links)
    return PortView(
        meta(row, row.tenant_id),
        row.subnet_id,
        row.vpc_id,
        row.key,
        Mac(row.mac),
        tuple(map(ip_address, around.addresses.get(row.id, ()))),
        row.port_security,
        tuple(around.groups.get(row.id, ())) if row.port_security else None,
        models.pairs(row),
        row.admin_up,
        attachments.view(row),
        location.host_id if location else None,
        claims,
        around.mtu,
        _status(row, location, claims, around.standings[row.vpc_id]),
        restored(row.dhcp_options) if row.dhcp_options else None,
        shown(around.metadata.get(row.id)),
        row.source_dest_check,
        limit_values.view(row),
        _enforced(row, location, around.meters),
    )


def _claims(row: PortRow, links: Sequence[LinkRow]) -> tuple[ClaimView, ...]:
    claims = claims_of(links)
    winner = elect(claims, row.attach_host_id)
    found = [
        ClaimView(
            link.host_id,
            link_dict(link),
            link.claimed_revision,
            link.reported_at,
            judge(claim, winner, row.attach_host_id),
        )
        for link, claim in zip(links, claims, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: (_ORDER[one.state], -one.claimed_revision)))


def link_dict(link: LinkRow) -> dict[str, Any]:
    """Return a link's row as a link is reported."""
    return {
        "port_id": link.port_id,
        "interface": link.interface,
        "interface_uuid": link.interface_uuid,
        "ofport": link.ofport,
        "mac": link.mac,
        "netns": link.netns,
        "admin_up": link.admin_up,
        "oper_up": link.oper_up,
        "error": link.error,
        "counters": dict(link.counters),
    }


def _status(
    row: PortRow,
    location: LocationRow | None,
    claims: Sequence[ClaimView],
    standing: Standing,
) -> Status:
    """Return the status: the hosts' first, then what the port's own interface says."""
    needed = max(row.revision, location.revision if location else 0)
    status = judge_standing(standing, needed)
    if status.state != "active":
        return status
    broken = next((one for one in claims if one.state in ("won", "waiting")), None)
    if broken is not None and broken.link["error"]:
        reason = f"{broken.host_id}: {broken.link['error']}"
        return replace(status, state="error", reason=reason)
    rivals = [one.host_id for one in claims if one.state in ("lost", "refused")]
    if location is None:
        return replace(status, state="pending", reason=_awaited(row, claims))
    if rivals:
        reason = f"also claimed by {', '.join(sorted(rivals))}"
        return replace(status, state="degraded", reason=reason)
    return status


def _awaited(row: PortRow, claims: Sequence[ClaimView]) -> str:
    refused = sorted(one.host_id for one in claims if one.state == "refused")
    if refused:
        return f"attached to {row.attach_host_id}, but claimed by {', '.join(refused)}"
    waiting = [one.host_id for one in claims if one.state == "waiting"]
    if waiting:
        return f"Open vSwitch on {waiting[0]} has given its interface no port number"
    where = f"on {row.attach_host_id}" if row.attach_host_id else "on any host"
    return f"no interface of this port has been reported {where}"
