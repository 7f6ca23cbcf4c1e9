"""Moving ports to where their winning claims are: after a report, or a change of attachment."""

from collections.abc import Mapping, Sequence

from vpcctl.services import outside_touch
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.claims import Claim, dispute, elect
from vpcctl.store import locations
from vpcctl.store.locations import Place
from vpcctl.store.tables import LinkRow, LocationRow, PortRow
from vpcctl.store.units import Unit


def claims_of(links: Sequence[LinkRow]) -> list[Claim]:
    """Return the claims that links are."""
    return [Claim(link.host_id, link.claimed_revision, link.ofport) for link in links]


def disputes(unit: Unit, ports: Mapping[str, PortRow]) -> dict[str, str | None]:
    """Return what there is to say about rival claims to each of *ports* now."""
    links = locations.links_of(unit.connection, ports)
    return {
        id: dispute(claims_of(links.get(id, ())), port.attach_host_id) for id, port in ports.items()
    }


def settle(
    unit: Unit, ports: Mapping[str, PortRow], before: Mapping[str, str | None]
) -> frozenset[str]:
    """Elect each port's location anew, write what changed, and tell of new disputes once.

    Args:
        unit: the transaction.
        ports: id, VPC, tenant and attachment of ports whose claims or attachment changed.
        before: what :func:`disputes` said before the change.

    Returns:
        the ports whose location changed.
    """
    links = locations.links_of(unit.connection, ports)
    present = locations.locations_of(unit.connection, ports)
    after: dict[str, Place | None] = {}
    concerned: set[str] = set()
    for id, port in ports.items():
        claims = claims_of(links.get(id, ()))
        place = _place(port, elect(claims, port.attach_host_id))
        if not _same(present.get(id), place):
            after[id] = place
            unit.tell(
                "location", id, port.tenant_id, "changed" if place else "deleted", _say(place)
            )
        said = dispute(claims, port.attach_host_id)
        if said is not None and said != before.get(id):
            unit.tell("port", id, port.tenant_id, "warning", said)
        concerned |= _concerned(unit, claims, present.get(id), place)
    if after:
        toggled = locations.move(unit.connection, present, after, unit.revision)
        outside_touch.moved(unit, ports, present, after, toggled)
        concerned |= _guests_moved(ports, present, after)
    touch_hosts(unit, *sorted(concerned))
    return frozenset(after)


def _concerned(
    unit: Unit, claims: Sequence[Claim], before: LocationRow | None, place: Place | None
) -> set[str]:
    """Return the hosts whose state has to say, or to say no more, that the port is not there.

    A host's state names the ports that it has an interface for and that are elsewhere or nowhere.
    """
    was, now = before and before.host_id, place and place.host_id
    claiming = {claim.host_id: claim.revision for claim in claims if claim.ofport is not None}
    found = {host for host, since in claiming.items() if since == unit.revision and host != now}
    if was != now:
        found |= {host for host in claiming if host == was}
        found |= {host for host, since in claiming.items() if host == now and since < unit.revision}
    return found


def _guests_moved(
    ports: Mapping[str, PortRow],
    before: Mapping[str, LocationRow],
    after: Mapping[str, Place | None],
) -> set[str]:
    """Return which hosts serve other guests now; a port attached to a host is always its guest."""
    moved: set[str] = set()
    for id, place in after.items():
        old = before[id].host_id if id in before else None
        new = place.host_id if place is not None else None
        if old != new:
            known = {host for host in (old, new) if host is not None}
            moved |= known - {ports[id].attach_host_id}
    return moved


def _place(port: PortRow, winner: Claim | None) -> Place | None:
    if winner is None or winner.ofport is None:
        return None
    return Place(port.id, port.vpc_id, winner.host_id, winner.ofport)


def _same(row: LocationRow | None, place: Place | None) -> bool:
    if row is None or place is None:
        return row is None and place is None
    return (row.host_id, row.ofport) == (place.host_id, place.ofport)


def _say(place: Place | None) -> str:
    return f"on {place.host_id}, ofport {place.ofport}" if place else "nowhere"
