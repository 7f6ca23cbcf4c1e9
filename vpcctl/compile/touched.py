"""What a change may touch: the pieces whose flows depend on the resource that changes.

Answers are given on the network as it is before the change, and cover the resource as it was and
as it will be. Too much costs time; too little would leave hosts wrong, which property tests guard
against by comparing with a full compile.
"""

from collections.abc import Iterable, Iterator

from vpcctl.compile import filters, outward
from vpcctl.model.addresses import link_local
from vpcctl.model.changes import Change
from vpcctl.model.claims import Claims
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.network import Network, blocks_of, foreign_macs, single_pairs
from vpcctl.model.port import Port
from vpcctl.model.relay import Relay
from vpcctl.model.residents import Residents, branch
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.flood import SHARDS, shard_of
from vpcctl.pipeline.pieces import (
    AdmitPiece,
    BasePiece,
    EdgePiece,
    LocalFloodPiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
    RelayPiece,
    RemoteFloodPiece,
    SubnetPiece,
    VpcPairPiece,
    VpcPiece,
)


def touched(net: Network, change: Change) -> Iterator[Piece]:
    """Yield the pieces that *change* may touch; some more than once."""
    old, new = net.present(change), change.resource
    if old == new:
        return
    match change.kind:
        case "vpc":
            yield from _by_vpc(net, change.id, (old, new))
        case "subnet":
            yield from _by_subnet(net, change.id, (old, new))
        case "port":
            yield from _by_port(net, change.id, (old, new))
        case "host":
            yield from _by_host(net, change.id, old, new)
        case "location":
            yield from _by_location(net, change.id, (old, new))
        case "sg":
            yield from filters.by_group(net, change.id, (old, new))
        case "ag":
            yield from filters.by_address_group(net, change.id, (old, new))
        case "nacl":
            yield from filters.by_acl(net, change.id, (old, new))
        case "ext":
            yield from outward.by_network(net, change.id, (old, new))
        case "igw" | "nat":
            yield from outward.by_gateway(net, change.id, (old, new))
        case "eip":
            yield from outward.by_eip(net, change.id, (old, new))
        case "rtb":
            yield from outward.by_route_table(net, change.id, (old, new))
        case "relay":
            for state in (old, new):
                if isinstance(state, Relay):
                    yield from _relay(state)


def _claimants(claims: Claims[int], numbers: Iterable[int], me: str) -> set[str]:
    """Return who, beside *me*, claims one of *numbers*: they gain or lose by my change."""
    return {other for number in numbers for other in claims.of(number) if other != me}


def _by_vpc(net: Network, vpc_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    yield VpcPiece(vpc_id)
    yield from outward.vpc_pairs(net, vpc_id)
    keys = {state.key for state in states if isinstance(state, Vpc)}
    if len(keys) == 1 and None not in states:
        return  # beside its blocks only its key is in flows
    for one in (vpc_id, *sorted(_claimants(net.vpc_keys, keys, vpc_id))):
        yield from _relays(net, one)
        yield from outward.of_vpc(net, one)
        for subnet_id in sorted(net.subnets_of.get(one, ())):
            yield from _whole_subnet(net, subnet_id)
        yield from filters.all_members(net, one)


def _by_subnet(net: Network, subnet_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    subnets = [state for state in states if isinstance(state, Subnet)]
    if len(subnets) == 2 and _as_all_see(subnets[0]) == _as_all_see(subnets[1]):
        yield SubnetPiece(subnet_id)  # its ACL and its route table are asked nowhere else
        yield from _ipv6_gateways(net, subnets[0], subnets[1])
        yield from outward.by_table_of_subnet(net, subnets[0], subnets[1])
        return
    rivals = sorted(_claimants(net.vnis, {s.vni for s in subnets}, subnet_id))
    for one in (subnet_id, *rivals):
        yield from _whole_subnet(net, one)
        yield from _relays(net, net.vpc_of(one))
    if len({filters.as_members_see(s) for s in subnets}) > 1 or len(subnets) == 1:
        yield from filters.of_subnet(net, subnet_id, {s.vpc_id for s in subnets})
        for one in rivals:
            yield from filters.of_subnet(net, one, ())
    vpc_ids = {subnet.vpc_id for subnet in subnets}
    vpc_ids.update(net.subnets[one].vpc_id for one in rivals)
    yield from outward.of_subnet(net, subnet_id, sorted(vpc_ids))
    yield from outward.of_vni(net, {subnet.vni for subnet in subnets})
    for subnet in subnets:
        pairs = net.segment(subnet_id).pairs
        yield from (VpcPairPiece(subnet.vpc_id, ip) for ip in pairs)
        yield from _relays(net, subnet.vpc_id)
        for block in blocks_of(subnet):
            yield from (SubnetPiece(other) for other in net.blocks.of(block))


def _as_all_see(subnet: Subnet) -> tuple[object, ...]:
    """Return what is read of a subnet by all its ports, by gateways and relays."""
    return (subnet.vpc_id, subnet.vni, subnet.cidr, subnet.gateway, subnet.ipv6_cidr)


def _ipv6_gateways(net: Network, old: Subnet, new: Subnet) -> Iterator[Piece]:
    """Yield what depends on the router's IPv6 address beside the subnet: who else has it."""
    if old.ipv6_gateway == new.ipv6_gateway:
        return
    for ip in (old.ipv6_gateway, new.ipv6_gateway):
        if ip is not None:
            yield PairPiece(new.id, ip)
            yield from map(SubnetPiece, net.blocks.of((new.vpc_id, ip)))
            for port_id in net.segment(new.id).ipv6.of(int(ip)):
                yield from _one_port(net, port_id)


def _whole_subnet(net: Network, subnet_id: str) -> Iterator[Piece]:
    yield SubnetPiece(subnet_id)
    segment = net.segments.get(subnet_id)
    if segment is None:
        return
    yield from (PortPiece(port_id) for port_id in segment.ports)
    for host_id, here in segment.placed.items():
        yield from (EdgePiece(host_id, port_id) for port_id in here)
        yield from (LocalFloodPiece(host_id, subnet_id, *one) for one in here.branches())
    yield from (RemoteFloodPiece(subnet_id, shard) for shard in range(SHARDS))
    yield from (PairPiece(subnet_id, ip) for ip in segment.pairs)
    yield from (PairMacPiece(subnet_id, mac) for mac in segment.pair_macs)


def _relays(net: Network, vpc_id: str | None) -> Iterator[Piece]:
    """Yield what hosts have while they load a VPC."""
    for relay_id in () if vpc_id is None else net.relays_of.get(vpc_id, ()):
        yield from _relay(net.relays[relay_id])


def _relay(relay: Relay) -> Iterator[Piece]:
    yield RelayPiece(relay.host_id, relay.vpc_id)
    yield AdmitPiece(relay.via_id, relay.host_id, relay.vpc_id)


def _by_port(net: Network, port_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    ports = [state for state in states if isinstance(state, Port)]
    yield from filters.by_port(net, ports)
    location = net.locations.get(port_id)
    places = [] if location is None else [location]
    yield from _placements(net, ports, places)
    for port in ports:
        vpc_id = net.vpc_of(port.subnet_id)
        if vpc_id is not None:
            yield from (VpcPairPiece(vpc_id, ip) for ip, _ in single_pairs(port))
    keys = _claimants(net.port_keys, {port.key for port in ports}, port_id)
    for other in sorted(keys):
        yield from _one_port(net, other)
    for port in ports:
        for other in outward.global_rivals(net, port):
            yield from outward.of_port(net, other, (net.ports[other],))
        segment = net.segments.get(port.subnet_id)
        if segment is None:
            continue
        rivals = _claimants(segment.macs, (port.mac,), port_id)
        yield PairMacPiece(port.subnet_id, port.mac)
        yield PairPiece(port.subnet_id, link_local(port.mac))
        for ip in port.ips:
            rivals |= _claimants(segment.fixed(ip), (int(ip),), port_id)
            yield PairPiece(port.subnet_id, ip)
        for other in sorted(rivals):
            yield PortPiece(other)
            yield from outward.of_port(net, other, (net.ports[other],))


def _by_location(net: Network, port_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    places = [state for state in states if isinstance(state, Location)]
    port = net.ports.get(port_id)
    yield from _placements(net, () if port is None else (port,), places)
    for place in places:
        claims = net.ofports.get(place.host_id)
        if claims is not None:
            for other in sorted(_claimants(claims, (place.ofport,), port_id)):
                yield from _one_port(net, other)


def _one_port(net: Network, port_id: str) -> Iterator[Piece]:
    """Yield all that depends on whether one port, as it is, is in service."""
    port, location = net.ports.get(port_id), net.locations.get(port_id)
    if port is not None:
        yield from _placements(net, (port,), () if location is None else (location,))


def _placements(net: Network, ports: Iterable[Port], places: Iterable[Location]) -> Iterator[Piece]:
    """Yield what depends on any of *ports*' states being at any of *places*."""
    places = tuple(places)
    ports = tuple(ports)
    for port_id in dict.fromkeys(port.id for port in ports):
        yield from outward.of_port(net, port_id, ports, places)
    for port in ports:
        yield PortPiece(port.id)
        yield from (PairPiece(port.subnet_id, ip) for ip, _ in single_pairs(port))
        yield from (PairMacPiece(port.subnet_id, mac) for mac in foreign_macs(port))
        for place in places:
            host = net.hosts.get(place.host_id)
            yield EdgePiece(place.host_id, port.id)
            yield from _branches(net, port, place.host_id)
            if host is not None:
                yield RemoteFloodPiece(port.subnet_id, shard_of(host.key))


def _branches(net: Network, port: Port, host_id: str) -> Iterator[Piece]:
    """Yield the leaf of a port, and the branches that lose or gain one with it."""
    here = net.segment(port.subnet_id).placed.get(host_id, Residents())
    leaf, *above = branch(port.key)
    yield LocalFloodPiece(host_id, port.subnet_id, *leaf)
    if set(here.leaf(leaf[1])) - {port.id}:
        return
    below = leaf[1]
    for position in above:
        yield LocalFloodPiece(host_id, port.subnet_id, *position)
        if set(here.below(*position)) - {below}:
            return
        below = position[1]


def _by_host(net: Network, host_id: str, old: object, new: object) -> Iterator[Piece]:
    yield BasePiece(host_id)
    yield PeerPiece(host_id)
    hosts = [state for state in (old, new) if isinstance(state, Host)]
    yield from outward.by_host(net, host_id, hosts)
    rivals = {one for host in hosts if host.vtep is not None for one in net.vteps.of(host.vtep)}
    for one in sorted(rivals - {host_id}):
        yield from outward.by_host(net, one, (net.hosts[one],))
    for relay in net.relays.values():
        if not {host_id, *rivals}.isdisjoint((relay.host_id, relay.via_id)):
            yield from _relay(relay)
    for host in hosts:
        if host.vtep is not None:
            others = (other for other in net.vteps.of(host.vtep) if other != host_id)
            yield from (PeerPiece(other) for other in others)
    if len(hosts) == 2 and _as_ports_see(hosts[0]) == _as_ports_see(hosts[1]):
        if hosts[0].tunnel_ofport != hosts[1].tunnel_ofport:
            yield from _at_tunnels(net, host_id, hosts)
        return
    for subnet_id in sorted(net.subnets_at.get(host_id, ())):
        for port_id in net.segments[subnet_id].placed[host_id]:
            yield from _one_port(net, port_id)
        yield from (RemoteFloodPiece(subnet_id, shard_of(host.key)) for host in hosts)


def _at_tunnels(net: Network, host_id: str, hosts: Iterable[Host]) -> Iterator[Piece]:
    """Yield the ports whose ofport is, or was, the one of their host's tunnel."""
    claims: Claims[int] = net.ofports.get(host_id, Claims())
    for host in hosts:
        if host.tunnel_ofport is not None:
            for port_id in sorted(claims.of(host.tunnel_ofport)):
                yield from _one_port(net, port_id)


def _as_ports_see(host: Host) -> tuple[object, ...]:
    """Return what flows of ports depend on, whichever ofport they have."""
    return (host.key, host.vtep, bool(host.outside))
