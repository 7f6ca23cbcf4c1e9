"""Which hosts could stand for gateways, and which do, in the database."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, case, func, or_, select, union, union_all

from vpcctl.store.hosts import DEAD, DOWN, accepted
from vpcctl.store.rows import Among, chunks
from vpcctl.store.tables import (
    GatewayHostRow,
    HostRow,
    InternetGatewayRow,
    LivenessRow,
    NatGatewayRow,
    RealisationRow,
)

SILENT = ("late", DOWN, DEAD)
"""Liveness of hosts whose reports are late."""


class HostFact(NamedTuple):
    """What is known of a host that matters for gateways.

    Attributes:
        id: of the host.
        zone: its availability zone.
        gateway: whether gateways may be placed on it.
        drained: whether it is to stand for nothing.
        announced: its liveness as told last.
        outside: ``[network id, ofport, bridge]`` of each external network that it reaches.
        watches: ``[host id, ofport, up]`` of each host that it watches.
        revision: at which what it reports for flows, or is meant for, changed last.
        lost: whether most of those that watch it did not see it when that was judged last.
        connected: whether its switch is.
    """

    id: str
    zone: str | None
    gateway: bool
    drained: bool
    announced: str
    outside: list[Any]
    watches: list[Any]
    revision: int = 0
    lost: bool = False
    connected: bool = False


class Placed(NamedTuple):
    """A gateway and where it is.

    Attributes:
        kind: ``igw`` or ``nat``.
        id: of the gateway.
        vpc_id: its VPC.
        tenant_id: its tenant.
        network_id: its external network.
    """

    kind: str
    id: str
    vpc_id: str
    tenant_id: str
    network_id: str


class Standing(NamedTuple):
    """A host that stands for a gateway, and since which revision it does so in its place."""

    host_id: str
    since: int


_FACTS = (
    select(
        HostRow.id,
        HostRow.availability_zone,
        HostRow.gateway,
        HostRow.drained,
        LivenessRow.announced,
        HostRow.outside,
        HostRow.watches,
        HostRow.revision,
        LivenessRow.lost,
        func.coalesce(RealisationRow.state, "disconnected") != "disconnected",
    )
    .join(LivenessRow, LivenessRow.host_id == HostRow.id)
    .outerjoin(RealisationRow, RealisationRow.host_id == HostRow.id)
    .order_by(HostRow.id)
)


def _gateways(kind: str, row: Any) -> Any:
    literal = bindparam(f"{kind}_", kind, literal_execute=True).label("kind")
    named = row.id.in_(bindparam("ids", expanding=True))
    return select(literal, row.id, row.vpc_id, row.tenant_id, row.external_network_id).where(named)


def _short(row: Any) -> Any:
    hosts = select(func.count()).where(GatewayHostRow.gateway_id == row.id).scalar_subquery()
    return select(row.id).where(hosts < bindparam("wanted_"))


_PLACED_OF = union_all(_gateways("igw", InternetGatewayRow), _gateways("nat", NatGatewayRow))
_SHORT = union_all(_short(InternetGatewayRow), _short(NatGatewayRow))
_IN_ZONE = (
    select(GatewayHostRow.gateway_id)
    .join(HostRow, HostRow.id == GatewayHostRow.host_id)
    .where(HostRow.availability_zone == bindparam("zone_", type_=String))
)
_CROWDED = (
    select(GatewayHostRow.gateway_id)
    .join(HostRow, HostRow.id == GatewayHostRow.host_id)
    .where(HostRow.availability_zone.is_not(None), GatewayHostRow.gateway_id.not_in(_IN_ZONE))
    .group_by(GatewayHostRow.gateway_id, HostRow.availability_zone)
    .having(func.count() > 1)
)
_ON = (
    select(GatewayHostRow.gateway_id)
    .where(GatewayHostRow.host_id.in_(bindparam("ids", expanding=True)))
    .distinct()
)
_DRAINED_ON = (
    select(GatewayHostRow.gateway_id)
    .join(HostRow, HostRow.id == GatewayHostRow.host_id)
    .where(HostRow.drained)
    .distinct()
)
_DRAINED_ON_SOME = _DRAINED_ON.where(
    GatewayHostRow.gateway_id.in_(bindparam("ids", expanding=True))
)
_LOADS = select(
    GatewayHostRow.host_id,
    func.count(),
    func.sum(case((GatewayHostRow.place == 0, 1), else_=0)),
).group_by(GatewayHostRow.host_id)
_STANDING = select(
    GatewayHostRow.gateway_id, GatewayHostRow.host_id, GatewayHostRow.since
).order_by(GatewayHostRow.gateway_id, GatewayHostRow.place)
_STANDING_OF = _STANDING.where(GatewayHostRow.gateway_id.in_(bindparam("ids", expanding=True)))


_IS_SILENT = or_(*(LivenessRow.announced == one for one in SILENT))
_GOES_ON = ~LivenessRow.lost
"""Of a silent host that is the first of a gateway: it is that because it is not dead."""


def _serving(row: Any, among: Callable[[Any], Any]) -> Any:
    silent = select(LivenessRow.host_id).where(_IS_SILENT)
    going_on = select(LivenessRow.host_id).where(_GOES_ON)
    is_first = (GatewayHostRow.place == 0) & GatewayHostRow.host_id.in_(going_on)
    return (
        select(row.vpc_id.label("id"), GatewayHostRow.host_id)
        .join(row, row.id == GatewayHostRow.gateway_id)
        .where(among(row.vpc_id), GatewayHostRow.host_id.not_in(silent) | is_first)
    )


def serving_of(among: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return statements for (VPC, host) of each host that stands for a gateway of some VPCs.

    One whose reports are late is passed over, what is to be on it need not be waited for; unless it
    is the active one, because it can be seen and has lost the controller alone.

    Args:
        among: gives the condition that a column is the id of one of the VPCs.
    """
    return _serving(InternetGatewayRow, among), _serving(NatGatewayRow, among)


_SERVING_VPC = Among.built(lambda among: union(*serving_of(among)))


def facts(connection: Connection) -> list[HostFact]:
    """Return what is known of every host, by id."""
    known = (HostFact(*row) for row in connection.execute(_FACTS))
    return [fact._replace(outside=accepted(fact.outside)) for fact in known]


def placed(connection: Connection, gateway_ids: Iterable[str]) -> list[Placed]:
    """Return these gateways."""
    return [
        Placed(*row)
        for part in chunks(gateway_ids)
        for row in connection.execute(_PLACED_OF, {"ids": part})
    ]


def ids_on(connection: Connection, host_ids: Iterable[str]) -> list[str]:
    """Return the ids of gateways that one of these hosts stands for, in any place."""
    found: set[str] = set()
    for part in chunks(host_ids):
        found.update(connection.execute(_ON, {"ids": part}).scalars())
    return sorted(found)


def drained_on(connection: Connection, gateway_ids: Iterable[str] | None = None) -> list[str]:
    """Return the ids of gateways, of these if any are given, with a host that is drained."""
    if gateway_ids is None:
        return sorted(connection.execute(_DRAINED_ON).scalars())
    found: set[str] = set()
    for part in chunks(gateway_ids):
        found.update(connection.execute(_DRAINED_ON_SOME, {"ids": part}).scalars())
    return sorted(found)


def short_ids(connection: Connection, wanted: int) -> list[str]:
    """Return the ids of gateways that have fewer hosts than *wanted*."""
    return sorted(connection.execute(_SHORT, {"wanted_": wanted}).scalars())


def crowded_ids(connection: Connection, zones: Iterable[str | None]) -> list[str]:
    """Return the ids of gateways with two hosts in one zone, and none in one of *zones*.

    None is a zone of its own, in which no other host is.
    """
    found: set[str] = set()
    for zone in set(zones):
        found.update(connection.execute(_CROWDED, {"zone_": zone}).scalars())
    return sorted(found)


class Loaded(NamedTuple):
    """How many gateways a host stands for, and of how many it is the first."""

    host_id: str
    listed: int
    active: int


def loads(connection: Connection) -> list[Loaded]:
    """Return the loads of hosts that have one."""
    return [Loaded(*row) for row in connection.execute(_LOADS)]


def carrying(connection: Connection) -> list[str]:
    """Return the ids of hosts that stand for some gateway, sorted."""
    return sorted(one.host_id for one in loads(connection))


def standing_of(connection: Connection, gateway_ids: Iterable[str]) -> dict[str, list[Standing]]:
    """Return the hosts of these gateways, in order, by gateway id."""
    found: dict[str, list[Standing]] = {}
    for part in chunks(gateway_ids):
        found.update(_lists(connection.execute(_STANDING_OF, {"ids": part})))
    return found


def _lists(rows: Iterable[Any]) -> dict[str, list[Standing]]:
    found: dict[str, list[Standing]] = {}
    for gateway_id, host_id, since in rows:
        found.setdefault(gateway_id, []).append(Standing(host_id, since))
    return found


def serving(connection: Connection, vpc_id: str) -> frozenset[str]:
    """Return the ids of hosts that stand for a VPC's gateways, as in :func:`serving_of`."""
    rows = _SERVING_VPC.rows(connection, [vpc_id])
    return frozenset(row.host_id for row in rows)
