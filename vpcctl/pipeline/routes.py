"""Table Routes: where packets go that leave their VPC's own blocks.

A route with several targets looks twice: first its packet gets a number from the ends of its
connection, then the number's target. Targets that are dead have no number. Who has lost a target
gets another one, and everybody else keeps theirs.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, DecTtl, Multipath, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import GATEWAY, ROUTES, SUBNET_IN, Table
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, link_local
from vpcctl.model.gateway import NatGateway
from vpcctl.model.network import Network
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.pipeline.facts import PortFacts, is_gateway, port_facts
from vpcctl.pipeline.neighbour import lookup
from vpcctl.pipeline.residence import gateway_facts
from vpcctl.pipeline.terms import drop, family, flag, mark, within

STATIC: tuple[Flow, ...] = (drop(ROUTES, 0, (), Reason.NO_ROUTE),)
_ROUTED: tuple[Action, ...] = (DecTtl(), SetField(f.ETH_SRC, GATEWAY_MAC), mark(f.ROUTED))


class _Way(NamedTuple):
    """What is done with a packet for one target."""

    actions: tuple[Action, ...]
    goto: Table


def table(net: Network, table: RouteTable) -> Iterator[Flow]:
    """Yield the flows of a route table."""
    for destination, route in {one.destination: one for one in table.routes}.items():
        field = f.IPV4_DST if destination.version == 4 else f.IPV6_DST
        ends = (family(destination.version), *within(field, destination))
        scope = match((f.ROUTE_TABLE, table.key), *ends)
        owner = cookie(Feature.ROUTES, table.key)
        priority = 100 + destination.prefixlen
        ways = _ways(net, table, route)
        if not ways:
            yield drop(ROUTES, priority, scope, Reason.BLACKHOLE, owner)
        elif len(ways) == 1:
            yield Flow(ROUTES, priority, scope, ways[0].actions, ways[0].goto, owner)
        else:
            draw = (Multipath("symmetric_l3l4+udp", len(ways), f.CHOICE), mark(f.PICKED))
            first = match(*scope, flag(f.PICKED, 0))
            yield Flow(ROUTES, priority, first, (*draw, Resubmit(ROUTES)), None, owner)
            for number, way in enumerate(ways):
                drawn = (f.CHOICE.field, number, f.CHOICE.mask)
                second = match(*scope, flag(f.PICKED), drawn)
                actions = (mark(f.PICKED, 0), *way.actions)
                yield Flow(ROUTES, priority, second, actions, way.goto, owner)


def _ways(net: Network, table: RouteTable, route: Route) -> list[_Way]:
    """Return the ways to the targets that live.

    Without any, to those on dead hosts, and without these, to networks that nobody reaches.
    """
    targets, version = tuple(dict.fromkeys(route.targets)), route.destination.version
    reached = [one for one in targets if _is_reached(net, one)]
    alive = [one for one in reached if not _is_dead(net, table, one)]
    for some in (alive, reached):
        ways = _all(net, table, some, version)
        if ways:
            return ways
    return _all(net, table, targets, version)


def _all(net: Network, table: RouteTable, targets: Iterable[Target], version: int) -> list[_Way]:
    ways = (_way(net, table, one, version) for one in targets)
    return [way for way in ways if way is not None]


def _is_dead(net: Network, table: RouteTable, target: Target) -> bool:
    """Tell whether a target is on dead hosts alone; one that is nowhere has no way at all."""
    homes = _homes(net, target) if table.dead_hosts else ()
    return bool(homes) and all(one in table.dead_hosts for one in homes)


def _is_reached(net: Network, target: Target) -> bool:
    """Tell whether what a target leads to has a host: on none, table Gateway would drop it all."""
    gateway = net.outside.internet.get(target.id)
    return gateway is None or gateway.external_network_id in net.reaching


def _homes(net: Network, target: Target) -> tuple[str, ...]:
    """Return the hosts of which one has to live for a target: a port's, a NAT gateway's."""
    if target.kind == "port":
        location = net.locations.get(target.id)
        return () if location is None else (location.host_id,)
    facts = gateway_facts(net, target.id) if target.kind == "nat" else None
    return () if facts is None else tuple(one.id for one in facts.hosts)


def _way(net: Network, table: RouteTable, target: Target, version: int) -> _Way | None:
    """Return the way to a target; None when it is dead."""
    if target.kind == "port":
        port = port_facts(net, target.id)
        return None if port is None else _to_port(net, table, port, version)
    known = net.outside.internet if target.kind == "internet" else net.outside.nats
    facts = gateway_facts(net, target.id) if target.id in known else None
    if facts is None or facts.vpc.id != table.vpc_id:
        return None
    if isinstance(facts.gateway, NatGateway) and not facts.hosts:
        return None
    return _Way((*_ROUTED, SetField(f.VNI, facts.gateway.vni)), GATEWAY)


def _to_port(net: Network, table: RouteTable, port: PortFacts, version: int) -> _Way | None:
    """Return the way to a port that forwards; one that checks addresses would drop the packet."""
    if port.vpc.id != table.vpc_id or port.port.checks_addresses:
        return None
    ip = _next_hop(net, port, version)
    if ip is None:
        return None
    enter = (SetField(f.VNI, port.subnet.vni), SetField(lookup(ip), int(ip)))
    return _Way((*_ROUTED, *enter), SUBNET_IN)


def _next_hop(net: Network, port: PortFacts, version: int) -> IPAddress | None:
    """Return an address by which Neighbour knows the port, and no other."""
    segment = net.segment(port.subnet.id)
    for ip in port.port.ips:
        alone = segment.fixed(ip).owner(int(ip)) is not None
        if ip.version == version and alone and not is_gateway(port.subnet, ip):
            return ip
    if version == 6 and port.subnet.ipv6_cidr is not None:
        alone = segment.macs.owner(port.port.mac) is not None
        return link_local(port.port.mac) if alone else None
    return None
