"""Gateway hosts: which hosts stand for which gateways, and in which order they take over."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from vpcctl.services import eip_hosts, lost_hosts
from vpcctl.services.attachments import touch_hosts, touch_hosts_with
from vpcctl.services.gateway_candidates import Sight, candidates_of, dead_hosts
from vpcctl.services.gateway_leaving import Step, steps
from vpcctl.services.gateway_order import MOST_HOSTS, Leaving, Load, arrange
from vpcctl.services.routing_views import GatewayHostsView, GatewayHostView, Standby
from vpcctl.services.views import Status
from vpcctl.store import eips, gateway_hosts, gateways, hosts
from vpcctl.store.gateway_hosts import HostFact, Placed, Standing
from vpcctl.store.realisation import of_hosts, processed, reached
from vpcctl.store.units import Unit

NOWHERE = GatewayHostsView((), None, None)
NONE_LIVES = "none of its gateway hosts lives"


def place(unit: Unit, gateway_id: str, network_id: str) -> list[str]:
    """Choose hosts for a new gateway to an external network; return them in order."""
    candidates = candidates_of(gateway_hosts.facts(unit.connection)).get(network_id, {})
    chosen = arrange((), candidates, _load(unit.connection))
    gateways.set_hosts(unit.connection, gateway_id, chosen, unit.revision)
    touch_hosts(unit, *chosen)
    return list(chosen)


def rearrange(unit: Unit, changed: Iterable[str], drained: Iterable[str] = ()) -> int:
    """Put the hosts of gateways in order for what is known of hosts now; return how many moved.

    Routes hear which of their targets are dead.

    Args:
        unit: the transaction.
        changed: all hosts of which other things are known than when they were in order last: what
            they report or are meant for, or who says that they live.
        drained: those of them that are drained now and were not, or the other way round.
    """
    known = gateway_hosts.facts(unit.connection)
    lost_hosts.note_lost(unit, known)
    ids = _concerned(unit.connection, known, frozenset(changed))
    return _put_in_order(unit, known, dict.fromkeys(ids, "as they are"), frozenset(drained))


def hand_on(unit: Unit, steps: Mapping[str, Leaving]) -> int:
    """Put the drained hosts of gateways where they are to be now; return how many moved.

    Args:
        unit: the transaction.
        steps: where to, by gateway id.
    """
    return _put_in_order(unit, gateway_hosts.facts(unit.connection), steps, frozenset())


def _put_in_order(
    unit: Unit, known: Sequence[HostFact], steps: Mapping[str, Leaving], drained: frozenset[str]
) -> int:
    """Put the hosts of some gateways in order.

    Also where that is as it was, tell everybody of gateways whose hosts have begun to leave.
    """
    placed = gateway_hosts.placed(unit.connection, steps)
    if not placed:
        return 0
    candidates = candidates_of(known)
    standing = gateway_hosts.standing_of(unit.connection, steps)
    load = _load(unit.connection)
    moved = 0
    for gateway in sorted(placed, key=lambda one: one.id):
        before = [one.host_id for one in standing.get(gateway.id, ())]
        fit = candidates.get(gateway.network_id, {})
        load.drop(before)
        after = arrange(before, fit, load, steps[gateway.id])
        load.add(after)
        if list(after) != before or drained.intersection(after):
            leaving = [id for id in after if fit[id].drained]
            _move(unit, gateway, before, after, leaving)
            moved += 1
    return moved


def _load(connection: Any) -> Load:
    found = gateway_hosts.loads(connection)
    return Load(
        Counter({one.host_id: one.active for one in found}),
        Counter({one.host_id: one.listed for one in found}),
    )


def _concerned(connection: Any, known: Sequence[HostFact], changed: frozenset[str]) -> list[str]:
    """Return the gateways that may have to move: those on hosts that changed, and those in want.

    A gateway is in want that has fewer hosts than it may have, has one that is dead or drained, or
    two in one zone, and whose network a host reaches that has changed and could stand for it.
    """
    dead = dead_hosts(known)
    unfit = [fact.id for fact in known if fact.drained or fact.id in dead]
    fresh = [
        fact
        for fact in known
        if fact.id in changed and fact.gateway and not fact.drained and fact.id not in dead
    ]
    networks = {network_id for fact in fresh for network_id, *_ in fact.outside}
    ids = set(gateway_hosts.ids_on(connection, changed))
    if networks:
        wanting = [
            *gateway_hosts.ids_on(connection, unfit),
            *gateway_hosts.short_ids(connection, MOST_HOSTS),
            *gateway_hosts.crowded_ids(connection, (fact.zone for fact in fresh)),
        ]
        there = gateway_hosts.placed(connection, wanting)
        ids.update(one.id for one in there if one.network_id in networks)
    return sorted(ids)


def _move(
    unit: Unit,
    gateway: Placed,
    before: Sequence[str],
    after: Sequence[str],
    leaving: Sequence[str] = (),
) -> None:
    gateways.set_hosts(unit.connection, gateway.id, after, unit.revision, leaving)
    first = f"{after[0]} is meant to be active" if after else "no host stands for it"
    if leaving:
        first += f"; to leave: {', '.join(leaving)}"
    unit.tell(gateway.kind, gateway.id, gateway.tenant_id, "changed", first)
    gone = set(before) - set(after)
    _note_left(unit, gateway, gone)
    if gateway.kind == "nat":
        lost_hosts.moved(unit, [gateway.id], gone)
    touch_hosts_with(unit, hosts.of_vpc(gateway.vpc_id))
    touch_hosts(unit, *before, *after)


def _note_left(unit: Unit, gateway: Placed, gone: set[str]) -> None:
    """Remember who answered for the EIPs of a gateway."""
    if not gone:
        return
    if gateway.kind == "nat":
        rows = eips.of_nat_gateways(unit.connection, [gateway.id])
    else:
        rows = eips.placed_in(unit.connection, gateway.vpc_id, gateway.network_id)
    eip_hosts.note_left(unit, rows, gone)


def release(unit: Unit, gateway_id: str) -> None:
    """Let the hosts of a gateway go that is about to be deleted."""
    order = gateway_hosts.standing_of(unit.connection, [gateway_id]).get(gateway_id, [])
    gateways.set_hosts(unit.connection, gateway_id, (), unit.revision)
    touch_hosts(unit, *(one.host_id for one in order))


def shown(connection: Any, gateway_ids: Sequence[str]) -> dict[str, GatewayHostsView]:
    """Return where these gateways are realised, and since when as their hosts have confirmed it."""
    found = placements(connection, gateway_ids)
    active = {place.active_host_id for place in found.values() if place.active_host_id is not None}
    if not active:
        return found
    realised, done = of_hosts(connection, sorted(active)), processed(connection)
    come = {host_id: reached(realised.get(host_id), done) for host_id in active}
    return {
        id: _confirmed(place, come.get(place.active_host_id or "", 0))
        for id, place in found.items()
    }


def _confirmed(place: GatewayHostsView, come: int) -> GatewayHostsView:
    """Return the placement of a gateway whose active host has confirmed revision *come*."""
    is_so = place.since_revision is None or come >= place.since_revision
    return place if is_so else replace(place, since_revision=None)


def placements(connection: Any, gateway_ids: Sequence[str]) -> dict[str, GatewayHostsView]:
    """Return where these gateways are to be realised, and since when, by gateway id."""
    standing = gateway_hosts.standing_of(connection, gateway_ids)
    if not standing:
        return dict.fromkeys(gateway_ids, NOWHERE)
    known = gateway_hosts.facts(connection)
    by_id, dead, sight = {fact.id: fact for fact in known}, dead_hosts(known), Sight(known)
    next_of = steps(connection, gateway_ids)
    return {
        id: _placement(standing.get(id, ()), by_id, dead, sight, next_of.get(id))
        for id in gateway_ids
    }


def judge_placed(status: Status, lacking: str | None) -> Status:
    """Return the status of a gateway: that of its VPC, and an error while no host carries it."""
    return status if lacking is None else replace(status, state="error", reason=lacking)


Why = Callable[[GatewayHostsView, str], str]
"""Says why no host carries a gateway that is placed so, to an external network."""


def reasons(connection: Any) -> Why:
    """Return what says why no host carries a gateway; it reads what it needs once."""

    @cache
    def unplaced(network_id: str) -> str:
        return _unplaced(gateway_hosts.facts(connection), network_id)

    def why(placement: GatewayHostsView, network_id: str) -> str:
        return NONE_LIVES if placement.hosts else unplaced(network_id)

    return why


def lacking(
    connection: Any, places: Mapping[str, GatewayHostsView], networks: Mapping[str, str]
) -> dict[str, str]:
    """Return why no host carries gateways, by id: those that none does.

    Args:
        connection: of the transaction.
        places: where gateways are, by id.
        networks: their external networks, by id.
    """
    why = reasons(connection)
    return {
        id: why(place, networks[id]) for id, place in places.items() if place.active_host_id is None
    }


def _unplaced(known: Sequence[HostFact], network_id: str) -> str:
    """Return why no host has been chosen for a gateway to an external network."""
    fit = [
        fact for fact in known if fact.gateway and network_id in (one[0] for one in fact.outside)
    ]
    if not fit:
        return f"no host with the gateway label reaches {network_id}"
    dead = dead_hosts(known)
    drained = [fact.id for fact in fit if fact.drained and fact.id not in dead]
    if not drained:
        return f"no gateway host that reaches {network_id} lives"
    ended = f"'vpcctl host undrain {drained[0]}' ends that"
    return f"every gateway host that lives and reaches {network_id} is drained; {ended}"


def _placement(
    order: Sequence[Standing],
    known: Mapping[str, HostFact],
    dead: set[str],
    sight: Sight,
    step: Step | None,
) -> GatewayHostsView:
    active = next((one for one in order if one.host_id not in dead), None)
    ids = [one.host_id for one in order]
    views: list[GatewayHostView] = []
    for one in order:
        fact, is_dead = known[one.host_id], one.host_id in dead
        state: Standby
        if is_dead:
            state = "down"
        elif fact.drained and (step is not None or one is not active):
            state = "draining" if step is not None else "drained"
        elif one is active:
            state = "active"
        else:
            state = "standby" if sight.is_ready(one.host_id, ids) else "unseen"
        views.append(GatewayHostView(one.host_id, state))
    return GatewayHostsView(
        tuple(views),
        active.host_id if active is not None else None,
        active.since if active is not None else None,
        step.late if step is not None else (),
    )
