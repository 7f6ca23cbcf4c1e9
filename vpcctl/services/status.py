"""Status across resources, and the pieces of waiting until a write is realised."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vpcctl.model.problems import NotFound
from vpcctl.services import eip_views, gateway_holding, gateway_hosts, rules
from vpcctl.services.address_groups import own_address_group
from vpcctl.services.context import Context
from vpcctl.services.eip_views import Carried
from vpcctl.services.eips import own_eip
from vpcctl.services.external_networks import own_network
from vpcctl.services.group_rules import own_group
from vpcctl.services.hosts import SeenReports, require_host
from vpcctl.services.internet_gateways import own_internet
from vpcctl.services.liveness import liveness
from vpcctl.services.nat_gateways import own_nat
from vpcctl.services.network_acls import own_acl
from vpcctl.services.route_tables import own_table
from vpcctl.services.subnets import find_subnet
from vpcctl.services.views import Actor
from vpcctl.services.vpcs import find_vpc
from vpcctl.store import hosts, locations, security_groups, usage
from vpcctl.store.eips import EIPS
from vpcctl.store.gateway_hosts import serving
from vpcctl.store.gateways import NAT_GATEWAYS
from vpcctl.store.hosts import HOSTS
from vpcctl.store.ports import PORTS
from vpcctl.store.realisation import HostRealised, of_hosts, processed, reached
from vpcctl.store.units import present_revision


@dataclass(frozen=True, slots=True)
class Concern:
    """Whose acknowledgement a write needs: take it before a delete, or after a create/change.

    Attributes:
        vpc_ids: all hosts with a located port of one of these VPCs, and those that stand for its
            gateways; none for a host.
        hosts: hosts concerned when this was taken.
        port_id: the port itself, when it is one: attached to a host, it must also be there.
        eip_id: the EIP itself: in use, a host must carry it.
        nat_id: the NAT gateway itself: a host must carry it.
        host_id: the host itself: drained, it must stand for no gateway any more.
    """

    vpc_ids: tuple[str, ...]
    hosts: frozenset[str]
    port_id: str | None = None
    eip_id: str | None = None
    nat_id: str | None = None
    host_id: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a revision has come.

    Attributes:
        realized: whether every host concerned has acknowledged it.
        processed_revision: revision up to which the southbound has taken the feed.
        behind: (host id, why) of those that have not.
        lacking: why no host carries what has to be carried; None: one does, or nothing has to be.
        holding: what the drained host still stands for; None: nothing, or none is drained.
    """

    realized: bool
    processed_revision: int
    behind: tuple[tuple[str, str], ...] = ()
    lacking: str | None = None
    holding: str | None = None


@dataclass(frozen=True, slots=True)
class HostSummary:
    """One line of ``vpcctl status``."""

    id: str
    name: str
    state: str
    connection: str
    error: str | None
    realized_revision: int
    ports: int
    flows: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole network in numbers. ``lag`` is ``revision - processed_revision``."""

    revision: int
    processed_revision: int
    lag: int
    vpcs: int
    subnets: int
    ports: int
    located_ports: int
    hosts: tuple[HostSummary, ...]


class StatusService:
    """How far the network is realised."""

    def __init__(self, context: Context, seen: SeenReports) -> None:
        self._context = context
        self._units = context.units
        self._seen = seen

    def concern(self, actor: Actor, kind: str, id: str) -> Concern:
        """Return whose acknowledgement a write to this resource needs.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> Concern:
            if kind == "host":
                require_host(actor, id)
                return Concern((), frozenset({id}), host_id=id)
            if kind == "ext":
                network = own_network(connection, actor, id)
                return Concern((), frozenset(hosts.reaching(connection, network.id)))
            if kind == "eip":
                row = own_eip(connection, actor, id)
                hosts_now = eip_views.carried(connection, row).hosts
                return Concern((), hosts_now, eip_id=row.id)
            vpc_ids = _vpcs_of(connection, actor, kind, id)
            port_id = id if kind == "port" else None
            nat_id = id if kind == "nat" else None
            return Concern(vpc_ids, _hosts_of(connection, vpc_ids), port_id, nat_id=nat_id)

        return self._units.read(work)

    def progress(self, concern: Concern, revision: int) -> Progress:
        """Return how far *revision* has come on the hosts concerned, then and now.

        Hosts deleted in the meantime need not acknowledge anything.
        """

        def work(connection: Any) -> Progress:
            done = processed(connection)
            arrived, absent = _arrival(connection, concern.port_id)
            needed = max(revision, arrived)
            ids = concern.hosts | _hosts_of(connection, concern.vpc_ids)
            behind = _behind(connection, ids, needed, done) + absent
            if behind:
                return Progress(False, done, behind)
            carried = _carried(connection, concern)
            needed = max(needed, carried.revision)
            behind = _behind(connection, carried.hosts, needed, done)
            holding = _holding(connection, concern.host_id)
            is_carried = carried.lacking is None and holding is None
            realized = done >= needed and not behind and is_carried
            return Progress(realized, done, behind, carried.lacking, holding)

        return self._units.read(work)

    def summary(self, actor: Actor) -> Summary:
        """Return the whole network in numbers.

        Raises:
            Forbidden: only an admin may see it.
        """
        rules.require_admin(actor, "see the whole network's status")
        return self._units.read(self._summary)

    def ready(self) -> None:
        """Return when the database answers.

        Raises:
            Unavailable: it does not.
        """
        self._units.read(present_revision)

    def _summary(self, connection: Any) -> Summary:
        revision, done = present_revision(connection), processed(connection)
        rows = sorted(HOSTS.all(connection), key=lambda row: row.key)
        ids = [row.id for row in rows]
        realised = of_hosts(connection, ids)
        counts = locations.located_counts(connection, ids)
        alive = hosts.liveness_of(connection, ids)
        lines = []
        for row in rows:
            one = realised.get(row.id)
            last = self._seen.last_seen(row.id) or alive[row.id].last_report_at
            interval = self._context.settings.report_interval_s
            lines.append(
                HostSummary(
                    row.id,
                    row.name,
                    liveness(last, self._units.clock(), interval),
                    one.state if one else "disconnected",
                    one.error if one else None,
                    reached(one, done),
                    counts.get(row.id, 0),
                    one.flows if one else 0,
                )
            )
        numbers = (*usage.totals(connection), usage.located_total(connection))
        return Summary(revision, done, revision - done, *numbers, tuple(lines))


def _vpcs_of(connection: Any, actor: Actor, kind: str, id: str) -> tuple[str, ...]:
    if kind == "vpc":
        return (rules.visible(actor, find_vpc(connection, id), "VPC", id).id,)
    if kind == "subnet":
        return (rules.visible(actor, find_subnet(connection, id), "subnet", id).vpc_id,)
    if kind == "port":
        return (rules.visible(actor, PORTS.find(connection, id), "port", id).vpc_id,)
    if kind == "sg":
        return (own_group(connection, actor, id).vpc_id,)
    if kind == "nacl":
        return (own_acl(connection, actor, id).vpc_id,)
    if kind == "rtb":
        return (own_table(connection, actor, id).vpc_id,)
    if kind == "igw":
        return (own_internet(connection, actor, id).vpc_id,)
    if kind == "nat":
        return (own_nat(connection, actor, id).vpc_id,)
    if kind == "ag":
        own_address_group(connection, actor, id)
        return tuple(security_groups.vpcs_naming(connection, id))
    raise NotFound(f"There is no kind of resource {rules.printable(kind)}.")


def _hosts_of(connection: Any, vpc_ids: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    for vpc_id in vpc_ids:
        found |= locations.hosts_of_vpc(connection, vpc_id)
        found |= serving(connection, vpc_id)
    return frozenset(found)


def _arrival(connection: Any, port_id: str | None) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return the revision at which a port got where it is, and the host that still lacks it."""
    row = PORTS.get(connection, port_id) if port_id else None
    if row is None or row.attach_host_id is None:
        return 0, ()
    place = locations.locations_of(connection, [row.id]).get(row.id)
    if place is None or place.host_id != row.attach_host_id:
        return 0, ((row.attach_host_id, f"has not reported an interface of {row.id} yet"),)
    return place.revision, ()


def _behind(
    connection: Any, ids: frozenset[str], needed: int, done: int
) -> tuple[tuple[str, str], ...]:
    """Return (host id, why) of those present hosts that have not reached revision *needed*."""
    if not ids:
        return ()
    present = HOSTS.get_many(connection, sorted(ids))
    realised = of_hosts(connection, sorted(present))
    return tuple(
        (id, _excuse(realised.get(id)))
        for id in sorted(present)
        if reached(realised.get(id), done) < needed
    )


def _carried(connection: Any, concern: Concern) -> Carried:
    """Return who has to carry the EIP or NAT gateway of a concern, while it is there."""
    row = EIPS.get(connection, concern.eip_id) if concern.eip_id else None
    if row is not None:
        return eip_views.carried(connection, row)
    gateway = NAT_GATEWAYS.get(connection, concern.nat_id) if concern.nat_id else None
    if gateway is None:
        return Carried()
    places = gateway_hosts.placements(connection, [gateway.id])
    lacking = gateway_hosts.lacking(connection, places, {gateway.id: gateway.external_network_id})
    return Carried(lacking=lacking.get(gateway.id))


def _holding(connection: Any, host_id: str | None) -> str | None:
    """Return what the host of a concern still stands for, if it is drained."""
    return None if host_id is None else gateway_holding.held_by_drained(connection, host_id)


def _excuse(realised: HostRealised | None) -> str:
    if realised is None:
        return "never connected"
    if realised.error:
        return f"{realised.state}: {realised.error}"
    return f"{realised.state} at revision {realised.revision}"
