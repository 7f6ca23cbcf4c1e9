"""How far the network is realised: the southbound writes it, the API reads it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, union, update

from vpcctl.store.database import Database
from vpcctl.store.gateway_hosts import serving_of
from vpcctl.store.rows import Among, chunks
from vpcctl.store.tables import (
    AddressGroupRow,
    EipRow,
    GroupRuleRow,
    HostRow,
    InternetGatewayRow,
    NatGatewayRow,
    NetworkAclRow,
    PortRow,
    PresenceRow,
    ProgressRow,
    RealisationRow,
    RouteTableRow,
    SecurityGroupRow,
    SubnetRow,
    VpcRow,
)
from vpcctl.store.units import Action, Unit, Units, utc_now
from vpcctl.store.wake import Waker

HostState = Literal["in_sync", "pending", "degraded", "disconnected"]


@dataclass(frozen=True, slots=True)
class HostRealised:
    """How far one host has come.

    Attributes:
        host_id: the host.
        revision: newest revision it has acknowledged as a whole.
        state: ``in_sync``: everything processed is on the host, whatever ``revision`` says.
        error: why it is degraded or disconnected.
        flows: number of flows it has.
    """

    host_id: str
    revision: int
    state: HostState
    error: str | None
    flows: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the hosts that a VPC is present on, or its gateways, have come, all in one.

    Attributes:
        processed: revision up to which the southbound has taken the feed.
        hosts: how many hosts are concerned.
        lowest: the lowest revision that all of them have acknowledged.
        degraded: how many are degraded.
        disconnected: how many are not connected.
        fault: a degraded host and what it says, ``<id>: <error>``.
        away: a host that is not connected.
    """

    processed: int
    hosts: int
    lowest: int
    degraded: int = 0
    disconnected: int = 0
    fault: str | None = None
    away: str | None = None


_STATE = func.coalesce(RealisationRow.state, "disconnected")
_REACHED = case(
    (RealisationRow.state == "in_sync", ProgressRow.processed),
    else_=func.coalesce(RealisationRow.revision, 0),
)


# Whose standing is asked for, and the hosts concerned, each once.
def _hosts_of_vpcs(among: Callable[[Any], Any]) -> Any:
    present = select(PresenceRow.vpc_id.label("id"), PresenceRow.host_id)
    return union(present.where(among(PresenceRow.vpc_id)), *serving_of(among))


def _hosts_of_address_groups(among: Callable[[Any], Any]) -> Any:
    return (
        select(GroupRuleRow.remote_address_group_id.label("id"), PresenceRow.host_id)
        .join(SecurityGroupRow, SecurityGroupRow.id == GroupRuleRow.group_id)
        .join(PresenceRow, PresenceRow.vpc_id == SecurityGroupRow.vpc_id)
        .where(among(GroupRuleRow.remote_address_group_id))
        .distinct()
    )


def _standing(concerned: Any) -> Any:
    """Return the statement that sums up how far the hosts in *concerned* have come."""
    pairs = concerned.subquery()
    fault = pairs.c.host_id + ": " + func.coalesce(RealisationRow.error, "degraded")
    return (
        select(
            pairs.c.id,
            func.count(),
            func.min(_REACHED),
            func.sum(case((_STATE == "degraded", 1), else_=0)),
            func.sum(case((_STATE == "disconnected", 1), else_=0)),
            func.min(case((_STATE == "degraded", fault))),
            func.min(case((_STATE == "disconnected", pairs.c.host_id))),
            func.max(ProgressRow.processed),
        )
        .select_from(pairs)
        .join(ProgressRow, ProgressRow.id == 1)
        .outerjoin(RealisationRow, RealisationRow.host_id == pairs.c.host_id)
        .group_by(pairs.c.id)
    )


_STANDING_OF_VPCS = Among.built(lambda among: _standing(_hosts_of_vpcs(among)))
_STANDING_OF_ADDRESS_GROUPS = Among.built(lambda among: _standing(_hosts_of_address_groups(among)))
_PROCESSED = select(ProgressRow.processed)
_HOSTS = select(RealisationRow.__table__)
_KNOWN = Among(select(HostRow.id), HostRow.id)
_ADD = insert(RealisationRow)
_ADVANCE = update(ProgressRow).values(processed=bindparam("processed_"))
_DROP = delete(RealisationRow).where(RealisationRow.host_id == bindparam("host_id_"))


def processed(connection: Connection) -> int:
    """Return the revision up to which the southbound has taken the feed."""
    return connection.execute(_PROCESSED).scalar_one()


def standings(connection: Connection, vpc_ids: Iterable[str]) -> dict[str, Standing]:
    """Return how far each of these VPCs has come: one statement, however many ports there are."""
    return _standings(connection, _STANDING_OF_VPCS, vpc_ids)


def address_group_standings(connection: Connection, ids: Iterable[str]) -> dict[str, Standing]:
    """Return how far all VPCs have come that have a rule that names each address group."""
    return _standings(connection, _STANDING_OF_ADDRESS_GROUPS, ids)


def standing_of_hosts(connection: Connection, host_ids: Iterable[str]) -> Standing:
    """Return how far these hosts have come, all in one; one never connected is not connected."""
    wanted = sorted(set(host_ids))
    return standing_among(wanted, of_hosts(connection, wanted), processed(connection))


def standing_among(
    host_ids: Iterable[str], found: Mapping[str, HostRealised], done: int
) -> Standing:
    """Return how far some hosts have come, all in one, from what is known of each."""
    wanted = sorted(set(host_ids))
    known = [found.get(id, HostRealised(id, 0, "disconnected", None, 0)) for id in wanted]
    ill = [one for one in known if one.state == "degraded"]
    away = [one.host_id for one in known if one.state == "disconnected"]
    return Standing(
        done,
        len(wanted),
        min((reached(one, done) for one in known), default=done),
        len(ill),
        len(away),
        f"{ill[0].host_id}: {ill[0].error or 'degraded'}" if ill else None,
        away[0] if away else None,
    )


def reached(realised: HostRealised | None, done: int) -> int:
    """Return the revision that a host has realised; *done*: what the southbound has taken."""
    if realised is None:
        return 0
    return done if realised.state == "in_sync" else realised.revision


def _standings(connection: Connection, statement: Among, ids: Iterable[str]) -> dict[str, Standing]:
    wanted = sorted(set(ids))
    found: dict[str, Standing] = {}
    rows = statement.rows(connection, wanted)
    for id, hosts, lowest, degraded, disconnected, fault, away, done in rows:
        counts = int(degraded), int(disconnected)
        found[id] = Standing(done, hosts, lowest, *counts, fault, away)
    if len(found) < len(wanted):  # those that concern no host
        done = processed(connection)
        found |= {id: Standing(done, 0, done) for id in wanted if id not in found}
    return found


def of_hosts(connection: Connection, host_ids: Iterable[str]) -> dict[str, HostRealised]:
    """Return how far these hosts have come; hosts never connected are missing."""
    found: dict[str, HostRealised] = {}
    for part in chunks(host_ids):
        for row in connection.execute(_HOSTS.where(RealisationRow.host_id.in_(part))):
            found[row.host_id] = HostRealised(
                row.host_id, row.revision, row.state, row.error, row.flows
            )
    return found


class RealisationStore:
    """Where the southbound records how far it has come."""

    def __init__(
        self,
        database: Database,
        waker: Waker | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._units = Units(database, waker, clock)

    def record(self, processed_revision: int, hosts: Sequence[HostRealised]) -> None:
        """Record one round: how far the feed is taken, and the hosts whose standing changed.

        Hosts that no longer exist are passed over.

        Raises:
            Unavailable: the database does not answer.
        """
        self._units.write_aside(
            lambda connection: _record(connection, processed_revision, hosts),
            "realised",
            durable=False,
        )

    def event(self, kind: str, resource_id: str, detail: str, action: Action = "warning") -> None:
        """Put something worth telling into the event stream."""

        def work(unit: Unit) -> None:
            tenant_id = _tenant(unit.connection, kind, resource_id)
            unit.tell(kind, resource_id, tenant_id, action, detail)

        self._units.write(work, durable=False)


def _record(connection: Connection, revision: int, hosts: Sequence[HostRealised]) -> None:
    connection.execute(_ADVANCE, {"processed_": revision})
    known = {row.id for row in _KNOWN.rows(connection, (host.host_id for host in hosts))}
    rows = {
        host.host_id: {
            "host_id": host.host_id,
            "revision": host.revision,
            "state": host.state,
            "error": host.error[:1024] if host.error else None,
            "flows": host.flows,
        }
        for host in hosts
        if host.host_id in known
    }
    if rows:
        connection.execute(_DROP, [{"host_id_": id} for id in rows])
        connection.execute(_ADD, list(rows.values()))


def _tenant(connection: Connection, kind: str, id: str) -> str:
    tables = {
        "vpc": VpcRow,
        "ag": AddressGroupRow,
        "sg": SecurityGroupRow,
        "nacl": NetworkAclRow,
        "subnet": SubnetRow,
        "port": PortRow,
        "location": PortRow,
        "igw": InternetGatewayRow,
        "nat": NatGatewayRow,
        "eip": EipRow,
        "rtb": RouteTableRow,
    }
    table = cast(Any, tables.get(kind))
    if table is None:
        return ""
    found = connection.execute(select(table.tenant_id).where(table.id == id))
    return found.scalar_one_or_none() or ""
