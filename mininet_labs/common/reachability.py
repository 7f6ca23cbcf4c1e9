"""Who reaches whom: everybody tries every service of everybody, and both ends say what they saw."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mininet_labs.common.processes import Daemons
from mininet_labs.common.workloads import FAMILIES, Script, Workload

PING = "ping"
Service = str | int
"""``ping`` or a TCP port."""

Services = frozenset[Service]
Expect = Callable[[Workload, Workload], Services]
"""Which services of the second workload the first should reach."""

Pair = tuple[str, str, int]
"""Names of who tries and of whom, and the family."""


class Prober(Script):
    """The prober inside one workload, which answers at TCP ports."""

    file = "prober.py"

    def probe(self, targets: list[dict[str, Any]], patience_s: float) -> list[Any]:
        """Return what answered at each target; see ``prober.Prober.probe``."""
        return self.ask("probe", targets=targets, patience_s=patience_s)["answers"]

    def seen(self) -> set[tuple[Service, int, str]]:
        """Return (service, family, sender) of everything that arrived since the last question."""
        return {(service, family, name) for service, family, name in self.ask("seen")["seen"]}


def start_probers(
    workloads: list[Workload], services: Sequence[Service], daemons: Daemons
) -> list[Prober]:
    """Start a prober in every workload and return when all listen."""
    ports = [str(service) for service in services if service != PING]
    probers = [Prober(workload, daemons, *ports) for workload in workloads]
    for prober in probers:
        prober.wait()
    return probers


def probe_pairs(
    probers: list[Prober], services: Sequence[Service], expect: Expect, patience_s: float
) -> dict[Pair, Services]:
    """Let everybody try every service of everybody, all at once; return what both ends saw.

    Between tenants a packet to an address arrives, rightly, at the own tenant's workload that has
    the same one. So only what arrived at the other tenant's workload, or answered in its name,
    counts as reaching it.
    """
    everybody = [prober.workload for prober in probers]

    def probe(prober: Prober) -> dict[tuple[str, Service], Any]:
        targets = targets_of(prober.workload, everybody, services, expect)
        answers = prober.probe(targets, patience_s)
        return {
            (target["address"], target["service"]): answer
            for target, answer in zip(targets, answers, strict=True)
        }

    with ThreadPoolExecutor(len(probers)) as pool:
        answers = dict(zip((one.name for one in everybody), pool.map(probe, probers), strict=True))
    seen = {prober.workload.name: prober.seen() for prober in probers}
    return {
        (one.name, other.name, family): frozenset(
            service
            for service in services
            if is_reached(
                (one, other),
                (service, family),
                answers[one.name][other.addresses[family], service],
                seen[other.name],
                hoped=service in expect(one, other),
            )
        )
        for one in everybody
        for other in everybody
        for family in FAMILIES
        if one is not other
    }


def probe_gateways(probers: list[Prober], patience_s: float) -> dict[Pair, bool]:
    """Let everybody ping its gateways; return whether they answered, by (name, address, family)."""

    def ping(prober: Prober) -> dict[Pair, bool]:
        gateways = prober.workload.gateways
        targets = [
            {"address": address, "family": family, "service": PING, "hope": True}
            for family, address in gateways.items()
        ]
        answers = prober.probe(targets, patience_s)
        return {
            (prober.workload.name, target["address"], target["family"]): answer
            for target, answer in zip(targets, answers, strict=True)
        }

    with ThreadPoolExecutor(len(probers)) as pool:
        return {pair: ok for part in pool.map(ping, probers) for pair, ok in part.items()}


def targets_of(
    source: Workload, everybody: list[Workload], services: Sequence[Service], expect: Expect
) -> list[dict[str, Any]]:
    """Return every service of every address that anybody has, once; hope is for who may reach it.

    Of a service that the source may reach at an address, in whichever network, there is hope.
    """
    addresses = {(family, one.addresses[family]) for one in everybody for family in FAMILIES}
    hoped = {
        (other.addresses[family], service)
        for other in everybody
        if other is not source
        for service in expect(source, other)
        for family in FAMILIES
    }
    return [
        {
            "address": address,
            "family": family,
            "service": service,
            "hope": (address, service) in hoped,
        }
        for family, address in sorted(addresses)
        for service in services
    ]


def is_reached(
    pair: tuple[Workload, Workload],
    what: tuple[Service, int],
    answer: Any,
    seen: set[tuple[Service, int, str]],
    *,
    hoped: bool,
) -> bool:
    """Tell whether the first of a *pair* reached the other.

    Where it should, both ends must have seen it; where it should not, neither may.

    Args:
        pair: who tried, and whom.
        what: service and family.
        answer: what answered at that address: whether a ping was, or the name, or None.
        seen: what arrived at the other.
        hoped: whether it should reach it.
    """
    source, target = pair
    service, family = what
    arrived = (service, family, source.name) in seen
    # Who answers a ping at a shared address does not say its name.
    answered = bool(answer) if service == PING else answer == target.name
    if hoped:
        return arrived and answered
    return arrived or (service != PING and answered)
