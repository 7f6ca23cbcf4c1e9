"""Hosts, their liveness and the revision of their state, in the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    bindparam,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from vpcctl.store.rows import Among, Repository, chunks
from vpcctl.store.tables import (
    HostRow,
    LedgerRow,
    LivenessRow,
    LocationRow,
    PortRow,
    ProgressRow,
    RealisationRow,
    SubnetRow,
)

HOSTS = Repository(
    HostRow,
    "host",
    "key",
    {
        "name": lambda value: HostRow.name == value,
        "availability_zone": lambda value: HostRow.availability_zone == value,
        "vtep_address": lambda value: HostRow.vtep == str(ip_address(value)),
    },
)

DOWN = "down"
"""Announced of a host that has not reported for long."""
DEAD = "dead"
"""Announced of a host that is down and whose switch is not connected."""
IS_DEAD: ColumnElement[bool] = (LivenessRow.announced == DEAD) | LivenessRow.lost
"""Nobody hears of a host, or those that watch it do not see it: packets to it are lost."""

_VTEP_OWNER = select(HostRow.id, HostRow.name).where(
    HostRow.vtep == bindparam("vtep_"), HostRow.id != bindparam("but")
)
_REPORTED = (
    select(
        LivenessRow.boot,
        LivenessRow.sequence,
        HostRow.digest,
        HostRow.agent_id,
        HostRow.state_revision,
        case((RealisationRow.state == "in_sync", RealisationRow.revision)),
        LedgerRow.value,
        case(
            (RealisationRow.state == "in_sync", ProgressRow.processed),
            else_=RealisationRow.revision,
        ),
    )
    .join(HostRow, HostRow.id == LivenessRow.host_id)
    .join(ProgressRow, ProgressRow.id == 1)
    .join(LedgerRow, LedgerRow.id == 1)
    .outerjoin(RealisationRow, RealisationRow.host_id == LivenessRow.host_id)
)
_REPORTED_OF = _REPORTED.where(LivenessRow.host_id == bindparam("host_id_"))
_STATE_REVISION = select(HostRow.state_revision).where(HostRow.id == bindparam("host_id_"))
_LIVENESS_OF = select(LivenessRow.__table__).where(
    LivenessRow.host_id.in_(bindparam("ids", expanding=True))
)
_DEAD_AMONG = Among(select(LivenessRow.host_id).where(IS_DEAD), LivenessRow.host_id)
_SET_LOST = Among(update(LivenessRow).values(lost=bindparam("lost_")), LivenessRow.host_id)
_NOTE = (
    update(LivenessRow)
    .where(
        LivenessRow.host_id == bindparam("host_id_"),
        (LivenessRow.boot < bindparam("boot_"))
        | ((LivenessRow.boot == bindparam("boot_")) & (LivenessRow.sequence < bindparam("seq_"))),
    )
    .values(boot=bindparam("boot_"), sequence=bindparam("seq_"), last_report_at=bindparam("at_"))
)
_SET_DIGEST = (
    update(HostRow).where(HostRow.id == bindparam("host_id_")).values(digest=bindparam("digest_"))
)
_REACH_REVISIONS = Among(select(HostRow.id, HostRow.reach_revisions), HostRow.id)
_MOVE_STATE = Among(update(HostRow).values(state_revision=bindparam("revision_")), HostRow.id)
DEFAULT_MTU = 1450
"""Of ports, before any host has reported."""
_MTU = select(func.min(HostRow.inner_mtu))
_UNDERLAYS = select(HostRow.id, HostRow.vtep, HostRow.inner_mtu).order_by(HostRow.id)
_PEERS = _UNDERLAYS.where(HostRow.vtep.is_not(None))


@dataclass(frozen=True, slots=True)
class Reported:
    """What is stored of a host's newest report.

    Attributes:
        position: boot and sequence number.
        digest: of facts and links.
        agent_id: of the agent that sent it.
        state_revision: of the host's state.
        realised: revision at which the host's flows changed last; None while it is not in sync.
        revision: the present one.
        reached: the host has confirmed everything up to this one; None: nothing ever.
    """

    position: tuple[int, int]
    digest: str | None
    agent_id: str | None
    state_revision: int
    realised: int | None
    revision: int
    reached: int | None


def add_liveness(connection: Connection, host_id: str) -> None:
    """Begin to keep the liveness of a new host."""
    values = {"host_id": host_id, "boot": 0, "sequence": 0, "announced": "never", "lost": False}
    connection.execute(insert(LivenessRow), values)


def reported(connection: Connection, host_id: str) -> Reported | None:
    """Return what is stored of the host's newest report; None when there is no such host."""
    row = connection.execute(_REPORTED_OF, {"host_id_": host_id}).one_or_none()
    return None if row is None else Reported((row[0], row[1]), *row[2:])


def set_digest(connection: Connection, host_id: str, digest: str) -> None:
    """Store the digest of what the host has now."""
    connection.execute(_SET_DIGEST, {"host_id_": host_id, "digest_": digest})


def note_reports(
    connection: Connection, reports: Sequence[tuple[str, tuple[int, int], datetime]]
) -> None:
    """Store (host id, (boot, sequence), time) where newer than what is stored."""
    rows = [
        {"host_id_": host_id, "boot_": boot, "seq_": sequence, "at_": at}
        for host_id, (boot, sequence), at in reports
    ]
    if rows:
        connection.execute(_NOTE, rows)


def liveness_of(connection: Connection, host_ids: Sequence[str]) -> dict[str, LivenessRow]:
    """Return the liveness rows of these hosts."""
    found: dict[str, LivenessRow] = {}
    for part in chunks(host_ids):
        for row in connection.execute(_LIVENESS_OF, {"ids": part}):
            found[row.host_id] = cast(LivenessRow, row)
    return found


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Who is to be announced as what, by the time of its last report.

    Attributes:
        up_from: reported since: up.
        late_before: reported last before: late.
        down_before: reported last before: down.
    """

    up_from: datetime
    late_before: datetime
    down_before: datetime


class Stale(NamedTuple):
    """A host whose liveness is not what was announced last."""

    host_id: str
    name: str
    now: str
    announced: str


def stale_announcements(connection: Connection, when: Thresholds) -> list[Stale]:
    """Return the hosts whose liveness is not what was announced last.

    One that is down is dead once its switch is not connected either; neither alone says that it
    does not forward.
    """
    at, told = LivenessRow.last_report_at, LivenessRow.announced
    is_away = func.coalesce(RealisationRow.state, "disconnected") == "disconnected"
    now = case(
        ((at < when.down_before) & told.not_in((DOWN, DEAD)), DOWN),
        ((at < when.down_before) & (told == DOWN) & is_away, DEAD),
        ((at < when.down_before) & (told == DEAD) & ~is_away, DOWN),
        ((at >= when.down_before) & (at < when.late_before) & told.in_(("up", "never")), "late"),
        ((at >= when.up_from) & (told != "up"), "up"),
    )
    statement = (
        select(LivenessRow.host_id, HostRow.name, now, told)
        .join(HostRow, HostRow.id == LivenessRow.host_id)
        .outerjoin(RealisationRow, RealisationRow.host_id == LivenessRow.host_id)
        .where(now.is_not(None))
        .order_by(LivenessRow.host_id)
    )
    return [Stale(*row) for row in connection.execute(statement)]


def announce(connection: Connection, host_id: str, liveness: str) -> None:
    """Remember which liveness was announced last."""
    statement = update(LivenessRow).where(LivenessRow.host_id == host_id)
    connection.execute(statement.values(announced=liveness))


def set_lost(connection: Connection, host_ids: Iterable[str], *, lost: bool) -> None:
    """Remember whether hosts are lost to those that watch them."""
    _SET_LOST.run(connection, sorted(set(host_ids)), lost_=lost)


def dead_among(connection: Connection, host_ids: Iterable[str]) -> set[str]:
    """Return those of some hosts that are dead: routes lead to them only where nobody else is."""
    return {row.host_id for row in _DEAD_AMONG.rows(connection, sorted(set(host_ids)))}


def vtep_owner(connection: Connection, vtep: str, but: str) -> Any | None:
    """Return id and name of another host that has *vtep*, or None."""
    return connection.execute(_VTEP_OWNER, {"vtep_": vtep, "but": but}).one_or_none()


def state_revisions(connection: Connection) -> dict[str, int]:
    """Return the revision of every host's state."""
    rows = connection.execute(select(HostRow.id, HostRow.state_revision)).all()
    return {row[0]: row[1] for row in rows}


def state_revision(connection: Connection, host_id: str) -> int | None:
    """Return the revision of the host's state, None when there is no such host."""
    return connection.execute(_STATE_REVISION, {"host_id_": host_id}).scalar_one_or_none()


def move_state(connection: Connection, host_ids: Sequence[str], revision: int) -> None:
    """Note that something in the state of these hosts changed."""
    _MOVE_STATE.run(connection, sorted(set(host_ids)), revision_=revision)


def move_states_but(connection: Connection, host_id: str, revision: int) -> None:
    """Note that something changed in the state of every host but *host_id*."""
    statement = update(HostRow).where(HostRow.id != host_id)
    connection.execute(statement.values(state_revision=revision))


def move_states_with(
    connection: Connection, revision: int, which: ColumnElement[bool] | None = None
) -> None:
    """Note a change for every host that ports are attached to or located on.

    It costs what subnets and hosts there are in question, however many ports they have.

    Args:
        connection: of the transaction.
        revision: of the change.
        which: condition on the rows of the ports' subnets; None: any port.
    """
    statement = update(HostRow).values(state_revision=revision)
    attached, located = PortRow.attach_host_id, LocationRow.host_id
    if which is None:
        concerned = HostRow.id.in_(select(attached).where(attached.is_not(None)))
        concerned |= HostRow.id.in_(select(located))
    else:
        concerned = HostRow.id.in_(_hosts_of(which, PortRow.subnet_id, attached))
        concerned |= HostRow.id.in_(_hosts_of(which, LocationRow.subnet_id, located))
    connection.execute(statement.where(concerned))


def _hosts_of(which: ColumnElement[bool], subnet_id: Any, host_id: Any) -> Select[tuple[str]]:
    """Return the query for the different *host_id* in the rows of subnets, each looked up once.

    Databases know no other way to skip from one value of an index to the next.
    """
    none = literal("", String)
    found = select(SubnetRow.id.label("subnet"), none.label("host")).where(which)
    at = found.cte(recursive=True)
    following = select(func.min(host_id)).where(subnet_id == at.c.subnet, host_id > at.c.host)
    more = select(at.c.subnet, following.scalar_subquery()).where(at.c.host.is_not(None))
    at = at.union_all(more)
    return select(at.c.host).where(at.c.host != "")


def of_subnet(subnet_id: str) -> ColumnElement[bool]:
    """Return the condition for a subnet, for :func:`move_states_with`."""
    return SubnetRow.id == subnet_id


def of_vpc(vpc_id: str) -> ColumnElement[bool]:
    """Return the condition for a VPC's subnets, for :func:`move_states_with`."""
    return SubnetRow.vpc_id == vpc_id


def port_mtu(connection: Connection) -> int:
    """Return the MTU of every port: what the narrowest underlay leaves, bytes."""
    found: int | None = connection.execute(_MTU).scalar_one()
    return found or DEFAULT_MTU


def meters(connection: Connection, host_ids: Iterable[str]) -> dict[str, int]:
    """Return how many OpenFlow meters these hosts have."""
    statement = select(HostRow.id, HostRow.meters)
    found: dict[str, int] = {}
    for part in chunks(host_ids):
        found.update(
            (row[0], row[1]) for row in connection.execute(statement.where(HostRow.id.in_(part)))
        )
    return found


def accepted(outside: Sequence[Any]) -> list[list[Any]]:
    """Return those claims to reach an external network that nothing speaks against."""
    return [one for one in outside if len(one) < 4]


def reach(connection: Connection) -> dict[str, frozenset[str]]:
    """Return which external networks every host reaches, those that reach any, by host id."""
    rows = connection.execute(select(HostRow.id, HostRow.outside)).all()
    found = {row.id: frozenset(one[0] for one in accepted(row.outside)) for row in rows}
    return {id: networks for id, networks in found.items() if networks}


def naming(connection: Connection, provider: str) -> list[str]:
    """Return the ids of hosts whose agents' settings name a provider network, sorted."""
    rows = connection.execute(select(HostRow.id, HostRow.providers)).all()
    return sorted(row.id for row in rows if provider in row.providers)


def reach_revisions(
    connection: Connection, host_ids: Iterable[str]
) -> dict[str, Mapping[str, int]]:
    """Return when it changed last how, or whether, these hosts reach external networks.

    Revisions by network id, by host id.
    """
    found = _REACH_REVISIONS.rows(connection, sorted(set(host_ids)))
    return {row.id: row.reach_revisions for row in found}


def reaching(connection: Connection, network_id: str) -> list[str]:
    """Return the hosts that reach an external network, sorted."""
    return sorted(id for id, networks in reach(connection).items() if network_id in networks)


class Underlay(NamedTuple):
    """How a host is reached.

    Attributes:
        host_id: the host.
        vtep: address of its VXLAN endpoint; None before its first report.
        inner_mtu: what its underlay leaves to guests, bytes; None before its first report.
    """

    host_id: str
    vtep: str | None
    inner_mtu: int | None


def underlays(connection: Connection) -> list[Underlay]:
    """Return how every host is reached, by id."""
    return [Underlay(*row) for row in connection.execute(_UNDERLAYS)]


def vteps(connection: Connection) -> list[tuple[str, str]]:
    """Return (id, VTEP) of every host that has one, by id."""
    return [(row.id, row.vtep) for row in connection.execute(_PEERS)]
