"""Hosts: the operator's machines, and what each one has to do."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from vpcctl.model.ids import is_id, new_id
from vpcctl.model.problems import Blocker, Conflict, Forbidden, Invalid, NotFound
from vpcctl.services import (
    gateway_candidates,
    gateway_holding,
    gateway_hosts,
    host_state,
    outside_claims,
    port_mtu,
    rules,
)
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.context import (
    MAX_BLOCKERS,
    Context,
    born,
    changed,
    listed,
    meta,
    query,
    refuse_blocked,
)
from vpcctl.services.liveness import liveness
from vpcctl.services.standing import judge_host
from vpcctl.services.views import (
    UNSET,
    Actor,
    HostChange,
    HostCreate,
    HostView,
    Listing,
    Page,
)
from vpcctl.store import hosts, keys, locations, models, ports
from vpcctl.store.hosts import HOSTS
from vpcctl.store.realisation import HostRealised, of_hosts, processed, reached
from vpcctl.store.tables import HostRow
from vpcctl.store.units import Unit
from vpcctl.wire.state import HostState

MAX_UNKNOWN = 20


class SeenReports(Protocol):
    """Who knows of reports that are not in the database yet."""

    def last_seen(self, host_id: str) -> Any:
        """Return when the host reported last, None when only the database knows."""
        ...


class HostService:
    """Use cases of hosts. Only admins make and change them; a host may read itself."""

    def __init__(self, context: Context, seen: SeenReports) -> None:
        self._context = context
        self._units = context.units
        self._seen = seen

    def create(self, actor: Actor, values: HostCreate) -> HostView:
        """Make a host.

        Raises:
            Problem: Forbidden, Invalid, Conflict (VTEP taken), Exhausted.
        """
        rules.require_admin(actor, "make hosts")
        vtep = None if values.vtep_address is None else parse_vtep(values.vtep_address)
        columns = {
            **rules.described(values),
            "availability_zone": rules.zone(values.availability_zone),
            "pinned_vtep": vtep,
            "vtep": vtep,
            "gateway": values.gateway,
        }

        def work(unit: Unit) -> HostView:
            id = new_id("host")
            require_free_vtep(unit, vtep, id, "vtep_address")
            key = keys.fit(unit, "host_key")
            row = {
                "id": id,
                "key": key,
                "nd_extensions": True,
                "guest_services": False,
                "errors": [],
                **columns,
            }
            HOSTS.insert(unit.connection, {**row, **born(unit), "state_revision": unit.revision})
            hosts.add_liveness(unit.connection, id)
            if vtep is not None:
                tell_peers(unit, id)
            unit.tell("host", id, "", "created")
            return self._view(unit.connection, id)

        return self._units.write(work, {"host_key": 1})

    def get(self, actor: Actor, id: str) -> HostView:
        """Return a host.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> HostView:
            return self._views(connection, [_own(connection, actor, id)])[0]

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[HostView]:
        """Return a page of hosts, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        rules.require_admin(actor, "list hosts")
        asked = query(listing, HOSTS, None)
        return listed(self._units, HOSTS, asked, self._views)

    def change(
        self, actor: Actor, id: str, values: HostChange, if_match: int | None = None
    ) -> HostView:
        """Change a host. ``vtep_address`` pins its VTEP, None unpins it.

        Gateways move as its label, zone and draining demand; while it is the active one of some, it
        keeps its label.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict, Stale.
        """
        rules.require_admin(actor, "change hosts")
        columns = rules.redescribed(values)
        if values.availability_zone is not UNSET:
            columns["availability_zone"] = rules.zone(values.availability_zone)
        for field in ("gateway", "drained"):
            if getattr(values, field) is not UNSET:
                columns[field] = getattr(values, field)

        def work(unit: Unit) -> HostView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            vtep = _change_vtep(unit, row, values)
            state = {"state_revision": unit.revision}
            HOSTS.update(unit.connection, id, {**columns, **vtep, **state, **changed(unit)})
            if columns.keys() & {"gateway", "drained", "availability_zone"}:
                if row.gateway and not columns.get("gateway", True):
                    gateway_holding.refuse_to_unlabel(unit, row)
                redrained = [id] if columns.get("drained", row.drained) != row.drained else []
                gateway_hosts.rearrange(unit, [id], redrained)
            unit.wake("hoststate")
            unit.tell("host", id, "", "changed")
            return self._view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a host that has no ports; its tokens go with it. Return the revision made.

        One that reports or is connected must stand for no gateways. Those of another one are handed
        on to others.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what is in the way, Stale.
        """
        rules.require_admin(actor, "delete hosts")

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The host still has ports", _blockers(unit, id))
            gateway_holding.refuse_to_delete(unit, row, reports=self._reports(unit, id))
            judged = gateway_candidates.judged_otherwise(unit.connection, [id])
            HOSTS.update(unit.connection, id, {"gateway": False, "outside": [], "watches": []})
            gateway_hosts.rearrange(unit, judged)
            size = hosts.port_mtu(unit.connection)
            HOSTS.delete(unit.connection, id)
            port_mtu.follow(unit, size)
            believed = outside_claims.reconsider(unit, id)
            gateway_hosts.rearrange(unit, believed)
            touch_hosts(unit, *believed)
            if row.vtep is not None:
                tell_peers(unit, id)
            unit.tell("host", id, "", "deleted")
            unit.wake("hoststate")
            return unit.revision

        return self._units.write(work)

    def state(self, actor: Actor, host_id: str) -> HostState:
        """Return what the host has to do.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> HostState:
            row = _own(connection, actor, host_id)
            return host_state.compose(connection, row, self._context.settings)

        return self._units.read(work)

    def state_revision(self, actor: Actor, host_id: str) -> int:
        """Return the revision of the host's state: one small statement, for long polls.

        Raises:
            Problem: NotFound, Forbidden.
        """
        require_host(actor, host_id)
        found = self._units.read(lambda connection: hosts.state_revision(connection, host_id))
        if found is None:
            raise NotFound(f"There is no host {rules.printable(host_id)}.")
        return found

    def state_revisions(self, actor: Actor) -> dict[str, int]:
        """Return the revisions of all hosts' states: one statement for any number of long polls.

        Raises:
            Problem: Forbidden.
        """
        rules.require_admin(actor, "read the states of all hosts")
        return self._units.read(hosts.state_revisions)

    def _reports(self, unit: Unit, id: str) -> bool:
        """Tell whether a host reports."""
        last = self._seen.last_seen(id)
        if last is None:
            last = hosts.liveness_of(unit.connection, [id])[id].last_report_at
        return liveness(last, unit.now, self._context.settings.report_interval_s) == "up"

    def _view(self, connection: Any, id: str) -> HostView:
        return self._views(connection, [HOSTS.get_many(connection, [id])[id]])[0]

    def _views(self, connection: Any, rows: Sequence[HostRow]) -> Sequence[HostView]:
        ids = [row.id for row in rows]
        alive = hosts.liveness_of(connection, ids)
        realised = of_hosts(connection, ids)
        counts = locations.located_counts(connection, ids)
        unknown = locations.unknown_links(connection, ids, MAX_UNKNOWN)
        done = processed(connection)
        return [
            self._compose(
                row,
                last=self._seen.last_seen(row.id) or alive[row.id].last_report_at,
                realised=realised.get(row.id),
                located=counts.get(row.id, 0),
                errors=(
                    *row.errors,
                    *outside_claims.objections(row),
                    *map(_unknown, unknown.get(row.id, ())),
                ),
                done=done,
            )
            for row in rows
        ]

    def _compose(
        self,
        row: HostRow,
        *,
        last: Any,
        realised: HostRealised | None,
        located: int,
        errors: tuple[str, ...],
        done: int,
    ) -> HostView:
        now, interval = self._units.clock(), self._context.settings.report_interval_s
        alive = liveness(last, now, interval)
        revision = reached(realised, done)
        status = judge_host(
            liveness=alive,
            realised=realised,
            reached=revision,
            needed=row.revision,
            errors=errors,
        )
        return HostView(
            meta=meta(row, ""),
            key=row.key,
            dpid=models.dpid(row.key),
            vtep_address=ip_address(row.vtep) if row.vtep else None,
            availability_zone=row.availability_zone,
            agent_version=row.agent_version,
            ovs_version=row.ovs_version,
            datapath_type=row.datapath_type,
            errors=errors,
            last_report_at=last,
            state=alive,
            ports=located,
            realized_revision=revision,
            connection=realised.state if realised else "disconnected",
            connection_error=realised.error if realised else None,
            status=status,
            gateway=row.gateway,
            drained=row.drained,
            providers=tuple(row.providers),
            external_network_ids=tuple(sorted(one[0] for one in hosts.accepted(row.outside))),
            watches=tuple((host_id, is_up) for host_id, _, is_up in row.watches),
            meters=row.meters,
        )


def _unknown(link: tuple[str, str]) -> str:
    interface, port_id = link
    return f"interface {interface} names {port_id}, which does not exist: ignored"


def require_host(actor: Actor, host_id: str) -> None:
    """Let through admins and the host itself.

    Raises:
        Problem: Forbidden for another host's token or a tenant's, NotFound for a malformed id.
    """
    if actor.role == "tenant" or (actor.role == "host" and actor.host_id != host_id):
        raise Forbidden("Only an admin's token or the host's own may do this.", field="host_id")
    if not is_id("host", host_id):
        raise NotFound(f"There is no host {rules.printable(host_id)}.")


def _own(connection: Any, actor: Actor, id: str) -> HostRow:
    require_host(actor, id)
    row = HOSTS.get(connection, id)
    if row is None:
        raise NotFound(f"There is no host {rules.printable(id)}.")
    return row


def parse_vtep(text: str, field: str = "vtep_address") -> str:
    """Return the canonical text of a VTEP's address.

    Raises:
        Invalid: it is none that a tunnel can end at.
    """
    address = rules.address(field, text)
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        raise Invalid(
            f"{address} cannot be a VTEP.", field=field, accepted="a unicast address of the host"
        )
    return str(address)


def require_free_vtep(unit: Unit, vtep: str | None, host_id: str, field: str) -> None:
    """Demand that no other host has *vtep*.

    Raises:
        Conflict: naming the one that has it.
    """
    owner = None if vtep is None else hosts.vtep_owner(unit.connection, vtep, host_id)
    if owner is not None:
        raise Conflict(
            f"{vtep} is the VTEP of {owner.id} ({owner.name}).",
            field=field,
            accepted="an address that no other host has",
            blockers=(Blocker("host", owner.id, f"has the VTEP {vtep}"),),
        )


def tell_peers(unit: Unit, host_id: str) -> None:
    """Note that the peers of every other host changed."""
    hosts.move_states_but(unit.connection, host_id, unit.revision)
    unit.wake("hoststate")


def _change_vtep(unit: Unit, row: HostRow, values: HostChange) -> dict[str, str | None]:
    if values.vtep_address is UNSET:
        return {}
    pinned = None if values.vtep_address is None else parse_vtep(values.vtep_address)
    if pinned is None or pinned == row.vtep:
        return {"pinned_vtep": pinned}
    require_free_vtep(unit, pinned, row.id, "vtep_address")
    tell_peers(unit, row.id)
    # Without a known digest the agent is asked for a full report, which has to agree.
    return {"pinned_vtep": pinned, "vtep": pinned, "digest": None}


def _blockers(unit: Unit, host_id: str) -> list[Blocker]:
    located = locations.ids_located(unit.connection, host_id, MAX_BLOCKERS + 1)
    attached = ports.ids_attached(unit.connection, host_id, MAX_BLOCKERS + 1)
    blockers = [Blocker("port", id, "is located on this host") for id in located]
    here = set(located)
    blockers += [
        Blocker("port", id, "is to be attached to this host") for id in attached if id not in here
    ]
    return blockers
