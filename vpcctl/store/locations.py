"""Links (claims), locations, and which hosts a VPC is present on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from vpcctl.store.rows import Among, chunks
from vpcctl.store.tables import LinkRow, LocationRow, PortRow, PresenceRow

_REPORTED = select(
    # What is compared with each report, and no more: decoding the rest would cost most.
    LinkRow.host_id,
    LinkRow.port_id,
    LinkRow.interface,
    LinkRow.interface_uuid,
    LinkRow.ofport,
    LinkRow.mac,
    LinkRow.netns,
    LinkRow.admin_up,
    LinkRow.oper_up,
    LinkRow.error,
    LinkRow.claimed_revision,
)
_LINKS_OF_HOST = _REPORTED.where(LinkRow.host_id == bindparam("host_id_"))
_CLAIMS_OF = Among(_REPORTED, LinkRow.port_id)
_LINKS_OF = Among(
    select(LinkRow.__table__).order_by(LinkRow.port_id, LinkRow.host_id), LinkRow.port_id
)
_LOCATIONS = select(LocationRow.__table__)
_LOCATIONS_OF = Among(_LOCATIONS, LocationRow.port_id)
_DROP_LOCATION = delete(LocationRow).where(LocationRow.port_id == bindparam("port_id_"))
_ADD_LOCATION = insert(LocationRow)
_ADD_LINK = insert(LinkRow)
_HOSTS_OF_VPC = select(PresenceRow.host_id).where(PresenceRow.vpc_id == bindparam("vpc_id_"))
_DROP_LINK = delete(LinkRow).where(
    LinkRow.host_id == bindparam("host_id_"), LinkRow.port_id == bindparam("port_id_")
)
_COUNT_LINK = (
    update(LinkRow)
    .where(LinkRow.host_id == bindparam("host_id_"), LinkRow.port_id == bindparam("port_id_"))
    .values(counters=bindparam("counters_"))
)
_THIS_PRESENCE = (
    PresenceRow.vpc_id == bindparam("vpc_id_"),
    PresenceRow.host_id == bindparam("host_id_"),
)
_COUNT_PRESENCE = (
    update(PresenceRow)
    .where(*_THIS_PRESENCE)
    .values(ports=PresenceRow.ports + bindparam("more_"))
    .returning(PresenceRow.ports)
)
_ADD_PRESENCE = insert(PresenceRow)
_DROP_PRESENCE = delete(PresenceRow).where(*_THIS_PRESENCE)
_CLAIMED = Among(
    select(
        PortRow.id,
        PortRow.subnet_id,
        PortRow.vpc_id,
        PortRow.tenant_id,
        PortRow.attach_host_id,
        LocationRow.host_id,
        LocationRow.ofport,
    ).outerjoin(LocationRow, LocationRow.port_id == PortRow.id),
    PortRow.id,
)


_RELEASED = (
    select(LinkRow.port_id)
    .outerjoin(LocationRow, LocationRow.port_id == LinkRow.port_id)
    .where(
        LinkRow.host_id == bindparam("host_id_"),
        LinkRow.ofport.is_not(None),
        LocationRow.host_id.is_(None) | (LocationRow.host_id != LinkRow.host_id),
    )
    .order_by(LinkRow.port_id)
)
_CLAIMANTS = select(LinkRow.host_id).where(
    LinkRow.port_id == bindparam("port_id_"), LinkRow.ofport.is_not(None)
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a port is to be: a location without its revision."""

    port_id: str
    subnet_id: str
    vpc_id: str
    host_id: str
    ofport: int


def links_of_host(connection: Connection, host_id: str) -> dict[str, LinkRow]:
    """Return the host's links by port id, without counters and times."""
    rows = connection.execute(_LINKS_OF_HOST, {"host_id_": host_id})
    return {row.port_id: cast(LinkRow, row) for row in rows}


def claims_of(connection: Connection, port_ids: Iterable[str]) -> dict[str, dict[str, LinkRow]]:
    """Return every host's link to these ports by host id, by port id, as :func:`links_of_host`."""
    found: dict[str, dict[str, LinkRow]] = {}
    for row in _CLAIMS_OF.rows(connection, port_ids):
        found.setdefault(row.port_id, {})[row.host_id] = cast(LinkRow, row)
    return found


def links_of(connection: Connection, port_ids: Iterable[str]) -> dict[str, list[LinkRow]]:
    """Return every host's links to these ports, by port id."""
    found: dict[str, list[LinkRow]] = {}
    for row in _LINKS_OF.rows(connection, port_ids):
        found.setdefault(row.port_id, []).append(cast(LinkRow, row))
    return found


def released(connection: Connection, host_id: str) -> Sequence[str]:
    """Return ports that the host has an interface for and that are not there, by id."""
    return connection.execute(_RELEASED, {"host_id_": host_id}).scalars().all()


def claimants(connection: Connection, port_id: str) -> Sequence[str]:
    """Return the hosts that have an interface for a port."""
    return connection.execute(_CLAIMANTS, {"port_id_": port_id}).scalars().all()


def claimed_ports(
    connection: Connection, port_ids: Iterable[str]
) -> tuple[dict[str, PortRow], dict[str, Place]]:
    """Return id, subnet, VPC, tenant and attachment's host of those of the ports that exist.

    Beside them, where those are that are somewhere.
    """
    found: dict[str, PortRow] = {}
    places: dict[str, Place] = {}
    for row in _CLAIMED.rows(connection, port_ids):
        found[row.id] = cast(PortRow, row)
        if row.host_id is not None:
            places[row.id] = Place(row.id, row.subnet_id, row.vpc_id, row.host_id, row.ofport)
    return found, places


def write_links(
    connection: Connection, host_id: str, old: Iterable[str], rows: Sequence[dict[str, Any]]
) -> None:
    """Replace links of a host: those to the ports *old*, which are there, by *rows*."""
    dropped = [{"host_id_": host_id, "port_id_": id} for id in old]
    if dropped:
        connection.execute(_DROP_LINK, dropped)
    if rows:
        connection.execute(_ADD_LINK, list(rows))


def write_counters(
    connection: Connection, counters: Sequence[tuple[str, str, dict[str, int]]]
) -> None:
    """Store (host id, port id, counters) of links that exist."""
    if counters:
        rows = [{"host_id_": h, "port_id_": p, "counters_": c} for h, p, c in counters]
        connection.execute(_COUNT_LINK, rows)


def locations_of(connection: Connection, port_ids: Iterable[str]) -> dict[str, LocationRow]:
    """Return the locations of these ports by port id."""
    rows = _LOCATIONS_OF.rows(connection, port_ids)
    return {row.port_id: cast(LocationRow, row) for row in rows}


def move(
    connection: Connection,
    before: Mapping[str, Place | LocationRow],
    after: Mapping[str, Place | None],
    revision: int,
) -> set[tuple[str, str]]:
    """Replace the locations *before* by *after* (None: the port is nowhere), and count them.

    Returns:
        VPC and host of each host that a VPC is on now and was not, or the other way round.
    """
    gone = [{"port_id_": id} for id in after if id in before]
    if gone:
        connection.execute(_DROP_LOCATION, gone)
    places = [place for place in after.values() if place is not None]
    if places:
        rows = [{**asdict(place), "revision": revision} for place in places]
        connection.execute(_ADD_LOCATION, rows)
    counts: dict[tuple[str, str], int] = {}
    for id in after:
        if id in before:
            key = before[id].vpc_id, before[id].host_id
            counts[key] = counts.get(key, 0) - 1
    for place in places:
        key = place.vpc_id, place.host_id
        counts[key] = counts.get(key, 0) + 1
    return {key for key, more in sorted(counts.items()) if more and _count(connection, key, more)}


def _count(connection: Connection, key: tuple[str, str], more: int) -> bool:
    """Count *more* ports of a VPC on a host; tell whether the first came or the last went."""
    vpc_id, host_id = key
    this = {"vpc_id_": vpc_id, "host_id_": host_id}
    left = connection.execute(_COUNT_PRESENCE, {**this, "more_": more}).scalar_one_or_none()
    if left is None:
        values = {"vpc_id": vpc_id, "host_id": host_id, "ports": more}
        connection.execute(_ADD_PRESENCE, values)
    elif left == 0:
        connection.execute(_DROP_PRESENCE, this)
    return not left


def hosts_of_vpc(connection: Connection, vpc_id: str) -> frozenset[str]:
    """Return the hosts that have a located port of the VPC."""
    return frozenset(connection.execute(_HOSTS_OF_VPC, {"vpc_id_": vpc_id}).scalars())


def located_counts(connection: Connection, host_ids: Sequence[str]) -> dict[str, int]:
    """Return how many ports are located on each of these hosts."""
    found: dict[str, int] = {}
    for part in chunks(host_ids):
        statement = (
            select(PresenceRow.host_id, func.sum(PresenceRow.ports))
            .where(PresenceRow.host_id.in_(part))
            .group_by(PresenceRow.host_id)
        )
        for host_id, ports in connection.execute(statement):
            found[host_id] = int(ports)
    return found


def ids_located(connection: Connection, host_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* ports located on the host."""
    statement = select(LocationRow.port_id).where(LocationRow.host_id == host_id)
    return connection.execute(statement.order_by(LocationRow.port_id).limit(limit)).scalars().all()


def unknown_links(
    connection: Connection, host_ids: Sequence[str], limit: int
) -> dict[str, list[tuple[str, str]]]:
    """Return (interface, port id) of links that name ports which do not exist, by host."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in chunks(host_ids):
        statement = (
            select(LinkRow.host_id, LinkRow.interface, LinkRow.port_id)
            .outerjoin(PortRow, PortRow.id == LinkRow.port_id)
            .where(LinkRow.host_id.in_(part), PortRow.id.is_(None))
            .order_by(LinkRow.host_id, LinkRow.port_id)
        )
        for host_id, interface, port_id in connection.execute(statement):
            links = found.setdefault(host_id, [])
            if len(links) < limit:
                links.append((interface, port_id))
    return found
