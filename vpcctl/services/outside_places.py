"""Where what the outside reaches is realised: an EIP, or a global IPv6 address of a port.

On the port's own host if that reaches the external network, else on a gateway host. Whoever shows
such a place, or waits for it, has it from here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from vpcctl.services import gateway_hosts
from vpcctl.services.gateway_hosts import NOWHERE, Why
from vpcctl.services.routing_views import GatewayHostsView
from vpcctl.store import hosts, locations
from vpcctl.store.realisation import HostRealised, of_hosts, processed, reached
from vpcctl.store.tables import LocationRow

Mode = Literal["distributed", "gateway"]


@dataclass(frozen=True, slots=True)
class Exposed:
    """Something that the outside reaches, and by what.

    Attributes:
        network_id: the external network that it is reached on.
        revision: of what decides that it is reached.
        port_id: the port that it leads to; None: none.
        internet_id: the internet gateway between that port's VPC and the network, if there is one.
        nat_id: the NAT gateway that uses it; None: none does.
    """

    network_id: str
    revision: int
    port_id: str | None = None
    internet_id: str | None = None
    nat_id: str | None = None

    @property
    def gateway_id(self) -> str | None:
        """The gateway whose hosts answer for it where the port's own does not."""
        return self.nat_id or self.internet_id


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides where things are realised.

    Attributes:
        locations: of the ports, by port id.
        reach: external networks that hosts reach, by host id.
        reach_revisions: when that changed last, by network id, by host id.
        placements: where gateways are, by gateway id.
        realised: how far hosts have come, by host id.
        done: what the southbound has taken.
        why: says why no host carries a gateway.
        host_ids: all hosts that may be concerned.
    """

    locations: Mapping[str, LocationRow]
    reach: Mapping[str, frozenset[str]]
    reach_revisions: Mapping[str, Mapping[str, int]]
    placements: Mapping[str, GatewayHostsView]
    realised: Mapping[str, HostRealised]
    done: int
    why: Why
    host_ids: Collection[str]


class Place(NamedTuple):
    """Where something is realised.

    Attributes:
        mode: ``distributed``: on its port's host; ``gateway``: on a gateway host; None: nowhere.
        host_id: that host.
        since_revision: the host has confirmed it at this revision; None: not yet.
        needed: the revision that has to be confirmed.
        host_ids: the hosts that have to.
    """

    mode: Mode | None
    host_id: str | None
    since_revision: int | None
    needed: int
    host_ids: tuple[str, ...] = ()


def look(connection: Any, things: Collection[Exposed], more: Iterable[str] = ()) -> Surroundings:
    """Read what decides where *things* are: some statements, however many they are.

    Args:
        connection: of the transaction.
        things: those that :func:`place` will be asked about.
        more: further hosts of which it has to be known how far they have come.
    """
    carrying = sorted({one.gateway_id for one in things if one.gateway_id is not None})
    placements = gateway_hosts.placements(connection, carrying) if carrying else {}
    placed = locations.locations_of(connection, [one.port_id for one in things if one.port_id])
    concerned = {*more, *(one.host_id for one in placed.values())}
    concerned |= {host.host_id for one in placements.values() for host in one.hosts}
    return Surroundings(
        placed,
        hosts.reach(connection),
        hosts.reach_revisions(connection, concerned),
        placements,
        of_hosts(connection, concerned),
        processed(connection),
        gateway_hosts.reasons(connection),
        concerned,
    )


def place(thing: Exposed, around: Surroundings) -> Place:
    """Return where something is realised that leads to a port or is used by a NAT gateway."""
    if thing.nat_id is not None:
        return _on_gateway(thing, thing.revision, around)
    location = around.locations.get(thing.port_id or "")
    if location is None:
        return Place(None, None, None, thing.revision)
    changed = _reach_changed(location.host_id, thing.network_id, around)
    needed = max(thing.revision, location.revision, changed)
    if thing.network_id in around.reach.get(location.host_id, ()):
        return _at("distributed", location.host_id, needed, (location.host_id,), around)
    there = _on_gateway(thing, needed, around)
    return there._replace(host_ids=(*there.host_ids, location.host_id))


def _on_gateway(thing: Exposed, needed: int, around: Surroundings) -> Place:
    gateway = _gateway(thing, around)
    if gateway.active_host_id is None:
        return Place(None, None, None, needed)
    changed = _reach_changed(gateway.active_host_id, thing.network_id, around)
    since = max(needed, gateway.since_revision or 0, changed)
    standing = tuple(one.host_id for one in gateway.hosts if one.state != "down")
    return _at("gateway", gateway.active_host_id, since, standing, around)


def _at(
    mode: Mode, host_id: str, needed: int, host_ids: tuple[str, ...], around: Surroundings
) -> Place:
    confirmed = reached(around.realised.get(host_id), around.done) >= needed
    return Place(mode, host_id, needed if confirmed else None, needed, host_ids)


def _reach_changed(host_id: str, network_id: str, around: Surroundings) -> int:
    """Return the revision at which it changed last how, or whether, a host reaches a network."""
    return around.reach_revisions.get(host_id, {}).get(network_id, 0)


def _gateway(thing: Exposed, around: Surroundings) -> GatewayHostsView:
    return around.placements.get(thing.gateway_id or "", NOWHERE)


def lacking(thing: Exposed, around: Surroundings) -> str:
    """Return why something is realised nowhere that leads to a port or is used by a gateway."""
    gateway = _gateway(thing, around)
    if thing.nat_id is not None:
        return f"{thing.nat_id} is on no host: {around.why(gateway, thing.network_id)}"
    location = around.locations.get(thing.port_id or "")
    if location is None:
        return f"{thing.port_id} is on no host"
    where = f"{thing.port_id} is on {location.host_id}, which does not reach {thing.network_id}"
    return f"{where}, and {around.why(gateway, thing.network_id)}"
