"""Moving ports to where their winning claims are: after a report, or a change of attachment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpcctl.services import lost_hosts, outside_touch
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.claims import Claim, dispute, elect
from vpcctl.store import locations
from vpcctl.store.locations import Place
from vpcctl.store.tables import LinkRow, PortRow
from vpcctl.store.units import Unit

Claims = Mapping[str, Sequence[Claim]]
"""Every host's claims, by port."""


def claims_of(links: Iterable[LinkRow]) -> list[Claim]:
    """Return the claims that links are."""
    return [Claim(link.host_id, link.claimed_revision, link.ofport) for link in links]


def all_claims(connection: Any, port_ids: Iterable[str]) -> Claims:
    """Return every host's claims to these ports as they are stored."""
    found = locations.claims_of(connection, port_ids)
    return {id: claims_of(by_host.values()) for id, by_host in found.items()}


def disputes(ports: Mapping[str, PortRow], claims: Claims) -> dict[str, str | None]:
    """Return what there is to say about rival *claims* to each of *ports*."""
    return {id: dispute(claims.get(id, ()), port.attach_host_id) for id, port in ports.items()}


@dataclass(frozen=True, slots=True)
class Contest:
    """Ports whose claims or attachment changed.

    Attributes:
        ports: id, VPC, tenant and attachment of each, by id.
        present: where those are that are somewhere.
        claims: every host's claims to them, as they are now.
        before: what :func:`disputes` said before the change.
    """

    ports: Mapping[str, PortRow]
    present: Mapping[str, Place]
    claims: Claims
    before: Mapping[str, str | None]


def settle(unit: Unit, contest: Contest) -> frozenset[str]:
    """Elect each port's location anew, write what changed, and tell of new disputes once.

    Returns:
        the ports whose location changed.
    """
    ports, present = contest.ports, contest.present
    after: dict[str, Place | None] = {}
    concerned: set[str] = set()
    for id, port in ports.items():
        claims = contest.claims.get(id, ())
        place = _place(port, elect(claims, port.attach_host_id))
        if place != present.get(id):
            after[id] = place
            unit.tell(
                "location", id, port.tenant_id, "changed" if place else "deleted", _say(place)
            )
        said = dispute(claims, port.attach_host_id)
        if said is not None and said != contest.before.get(id):
            unit.tell("port", id, port.tenant_id, "warning", said)
        concerned |= _concerned(unit, claims, present.get(id), place)
    if after:
        toggled = locations.move(unit.connection, present, after, unit.revision)
        outside_touch.moved(unit, ports, present, after, toggled)
        _note_moved(unit, present, after)
        concerned |= _guests_moved(ports, present, after)
    touch_hosts(unit, *sorted(concerned), soon=True)
    return frozenset(after)


def _note_moved(
    unit: Unit, present: Mapping[str, Place], after: Mapping[str, Place | None]
) -> None:
    """Have routes know of ports that left a host, in case it is dead, or the one that they are on.

    A port that comes from nowhere is reported by a host that lives, and not asked about.
    """
    left = {id: one.host_id for id, one in present.items() if id in after}
    now = {id: place.host_id for id in left if (place := after[id]) is not None}
    moved = [id for id in left if left[id] != now.get(id)]
    if moved:
        lost_hosts.moved(unit, moved, {*left.values(), *now.values()})


def _concerned(
    unit: Unit, claims: Sequence[Claim], before: Place | None, place: Place | None
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
    before: Mapping[str, Place],
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
    return Place(port.id, port.subnet_id, port.vpc_id, winner.host_id, winner.ofport)


def _say(place: Place | None) -> str:
    return f"on {place.host_id}, ofport {place.ofport}" if place else "nowhere"
