"""What a change of external networks, gateways, EIPs and route tables may touch.

An EIP that comes or goes is the business of its port's host and of the gateway hosts that may stand
in; a gateway is that of all hosts of its VPC. An external network's own change is rare, and looks
at every gateway of it.
"""

from collections.abc import Collection, Iterable, Iterator

from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import Host, networks_reached
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.outside import Gateway, global_addresses
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.pieces import (
    EipPiece,
    GatewayPiece,
    GlobalPiece,
    OutsidePiece,
    Piece,
    RouteTablePiece,
    SubnetPiece,
    VpcPairPiece,
    VpcPiece,
)
from vpcctl.pipeline.residence import internet_targets, table_of

# --- what a host has ------------------------------------------------------------------------------


def head(net: Network, host_id: str, vpc_id: str) -> Iterator[Piece]:
    """Yield a VPC's pieces on a host that are about what leaves it, but for EIPs."""
    yield VpcPiece(vpc_id)
    yield from vpc_pairs(net, vpc_id)
    yield from map(RouteTablePiece, sorted(net.outside.tables_of.get(vpc_id, ())))
    for gateway_id in sorted(net.outside.gateways_of(vpc_id)):
        yield GatewayPiece(host_id, gateway_id)


def vpc_pairs(net: Network, vpc_id: str) -> Iterator[VpcPairPiece]:
    """Yield the single allowed pairs of a VPC's ports, each once."""
    segments = (net.segments.get(one) for one in sorted(net.subnets_of.get(vpc_id, ())))
    ips = dict.fromkeys(ip for one in segments if one is not None for ip in one.pairs)
    yield from (VpcPairPiece(vpc_id, ip) for ip in ips)


def resident(net: Network, host_id: str, vpc_id: str) -> Iterator[EipPiece | GlobalPiece]:
    """Yield a VPC's EIPs and global addresses that may be resident on a host."""
    outside = net.outside
    stands_in = any(host_id in one.hosts for one in _internet(net, vpc_id))
    ids: dict[str, None] = {}
    for subnet_id in sorted(net.subnets_of.get(vpc_id, ())):
        for port_id in sorted(outside.facing.get(subnet_id, ())):
            if not (stands_in or _is_on(net, port_id, host_id)):
                continue
            ids.update(dict.fromkeys(outside.eips_of_port.get(port_id, ())))
            if global_addresses(net.ports[port_id]):
                yield GlobalPiece(host_id, port_id)
    for gateway_id in outside.nats_of.get(vpc_id, ()):
        if host_id in outside.nats[gateway_id].hosts:
            ids.update(dict.fromkeys(outside.eips_of_nat.get(gateway_id, ())))
    yield from (EipPiece(host_id, eip_id) for eip_id in ids)


def _is_on(net: Network, port_id: str, host_id: str) -> bool:
    location = net.locations.get(port_id)
    return location is not None and location.host_id == host_id


def _internet(net: Network, vpc_id: str | None) -> Iterator[InternetGateway]:
    if vpc_id is not None:
        for gateway_id in net.outside.internet_of.get(vpc_id, ()):
            yield net.outside.internet[gateway_id]


def vpc_of(net: Network, piece: RouteTablePiece | GatewayPiece | EipPiece) -> str | None:
    """Return the VPC that brings a piece to a host, or None when there is none now."""
    match piece:
        case RouteTablePiece(table_id):
            table = net.outside.tables.get(table_id)
            return None if table is None else table.vpc_id
        case GatewayPiece(_, gateway_id):
            gateway = net.outside.gateway(gateway_id)
            return None if gateway is None else gateway.vpc_id
        case EipPiece(_, eip_id):
            eip = net.outside.eips.get(eip_id)
            return None if eip is None else _vpc_of_eip(net, eip)


def _vpc_of_eip(net: Network, eip: Eip) -> str | None:
    if eip.nat_gateway_id is not None:
        nat = net.outside.nats.get(eip.nat_gateway_id)
        return None if nat is None else nat.vpc_id
    port = None if eip.port_id is None else net.ports.get(eip.port_id)
    return None if port is None else net.vpc_of(port.subnet_id)


def cookies(net: Network, vpc_id: str) -> Iterator[int]:
    """Yield the cookies of a VPC's route tables, gateways and EIPs."""
    outside = net.outside
    for table_id in outside.tables_of.get(vpc_id, ()):
        yield cookie(Feature.ROUTES, outside.tables[table_id].key)
    for gateway_id in outside.gateways_of(vpc_id):
        gateway = outside.gateway(gateway_id)
        if gateway is not None:
            yield cookie(Feature.GATEWAY, gateway.vni)
            yield cookie(Feature.EXHAUSTED, gateway.vni)
        for eip_id in outside.eips_of_nat.get(gateway_id, ()):
            yield cookie(Feature.EIP, outside.eips[eip_id].key)
    for eip in _eips_of_vpc(net, vpc_id):
        yield cookie(Feature.EIP, eip.key)


# --- EIPs -----------------------------------------------------------------------------------------


def by_eip(net: Network, eip_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on an EIP, as it was and as it will be."""
    for eip in (state for state in states if isinstance(state, Eip)):
        yield from _eip(net, eip)
        rivals = {*net.outside.eip_keys.of(eip.key)}
        rivals.update(net.outside.addresses.of((eip.external_network_id, eip.address)))
        if eip.port_id is not None and eip.fixed_ip is not None:
            rivals.update(net.outside.fixed.of((eip.port_id, eip.fixed_ip)))
        for rival in sorted(rivals - {eip_id}):
            yield from _eip(net, net.outside.eips[rival])


def _eip(net: Network, eip: Eip) -> Iterator[Piece]:
    """Yield an EIP where it may be resident, and the choice of its NAT gateway."""
    yield from (EipPiece(host_id, eip.id) for host_id in _homes(net, eip))
    gateway = net.outside.nats.get(eip.nat_gateway_id or "")
    if gateway is not None:
        yield from (GatewayPiece(host_id, gateway.id) for host_id in gateway.hosts)


def _homes(net: Network, eip: Eip) -> dict[str, None]:
    """Return the hosts where an EIP may be resident."""
    homes: dict[str, None] = {}
    port = None if eip.port_id is None else net.ports.get(eip.port_id)
    if port is not None:
        location = net.locations.get(port.id)
        if location is not None:
            homes[location.host_id] = None
        for gateway in _internet(net, net.vpc_of(port.subnet_id)):
            homes.update(dict.fromkeys(gateway.hosts))
    nat = net.outside.nats.get(eip.nat_gateway_id or "")
    return homes if nat is None else {**homes, **dict.fromkeys(nat.hosts)}


def of_port(
    net: Network, port_id: str, ports: Collection[Port], places: Iterable[Location] = ()
) -> Iterator[Piece]:
    """Yield what leads to a port from outside, for any of its states at any of *places*."""
    yield from map(RouteTablePiece, net.outside.tables_to.get(port_id, ()))
    ids = net.outside.eips_of_port.get(port_id, ())
    is_global = any(global_addresses(port) for port in ports)
    if not ids and not is_global:
        return
    location = net.locations.get(port_id)
    homes = dict.fromkeys(place.host_id for place in (*places, location) if place is not None)
    for vpc_id in {net.vpc_of(port.subnet_id) for port in ports}:
        for gateway in _internet(net, vpc_id):
            homes.update(dict.fromkeys(gateway.hosts))
    if is_global:
        yield from (GlobalPiece(host_id, port_id) for host_id in homes)
    for eip_id in ids:
        everywhere = {**_homes(net, net.outside.eips[eip_id]), **homes}
        yield from (EipPiece(host_id, eip_id) for host_id in everywhere)


def global_rivals(net: Network, port: Port) -> list[str]:
    """Return the other ports that claim one of a port's global addresses."""
    claimants = (one for ip in global_addresses(port) for one in net.outside.global_ips.of(ip))
    return sorted(set(claimants) - {port.id})


def _global(net: Network, ports: Iterable[str], hosts: Iterable[str] = ()) -> Iterator[GlobalPiece]:
    """Yield global addresses of *ports* where they may be resident now, and on *hosts*."""
    hosts = tuple(hosts)
    for port_id in ports:
        port = net.ports[port_id]
        if global_addresses(port):
            location = net.locations.get(port_id)
            homes = dict.fromkeys(hosts)
            for gateway in _internet(net, net.vpc_of(port.subnet_id)):
                homes.update(dict.fromkeys(gateway.hosts))
            if location is not None:
                homes[location.host_id] = None
            yield from (GlobalPiece(host_id, port_id) for host_id in homes)


def _facing(net: Network, vpc_id: str) -> Iterator[str]:
    """Yield the ports of a VPC that have an address outside."""
    for subnet_id in net.subnets_of.get(vpc_id, ()):
        yield from net.outside.facing.get(subnet_id, ())


def _eips_of_vpc(net: Network, vpc_id: str) -> Iterator[Eip]:
    for subnet_id in net.subnets_of.get(vpc_id, ()):
        for port_id in net.outside.facing.get(subnet_id, ()):
            for eip_id in net.outside.eips_of_port.get(port_id, ()):
                yield net.outside.eips[eip_id]


# --- gateways -------------------------------------------------------------------------------------


def by_gateway(net: Network, gateway_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on a gateway, as it was and as it will be."""
    outside = net.outside
    found = [state for state in states if isinstance(state, InternetGateway | NatGateway)]
    for gateway in found:
        yield from _gateway(net, gateway)
        rivals = {*outside.vnis.of(gateway.vni)}
        if isinstance(gateway, NatGateway):
            rivals.update(outside.zones.of(gateway.key))
        for rival in sorted(rivals - {gateway_id}):
            other = outside.gateway(rival)
            if other is not None:
                yield from _gateway(net, other)


def _gateway(net: Network, gateway: Gateway) -> Iterator[Piece]:
    """Yield a gateway on all hosts that have it or will have, with its EIPs and routes to it."""
    hosts = dict.fromkeys((*gateway.hosts, *sorted(net.hosts_of(gateway.vpc_id))))
    yield from (GatewayPiece(host_id, gateway.id) for host_id in hosts)
    yield from map(RouteTablePiece, net.outside.tables_to.get(gateway.id, ()))
    if isinstance(gateway, InternetGateway):
        eips: Iterable[Eip] = _eips_of_vpc(net, gateway.vpc_id)
        yield from _global(net, _facing(net, gateway.vpc_id), gateway.hosts)
    else:
        eips = (net.outside.eips[one] for one in net.outside.eips_of_nat.get(gateway.id, ()))
    for eip in eips:
        for host_id in {**_homes(net, eip), **dict.fromkeys(gateway.hosts)}:
            yield EipPiece(host_id, eip.id)


def of_vni(net: Network, vnis: Iterable[int]) -> Iterator[Piece]:
    """Yield the gateways that have one of *vnis*: a subnet with it takes it from them."""
    for vni in vnis:
        for gateway_id in net.outside.vnis.of(vni):
            gateway = net.outside.gateway(gateway_id)
            if gateway is not None:
                yield from _gateway(net, gateway)


def of_vpc(net: Network, vpc_id: str) -> Iterator[Piece]:
    """Yield everything of a VPC that is about what leaves it, or comes from outside."""
    yield VpcPiece(vpc_id)
    yield from vpc_pairs(net, vpc_id)
    yield from map(RouteTablePiece, net.outside.tables_of.get(vpc_id, ()))
    for gateway_id in sorted(net.outside.gateways_of(vpc_id)):
        gateway = net.outside.gateway(gateway_id)
        if gateway is not None:
            yield from _gateway(net, gateway)


def of_subnet(net: Network, subnet_id: str, vpc_ids: Collection[str]) -> Iterator[Piece]:
    """Yield what leads from outside into a subnet, and into the others of its VPCs, old and new."""
    for vpc_id in vpc_ids:
        yield from map(RouteTablePiece, net.outside.tables_of.get(vpc_id, ()))
        yield from _global(net, _facing(net, vpc_id))
        for eip in _eips_of_vpc(net, vpc_id):
            yield from (EipPiece(host_id, eip.id) for host_id in _homes(net, eip))
    serving = [one for vpc_id in vpc_ids for igw in _internet(net, vpc_id) for one in igw.hosts]
    port_ids = net.outside.facing.get(subnet_id, ())
    yield from _global(net, port_ids, serving)
    for port_id in port_ids:
        for eip_id in net.outside.eips_of_port.get(port_id, ()):
            homes = {**_homes(net, net.outside.eips[eip_id]), **dict.fromkeys(serving)}
            yield from (EipPiece(host_id, eip_id) for host_id in homes)


# --- route tables ---------------------------------------------------------------------------------


def by_route_table(net: Network, table_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on a route table, as it was and as it will be."""
    tables = [state for state in states if isinstance(state, RouteTable)]
    yield RouteTablePiece(table_id)
    if len({(one.vpc_id, one.key, one.is_main) for one in tables}) == 1 and len(tables) == 2:
        if internet_targets(tables[0]) != internet_targets(tables[1]):
            for subnet_id in _asking(net, tables[1]):
                yield from _global(net, net.outside.facing.get(subnet_id, ()))
        return
    rivals = {one for table in tables for one in net.outside.table_keys.of(table.key)} - {table_id}
    yield from map(RouteTablePiece, sorted(rivals))
    for table in (*tables, *(net.outside.tables[one] for one in sorted(rivals))):
        for subnet_id in _asking(net, table):
            yield SubnetPiece(subnet_id)
            yield from _global(net, net.outside.facing.get(subnet_id, ()))


def _asking(net: Network, table: RouteTable) -> Iterator[str]:
    """Yield the subnets that ask a route table: those that name it, or none if it is a main one."""
    yield from net.table_subnets.get(table.id, ())
    if table.is_main:
        for subnet_id in sorted(net.subnets_of.get(table.vpc_id, ())):
            if net.subnets[subnet_id].route_table_id is None:
                yield subnet_id


def by_table_of_subnet(net: Network, old: Subnet, new: Subnet) -> Iterator[Piece]:
    """Yield what depends on which route table a subnet names, but for the subnet's own piece."""
    if _ways_out(net, old) != _ways_out(net, new):
        yield from _global(net, net.outside.facing.get(new.id, ()))


def _ways_out(net: Network, subnet: Subnet) -> tuple[str, ...]:
    """Return the internet gateways that a subnet's route table leads to."""
    table = table_of(net, subnet)
    return () if table is None else internet_targets(table)


# --- external networks and hosts ------------------------------------------------------------------


def by_network(net: Network, network_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on an external network, as it was and as it will be."""
    networks = [state for state in states if isinstance(state, ExternalNetwork)]
    keys = {one.key for one in networks}
    rivals = {one for key in keys for one in net.outside.network_keys.of(key)} - {network_id}
    seen = {_as_gateways_know(one) for one in networks}
    same = len(networks) == 2 and len(seen) == 1
    for one in (network_id, *sorted(rivals)):
        for host in net.hosts.values():
            if any(port.external_network_id == one for port in host.outside):
                yield OutsidePiece(host.id, one)
        for gateway_id in () if same else sorted(net.outside.on_network.get(one, ())):
            gateway = net.outside.gateway(gateway_id)
            if gateway is not None:
                yield from _gateway(net, gateway)


def _as_gateways_know(network: ExternalNetwork) -> tuple[object, ...]:
    """Return what gateways and addresses depend on in a network."""
    sizes = (network.most_inwards is None, network.most_outwards)
    return (network.key, network.ipv6_cidr is None, *sizes)


def by_host(net: Network, host_id: str, hosts: Iterable[Host]) -> Iterator[Piece]:
    """Yield what depends on how a host reaches external networks, and whom it watches."""
    hosts = tuple(hosts)
    if len(hosts) == 2 and _as_gateways_see(hosts[0]) == _as_gateways_see(hosts[1]):
        return
    for host in hosts:
        yield from (OutsidePiece(host_id, one.external_network_id) for one in host.outside)
    yield from _first_or_last(net, host_id, hosts)
    for vpc_id in sorted({*net.vpcs_at(host_id), *_meant_for(net, host_id)}):
        for gateway_id in sorted(net.outside.gateways_of(vpc_id)):
            gateway = net.outside.gateway(gateway_id)
            if gateway is None:
                continue
            yield GatewayPiece(host_id, gateway_id)
            if host_id in gateway.hosts:
                yield from _gateway(net, gateway)
        yield from resident(net, host_id, vpc_id)
    for subnet_id in sorted(net.subnets_at.get(host_id, ())):
        facing = net.outside.facing.get(subnet_id, ())
        here = [port_id for port_id in facing if _is_on(net, port_id, host_id)]
        yield from _global(net, here)
        for port_id in here:
            for eip_id in net.outside.eips_of_port.get(port_id, ()):
                eip = net.outside.eips[eip_id]
                yield from (EipPiece(one, eip_id) for one in _homes(net, eip))


def _first_or_last(net: Network, host_id: str, hosts: tuple[Host, ...]) -> Iterator[Piece]:
    """Yield routes to the networks that no other host reaches, where a host's way comes or goes."""
    changed: frozenset[str] = frozenset()
    for host in hosts:
        changed ^= networks_reached(host)
    for network_id in sorted(changed):
        if net.reaching.get(network_id, set()) <= {host_id}:
            for gateway_id in sorted(net.outside.on_network.get(network_id, ())):
                yield from map(RouteTablePiece, net.outside.tables_to.get(gateway_id, ()))


def _meant_for(net: Network, host_id: str) -> set[str]:
    """Return the VPCs that a host would have if it were there."""
    gateways = map(net.outside.gateway, net.outside.gateways_on.get(host_id, ()))
    found = {one.vpc_id for one in gateways if one is not None}
    subnets = map(net.vpc_of, net.subnets_at.get(host_id, ()))
    return found | {vpc_id for vpc_id in subnets if vpc_id is not None}


def _as_gateways_see(host: Host) -> tuple[object, ...]:
    return (
        host.vtep,
        host.tunnel_ofport,
        host.outside,
        host.watches,
        host.nd_extensions,
        host.has_guest_port,
    )
