"""Who forwards for a host while it is loading a VPC that is new on it."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from vpcctl.model.changes import Change
from vpcctl.model.network import Network
from vpcctl.model.relay import Relay, relay_id

Presence = tuple[str, str]
"""(host id, VPC id): the VPC has a placed port on the host."""


@dataclass(frozen=True, slots=True)
class Relaying:
    """What is known of hosts beyond the network, and whether a relay is worth its while.

    Attributes:
        connected: tells whether a host takes changes now; one that does not is compared as a whole
            when it comes back, and needs no relay until then.
        ready: tells whether a host has confirmed everything that was ever new on it.
        least_ports: ports of a VPC from which on loading it takes longer than asking for a relay.
    """

    connected: Callable[[str], bool]
    ready: Callable[[str], bool]
    least_ports: int = 32


def steering(
    net: Network,
    arriving: Collection[Presence],
    departing: Collection[Presence],
    relaying: Relaying | None,
    revision: int,
) -> Iterator[Change]:
    """Yield the changes of relays that follow from VPCs that came to hosts or left them."""
    if departing:
        for relay in tuple(net.relays.values()):
            if not net.has_vpc(relay.host_id, relay.vpc_id):
                yield Change("relay", relay.id, None)
            elif not net.has_vpc(relay.via_id, relay.vpc_id):
                yield _ask(net, relay, arriving, relaying)
    if relaying is None:
        return
    for host_id, vpc_id in sorted(arriving):
        if relaying.connected(host_id) and _is_large(net, vpc_id, relaying.least_ports):
            change = _ask(net, Relay(host_id, vpc_id, "", revision), arriving, relaying)
            if change.resource is not None:
                yield change


def ended(net: Network, relays: Iterable[Relay]) -> tuple[Change, ...]:
    """Return what follows when hosts have confirmed what these relays were waiting for.

    First the host that was loading stops handing over; when it has confirmed that too, the relay
    is not needed any more. Relays that have given way to others since are left alone.
    """
    found: list[Change] = []
    for relay in relays:
        present = net.relays.get(relay.id)
        if present is None or present.since != relay.since or present.closing != relay.closing:
            continue
        left = None if present.closing else dataclasses.replace(present, closing=True)
        found.append(Change("relay", relay.id, left))
    return tuple(found)


def _ask(
    net: Network, wanted: Relay, arriving: Collection[Presence], relaying: Relaying | None
) -> Change:
    """Return the change that makes some host the relay, or takes it away when there is none."""
    host_id, vpc_id = wanted.host_id, wanted.vpc_id
    fit = [
        other
        for other in net.hosts_of(vpc_id)
        if other != host_id
        and (other, vpc_id) not in arriving
        and not net.is_loading(other, vpc_id)
        and _can_send(net, host_id, other)
        and relaying is not None
        and relaying.ready(other)
    ]
    if not fit:
        return Change("relay", wanted.id, None)
    fit.sort(key=lambda other: net.hosts[other].key)
    via = fit[net.hosts[host_id].key % len(fit)]
    found = Relay(host_id, vpc_id, via, wanted.since, wanted.closing)
    return Change("relay", relay_id(host_id, vpc_id), found)


def _is_large(net: Network, vpc_id: str, least: int) -> bool:
    count = 0
    for subnet_id in net.subnets_of.get(vpc_id, ()):
        count += len(net.segment(subnet_id).macs)  # each port claims one
        if count >= least:
            return True
    return count >= least


def _can_send(net: Network, one: str, other: str) -> bool:
    """Tell whether both hosts have a tunnel, of one family."""
    first, second = net.vtep_of(one), net.vtep_of(other)
    if first is None or second is None or first.version != second.version:
        return False
    return None not in (net.hosts[one].tunnel_ofport, net.hosts[other].tunnel_ofport)
