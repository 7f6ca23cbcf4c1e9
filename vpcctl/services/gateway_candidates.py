"""Which hosts could stand for gateways, as far as is known now."""

from collections.abc import Iterable, Sequence
from typing import Any

from vpcctl.services.gateway_order import Candidate, is_dead
from vpcctl.store import gateway_hosts
from vpcctl.store.gateway_hosts import HostFact


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


def candidates_of(known: Sequence[HostFact]) -> dict[str, dict[str, Candidate]]:
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
