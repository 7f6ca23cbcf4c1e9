"""How drained hosts leave their gateways: who follows is ready before they stop.

A drained host keeps its place until the one that follows it lets in what comes (see
``pipeline.residence.admitting``); then it goes behind the others, so that everybody sends to that
one, and goes on with what still comes to it. It is gone a while after everybody has confirmed that.
Each step waits for hosts that report and whose switches have not confirmed the one before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vpcctl.services.gateway_candidates import candidates_of
from vpcctl.services.gateway_order import Candidate, Leaving, is_handing_on
from vpcctl.store import gateway_hosts, locations
from vpcctl.store.gateway_hosts import SILENT, HostFact, Placed, Standing
from vpcctl.store.realisation import of_hosts, processed, reached


@dataclass(frozen=True, slots=True)
class Step:
    """What is next for a gateway that hosts are leaving.

    Attributes:
        leaving: where they are put.
        since: revision that hosts have to confirm before.
        late: those that have not, sorted.
    """

    leaving: Leaving
    since: int
    late: tuple[str, ...]


def steps(connection: Any, gateway_ids: Iterable[str] | None = None) -> dict[str, Step]:
    """Return what is next for gateways that hosts are leaving, by gateway id.

    Args:
        connection: of the transaction.
        gateway_ids: of which gateways; None: of all.
    """
    drained = gateway_hosts.drained_on(connection, gateway_ids)
    if not drained:
        return {}
    known = gateway_hosts.facts(connection)
    candidates = candidates_of(known)
    standing = gateway_hosts.standing_of(connection, drained)
    found: dict[str, Step] = {}
    for gateway in gateway_hosts.placed(connection, drained):
        fit, order = candidates.get(gateway.network_id, {}), standing.get(gateway.id, ())
        leaving = [one for one in order if _lives(fit, one, drained=True)]
        if leaving and len(leaving) < sum(_lives(fit, one) for one in order):
            found[gateway.id] = _next(connection, gateway, order, fit, known)
    return found


def _lives(fit: Mapping[str, Candidate], one: Standing, *, drained: bool = False) -> bool:
    host = fit.get(one.host_id)
    return host is not None and host.lives and (host.drained or not drained)


def _next(
    connection: Any,
    gateway: Placed,
    order: Sequence[Standing],
    fit: Mapping[str, Candidate],
    known: Sequence[HostFact],
) -> Step:
    """Return what is next for a gateway that hosts are leaving."""
    ids = [one.host_id for one in order if _lives(fit, one)]
    leaving = [one for one in order if _lives(fit, one, drained=True)]
    since = max(one.since for one in leaving)
    if is_handing_on(ids, fit):
        follower = next(id for id in ids if not fit[id].drained)
        watching = {follower, *(one.host_id for one in leaving)}
        newest = {fact.id: max(since, fact.revision) for fact in known if fact.id in watching}
        late = {*_late(connection, newest), *_blind(watching, ids, known)}
        return Step("behind", since, tuple(sorted(late)))
    silent = {fact.id for fact in known if fact.announced in SILENT}
    users = locations.hosts_of_vpc(connection, gateway.vpc_id) - silent
    late = _late(connection, dict.fromkeys((*users, *ids), since))
    return Step("gone", since, tuple(sorted(late)))


def _blind(watching: set[str], watched: Sequence[str], known: Sequence[HostFact]) -> set[str]:
    """Return those of some hosts that do not watch all the others yet, and so could not stand."""
    sees = {fact.id: {host_id for host_id, *_ in fact.watches} for fact in known}
    return {id for id in watching if not sees[id] >= set(watched) - {id}}


def _late(connection: Any, wanted: Mapping[str, int]) -> list[str]:
    """Return the hosts that have not confirmed the revision that each is to have."""
    found, done = of_hosts(connection, wanted), processed(connection)
    return [id for id, revision in wanted.items() if reached(found.get(id), done) < revision]
