"""Where the global IPv6 addresses of a port are realised."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any

from vpcctl.model.addresses import IPAddress
from vpcctl.model.outside import is_global
from vpcctl.services import outside_places
from vpcctl.services.outside_places import Exposed
from vpcctl.services.views import OutsideView
from vpcctl.store import routed
from vpcctl.store.routed import WayOut
from vpcctl.store.tables import PortRow


def of_port(
    connection: Any, row: PortRow, fixed_ips: Iterable[IPAddress]
) -> tuple[OutsideView, ...]:
    """Return those of a port's addresses that the outside reaches as they are, in order.

    A port without any of 2000::/3 costs no statement.
    """
    if not any(is_global(ip) for ip in fixed_ips):
        return ()
    ways = sorted(routed.of_port(connection, row.id), key=lambda one: IPv6Address(one.address))
    if not ways:
        return ()
    things = [Exposed(one.network_id, one.revision, row.id, one.gateway_id) for one in ways]
    around = outside_places.look(connection, things)
    return tuple(_view(row, *one, around) for one in zip(ways, things, strict=True))


def _view(
    row: PortRow, way: WayOut, thing: Exposed, around: outside_places.Surroundings
) -> OutsideView:
    address = ip_address(way.address)
    if not row.admin_up:
        reason = f"{row.id} is administratively down"
        return OutsideView(address, way.gateway_id, None, None, None, reason)
    place = outside_places.place(thing, around)
    return OutsideView(
        address,
        way.gateway_id,
        place.mode,
        place.host_id,
        place.since_revision,
        outside_places.lacking(thing, around) if place.mode is None else None,
    )
