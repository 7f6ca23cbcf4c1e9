"""From rows to EIP views, which say where each one is realised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from vpcctl.services import limit_values, outside_places, ways_back
from vpcctl.services.context import meta
from vpcctl.services.outside_places import Exposed, Place
from vpcctl.services.outside_views import EipView, PlacementView
from vpcctl.services.standing import judge
from vpcctl.services.views import Status
from vpcctl.services.ways_back import Way
from vpcctl.store import gateways, hosts
from vpcctl.store.realisation import Standing, standing_among
from vpcctl.store.tables import EipRow


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What EIPs' views need beside their rows.

    Attributes:
        things: the EIPs as the outside reaches them, by id.
        places: what decides where they are.
        meters: OpenFlow meters that hosts have, by host id.
    """

    things: Mapping[str, Exposed]
    places: outside_places.Surroundings
    meters: Mapping[str, int]


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
    said = ways_back.warnings(connection, filter(None, map(_way, around.things.values())))
    return [replace(_view(row, around), warning=_warning(row, around, said)) for row in rows]


def _way(thing: Exposed) -> Way | None:
    """Return the port that something stands for and the internet gateway that leads there."""
    if thing.port_id is None or thing.internet_id is None:
        return None
    return thing.port_id, thing.internet_id


def _warning(row: EipRow, around: Surroundings, said: Mapping[Way, str]) -> str | None:
    way = _way(around.things[row.id])
    return None if way is None else said.get(way)


def carried(connection: Any, row: EipRow) -> Carried:
    """Return the hosts that have to confirm an EIP's newest change."""
    around = _look(connection, [row])
    place = _place(row, around)
    left = row.left_hosts if row.left_revision == row.revision else ()
    hosts_now = frozenset((*place.host_ids, *left))
    return Carried(place.needed, hosts_now, _lacking(row, place, around))


def _look(connection: Any, rows: Sequence[EipRow]) -> Surroundings:
    found = gateways.of_vpcs(connection, {row.vpc_id for row in rows if row.vpc_id})
    internet = {(one.vpc_id, one.network_id): one.id for one in found if one.kind == "igw"}
    things = {
        row.id: Exposed(
            row.external_network_id,
            row.seen_revision,
            row.port_id,
            internet.get((row.vpc_id or "", row.external_network_id)),
            row.nat_gateway_id,
        )
        for row in rows
    }
    left = [host_id for row in rows for host_id in row.left_hosts]
    places = outside_places.look(connection, things.values(), left)
    return Surroundings(things, places, hosts.meters(connection, places.host_ids))


def _view(row: EipRow, around: Surroundings) -> EipView:
    place = _place(row, around)
    standing = standing_among(place.host_ids, around.places.realised, around.places.done)
    lacking = _lacking(row, place, around)
    limited = place.host_id is not None and row.limit_number is not None
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
        PlacementView(
            place.mode,
            place.host_id,
            place.since_revision,
            around.meters.get(place.host_id or "", 0) > 0 if limited else None,
        ),
        judge(standing, place.needed) if lacking is None else _pending(lacking, standing),
    )


def _is_used(row: EipRow) -> bool:
    return row.port_id is not None or row.nat_gateway_id is not None


def _place(row: EipRow, around: Surroundings) -> Place:
    if not _is_used(row):
        return Place(None, None, None, row.left_revision, tuple(row.left_hosts))
    return outside_places.place(around.things[row.id], around.places)


def _pending(lacking: str, standing: Standing) -> Status:
    return Status("pending", lacking, standing.lowest, 0)


def _lacking(row: EipRow, place: Place, around: Surroundings) -> str | None:
    """Return why an EIP that is in use is realised nowhere; None: it is, or it is not in use."""
    if place.mode is not None or not _is_used(row):
        return None
    return outside_places.lacking(around.things[row.id], around.places)
