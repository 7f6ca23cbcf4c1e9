"""Gateway hosts: which hosts stand for which gateways, and in which order they take over."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from vpcctl.services import eip_hosts
from vpcctl.services.attachments import touch_hosts, touch_hosts_with
from vpcctl.services.gateway_order import MOST_HOSTS, Candidate, Load, arrange, is_dead
from vpcctl.services.routing_views import GatewayHostsView, GatewayHostView, Standby
from vpcctl.services.views import Status
from vpcctl.store import eips, gateway_hosts, gateways, hosts
from vpcctl.store.gateway_hosts import HostFact, Placed, Standing
from vpcctl.store.units import Unit


def dead_hosts(known: Sequence[HostFact]) -> set[str]:
    """Return the ids of hosts that are taken to be dead, from all that is known of hosts."""
    silent = {fact.id for fact in known if fact.announced in gateway_hosts.SILENT}
    says: dict[str, list[bool]] = {}
    for fact in known:
        if fact.id not in silent:
            for host_id, _, is_up in fact.watches:
                says.setdefault(host_id, []).append(is_up)
    return {fact.id for fact in known if is_dead(fact.id in silent, says.get(fact.id, ()))}


def judged_otherwise(connection: Any, host_ids: Iterable[str]) -> set[str]:
    """Return these hosts and those that they watch: their word counts as long as they report."""
    changed = set(host_ids)
    known = (fact for fact in gateway_hosts.facts(connection) if fact.id in changed)
    return changed | {host_id for fact in known for host_id, *_ in fact.watches}


def _candidates(known: Sequence[HostFact]) -> dict[str, dict[str, Candidate]]:
    """Return who could stand for gateways of each external network, by network and host id."""
    dead = dead_hosts(known)
    found: dict[str, dict[str, Candidate]] = {}
    for fact in known:
        if not fact.gateway:
            continue
        one = Candidate(fact.id, fact.zone, fact.id not in dead, fact.drained)
        for network_id, *_ in fact.outside:
            found.setdefault(network_id, {})[fact.id] = one
    return found


def place(unit: Unit, gateway_id: str, network_id: str) -> list[str]:
    """Choose hosts for a new gateway to an external network; return them in order."""
    candidates = _candidates(gateway_hosts.facts(unit.connection)).get(network_id, {})
    chosen = arrange((), candidates, _load(unit.connection))
    gateways.set_hosts(unit.connection, gateway_id, chosen, unit.revision)
    touch_hosts(unit, *chosen)
    return list(chosen)


def rearrange(unit: Unit, changed: Iterable[str]) -> int:
    """Put the hosts of gateways in order for what is known of hosts now; return how many moved.

    Args:
        unit: the transaction.
        changed: all hosts of which other things are known than when they were in order last: what
            they report or are meant for, or who says that they live.
    """
    connection = unit.connection
    known = gateway_hosts.facts(connection)
    ids = _concerned(connection, known, frozenset(changed))
    placed = gateway_hosts.placed(connection, ids)
    if not placed:
        return 0
    candidates = _candidates(known)
    standing = gateway_hosts.standing_of(connection, ids)
    load = _load(connection)
    moved = 0
    for gateway in sorted(placed, key=lambda one: one.id):
        before = [one.host_id for one in standing.get(gateway.id, ())]
        load.drop(before)
        after = arrange(before, candidates.get(gateway.network_id, {}), load)
        load.add(after)
        if list(after) != before:
            _move(unit, gateway, before, after)
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

    A gateway is in want that has fewer hosts than it may have, or has one that is dead or drained,
    and whose network a host reaches that has changed and could stand for it.
    """
    dead = dead_hosts(known)
    unfit = [fact.id for fact in known if fact.drained or fact.id in dead]
    fresh = (
        fact
        for fact in known
        if fact.id in changed and fact.gateway and not fact.drained and fact.id not in dead
    )
    networks = {network_id for fact in fresh for network_id, *_ in fact.outside}
    ids = set(gateway_hosts.ids_on(connection, changed))
    if networks:
        wanting = [
            *gateway_hosts.ids_on(connection, unfit),
            *gateway_hosts.short_ids(connection, MOST_HOSTS),
        ]
        there = gateway_hosts.placed(connection, wanting)
        ids.update(one.id for one in there if one.network_id in networks)
    return sorted(ids)


def _move(unit: Unit, gateway: Placed, before: Sequence[str], after: Sequence[str]) -> None:
    gateways.set_hosts(unit.connection, gateway.id, after, unit.revision)
    first = f"{after[0]} is meant to be active" if after else "no host stands for it"
    unit.tell(gateway.kind, gateway.id, gateway.tenant_id, "changed", first)
    _note_left(unit, gateway, set(before) - set(after))
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


def placements(connection: Any, gateway_ids: Sequence[str]) -> dict[str, GatewayHostsView]:
    """Return where these gateways are realised, by gateway id."""
    standing = gateway_hosts.standing_of(connection, gateway_ids)
    if not standing:
        return dict.fromkeys(gateway_ids, GatewayHostsView((), None, None))
    known = gateway_hosts.facts(connection)
    by_id, dead = {fact.id: fact for fact in known}, dead_hosts(known)
    return {id: _placement(standing.get(id, ()), by_id, dead) for id in gateway_ids}


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
        return "none of its gateway hosts lives" if placement.hosts else unplaced(network_id)

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
    order: Sequence[Standing], known: Mapping[str, HostFact], dead: set[str]
) -> GatewayHostsView:
    active = next((one for one in order if one.host_id not in dead), None)
    views = tuple(
        GatewayHostView(
            one.host_id,
            _state(known[one.host_id], is_dead=one.host_id in dead, is_active=one is active),
        )
        for one in order
    )
    return GatewayHostsView(
        views,
        active.host_id if active is not None else None,
        active.since if active is not None else None,
    )


def _state(fact: HostFact, *, is_dead: bool, is_active: bool) -> Standby:
    if is_dead:
        return "down"
    if is_active:
        return "active"
    return "drained" if fact.drained else "standby"
