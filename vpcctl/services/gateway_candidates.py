"""Which hosts could stand for gateways, as far as is known now."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from vpcctl.services.gateway_order import Candidate, is_dead
from vpcctl.store import gateway_hosts
from vpcctl.store.gateway_hosts import HostFact
from vpcctl.store.hosts import DOWN


def dead_hosts(known: Sequence[HostFact]) -> set[str]:
    """Return the ids of hosts that are taken to be dead, from all that is known of hosts."""
    silent = _silent(known)
    says = _says(known, silent)
    return {
        fact.id
        for fact in known
        if is_dead(
            says.get(fact.id, ()),
            late=fact.id in silent,
            told=fact.connected and fact.announced == DOWN,
        )
    }


def lost_hosts(known: Sequence[HostFact]) -> set[str]:
    """Return the ids of hosts that those who watch them do not see, whether they report or not."""
    says = _says(known, _silent(known))
    return {fact.id for fact in known if is_dead(says.get(fact.id, ()))}


def _silent(known: Sequence[HostFact]) -> set[str]:
    return {fact.id for fact in known if fact.announced in gateway_hosts.SILENT}


def _says(known: Sequence[HostFact], silent: Collection[str]) -> dict[str, list[bool]]:
    """Return what each host that is not *silent* says of one that it watches, by that one's id."""
    says: dict[str, list[bool]] = {}
    for fact in known:
        if fact.id not in silent:
            for host_id, _, is_up in fact.watches:
                says.setdefault(host_id, []).append(is_up)
    return says


class Sight:
    """Who sees whom by BFD, among hosts that report.

    Args:
        known: what is known of hosts.
    """

    def __init__(self, known: Sequence[HostFact]) -> None:
        living = [fact for fact in known if fact.announced not in gateway_hosts.SILENT]
        self._seen = {fact.id: {id for id, _, is_up in fact.watches if is_up} for fact in living}
        self._missed = {id for fact in living for id, _, is_up in fact.watches if not is_up}

    def is_ready(self, host_id: str, beside: Iterable[str]) -> bool:
        """Tell whether a host can take over: who watches it sees it, and those beside it do."""
        others = (id for id in beside if id in self._seen and id != host_id)
        return host_id not in self._missed and all(host_id in self._seen[id] for id in others)


def judged_otherwise(connection: Any, host_ids: Iterable[str]) -> set[str]:
    """Return these hosts and those that they watch: their word counts as long as they report."""
    changed = set(host_ids)
    known = (fact for fact in gateway_hosts.facts(connection) if fact.id in changed)
    return changed | {host_id for fact in known for host_id, *_ in fact.watches}


def candidates_of(known: Sequence[HostFact]) -> dict[str, dict[str, Candidate]]:
    """Return who could stand for gateways of each external network, by network and host id."""
    dead, silent = dead_hosts(known), _silent(known)
    found: dict[str, dict[str, Candidate]] = {}
    for fact in known:
        if not fact.gateway:
            continue
        lives = fact.id not in dead
        one = Candidate(fact.id, fact.zone, lives, fact.drained, fact.id in silent)
        for network_id, *_ in fact.outside:
            found.setdefault(network_id, {})[fact.id] = one
    return found
