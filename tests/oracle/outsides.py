"""Random networks with a world outside, and what is sent out of them, in, and to each other."""

import dataclasses
import ipaddress
from collections.abc import Iterator
from itertools import count
from random import Random

from hypothesis import strategies as st

from tests.oracle.oracle import ROUTER_MAC, Packet, World, text
from tests.oracle.ours import Beyond
from tests.oracle.secured import with_acls
from tests.oracle.worlds import ABROAD4, ABROAD6, GLOBAL, misrouted, worlds
from tests.support import networks as n
from tests.support import packets
from vpcctl.model.eip import Eip, outside_mac
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.host import Host
from vpcctl.model.port import Port
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

NETWORKS = (n.outside(1, "203.0.113.0/24", "2001:db8:f1::/64"), n.outside(2, "198.51.100.0/24"))
WAYS = {NETWORKS[0].id: 9, NETWORKS[1].id: 8}
ROUTER, FAR, FAR6 = "02:00:00:00:00:01", "192.0.2.77", "2001:db8:99::1"
NOWHERE = ("192.0.2.1", "203.0.113.50", "203.0.113.0", "203.0.113.255", "10.0.77.1", "169.254.1.1")
LIES = {
    4: ("10.0.1.10", "10.0.99.1", ABROAD4),
    6: (*("fd00:1::a", "fe80::7", "::", ABROAD6), *(f"2001:db8:{one}1::a" for one in (1, 2))),
}
"""Sources from which somebody outside may send who wants to pass for somebody within."""
Whole = tuple[World, Beyond]


def blocks(vpc_key: int) -> tuple:
    """The blocks of a VPC: its subnets', private and global."""
    routed = ipaddress.ip_network(GLOBAL.format(vpc_key, 0)).supernet(new_prefix=44)
    return (ipaddress.ip_network("10.0.0.0/16"), ipaddress.ip_network("fd00::/16"), routed)


def _reaching(chance: Random, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
    """Hosts that reach some networks, each of which watches all others."""
    made, at_all = [], chance.choice((*(NETWORKS,) * 4, NETWORKS[1:], NETWORKS[:1]))
    for host in hosts:
        some = chance.choice((NETWORKS[:1], NETWORKS[:1], NETWORKS, NETWORKS, NETWORKS[1:], ()))
        some = tuple(one for one in some if one in at_all)
        others = [(one, 40 + one.key) for one in hosts if one.id != host.id]
        reached = n.reaching(host, *((one, WAYS[one.id]) for one in some))
        made.append(n.watching(reached, *others))
    return tuple(made)


def _network(chance: Random) -> ExternalNetwork:
    return NETWORKS[chance.random() < 0.3]


def _standing(chance: Random, hosts: tuple[Host, ...]) -> tuple[list[Host], tuple[str, ...]]:
    """Gateway hosts in order, and which of them are leaving."""
    chosen = chance.sample(hosts, min(chance.choice((0, 1, 2, 2, 2, 3, 3)), len(hosts)))
    return chosen, tuple(one.id for one in chosen if chance.random() < 0.3)


def _internet(
    chance: Random, vpcs: tuple[Vpc, ...], hosts: tuple[Host, ...]
) -> Iterator[InternetGateway]:
    for vpc in vpcs:
        chosen, leaving = _standing(chance, hosts)
        gateway = n.igw(vpc.key, vpc, _network(chance), *chosen)
        yield dataclasses.replace(gateway, leaving=leaving)


def _nats(chance: Random, vpcs: tuple[Vpc, ...], world: World) -> Iterator[NatGateway]:
    """Make a NAT gateway for each VPC, with forwards to one of its ports."""
    for vpc in vpcs:
        network, (chosen, leaving) = _network(chance), _standing(chance, world.hosts)
        homes = {one.id for one in world.subnets if one.vpc_id == vpc.id}
        ports = [one for one in world.ports if one.subnet_id in homes]
        forwards: tuple[Forward, ...] = ()
        if ports and chance.random() < 0.7:
            forwards = _forwards(chance, first_of(network, vpc.key), chance.choice(ports))
        gateway = n.nat(vpc.key, vpc, network, *chosen, forwards=forwards)
        yield dataclasses.replace(gateway, leaving=leaving)


def first_of(network: ExternalNetwork, nat_key: int) -> str:
    """The first EIP of a NAT gateway."""
    assert network.cidr is not None
    return str(network.cidr[100 + 10 * nat_key])


def _forwards(chance: Random, eip: str, target: Port) -> tuple[Forward, ...]:
    to = str(target.ips[0])
    tcp = n.forward(eip, 6, (8080, 8083), to, chance.choice((8080, 80)))
    return (tcp, n.forward(eip, 17, (5000, 5000), to, chance.choice((53, 5000))))


def _eips(
    chance: Random, world: World, gateways: tuple[InternetGateway, ...], nats: tuple
) -> Iterator[Eip]:
    """Make EIPs of ports, and up to three of each NAT gateway."""
    networks, subnets = {one.id: one for one in NETWORKS}, {one.id: one for one in world.subnets}
    for number, port in enumerate(world.ports, 10):
        if chance.random() < 0.7:
            vpc_id = subnets[port.subnet_id].vpc_id
            gateway = next(one for one in gateways if one.vpc_id == vpc_id)
            network = networks[gateway.external_network_id]
            yield n.eip(number, network, str(network.cidr[number]), port)
    for nat in nats:
        network = networks[nat.external_network_id]
        first = ipaddress.ip_address(first_of(network, nat.key))
        for at in range(chance.choice((0, 1, 2, 2, 3))):
            yield n.eip(100 + 10 * nat.key + at, network, str(first + at), nat)


def _tables(
    chance: Random, vpc: Vpc, world: World, ways: tuple[Target, ...]
) -> Iterator[RouteTable]:
    """Make a VPC's main table and another one."""
    for nth in (0, 1):
        table = n.table(10 * vpc.key + nth, vpc, *_routes(chance, world, ways), main=nth == 0)
        dead = (chance.choice(world.hosts).id,) if chance.random() < 0.4 else ()
        yield dataclasses.replace(table, dead_hosts=dead)


def _routes(chance: Random, world: World, ways: tuple[Target, ...]) -> Iterator[Route]:
    """Make routes that have up to four targets each, of which some are dead."""
    nowhere = (Target("internet", "igw-none"), Target("port", "port-none"), Target("nat", "none"))
    ports = [Target("port", one.id) for one in world.ports[:4]]
    for block in ("0.0.0.0/0", "::/0", "192.0.2.0/24", "192.0.2.64/26", "2001:db8:99::/48"):
        if not block.endswith("/0") and chance.random() < 0.6:
            continue
        mine = [one for one in ways if "." in block or one.kind != "nat"]
        some = [*mine, *ports, *nowhere]
        targets = chance.sample(some, chance.choice((0, 1, 2, 3, 4)))
        if chance.random() < 0.7:
            targets = list(dict.fromkeys((chance.choice(mine), *targets[2:])))
        yield Route(ipaddress.ip_network(block), tuple(targets))


def _routed(chance: Random, subnet: Subnet, tables: tuple[RouteTable, ...]) -> Subnet:
    second = next(one.id for one in tables if one.vpc_id == subnet.vpc_id and not one.is_main)
    return dataclasses.replace(subnet, route_table_id=chance.choice((None, None, second)))


@st.composite
def wholes(draw: st.DrawFn) -> Whole:
    """A world, and what is beyond it.

    What is beyond is drawn by a number alone: drawn one by one, most of it would be the first that
    may be, and gateways and routes have to fit together for anything to leave.
    """
    world, vpcs = draw(worlds(all_have_ipv4=True, some_are_global=True))
    world = draw(st.one_of(st.just(world), with_acls(world, vpcs)))
    chance = Random(f"{draw(st.integers(0, 2**32))} {world}")
    vpcs = tuple(dataclasses.replace(one, cidrs=blocks(one.key)) for one in vpcs)
    ports = tuple(
        dataclasses.replace(one, checks_addresses=chance.random() < 0.5) for one in world.ports
    )
    world = dataclasses.replace(world, hosts=_reaching(chance, world.hosts), ports=ports)
    gateways = tuple(_internet(chance, vpcs, world.hosts))
    nats = tuple(_nats(chance, vpcs, world))
    tables = []
    for vpc, gateway, nat in zip(vpcs, gateways, nats, strict=True):
        ways = (Target("internet", gateway.id), Target("nat", nat.id))
        tables += _tables(chance, vpc, world, ways)
    subnets = tuple(_routed(chance, one, tuple(tables)) for one in world.subnets)
    world = dataclasses.replace(world, subnets=subnets)
    eips = tuple(_eips(chance, world, gateways, nats))
    return world, Beyond(vpcs, NETWORKS, gateways, eips, tuple(tables), nats)


def resources(whole: Whole) -> tuple:
    """All that a network is made of."""
    world, beyond = whole
    below = (*world.hosts, *beyond.vpcs, *world.subnets, *world.ports, *world.locations)
    filters = (*world.groups, *world.address_groups, *world.acls)
    gateways = (*beyond.gateways, *beyond.nats)
    return (*below, *filters, *beyond.networks, *gateways, *beyond.eips, *beyond.tables)


# --- questions ------------------------------------------------------------------------------------


def _said(nth: int, eth: tuple[str, str], ip: tuple[str, str]) -> Packet:
    """A datagram, a segment or an echo request, in turns, and each time by other ports."""
    ports = (5000 + nth % 7, 53)
    made = (packets.udp(eth, ip, ports), packets.tcp(eth, ip, ports), packets.echo(eth, ip))
    return made[nth % 3]


def sent(whole: Whole) -> Iterator[tuple[Port, Packet]]:
    """What ports send to the world outside and to each other's addresses there."""
    world, beyond = whole
    placed, turn = {one.port_id for one in world.locations}, count()
    globally = [str(ip) for one in world.ports for ip in one.ips if str(ip).startswith("2001")]
    for port in (one for one in world.ports if one.id in placed):
        eth, own = (text(port.mac), ROUTER_MAC), str(port.ips[0])
        for address in (*NOWHERE, *(FAR,) * 6, *(str(one.address) for one in beyond.eips)):
            yield port, _said(next(turn), eth, (own, address))
        yield port, packets.echo(eth, (own, FAR), ttl=1)
        yield port, packets.udp(eth, ("10.99.0.1", FAR))
        yield port, packets.icmp(3, 1, eth, (own, "198.51.100.9"))
        yield from ((port, one) for one in _answers(port, beyond))
        if len(port.ips) > 1:
            six = str(port.ips[1])
            for address in (*(FAR6,) * 3, "2001:db8:98::1", "2001:db8:f1::50", *globally):
                yield port, _said(next(turn), eth, (six, address))
            yield port, misrouted(port, six, FAR6, port.key)


def _answers(port: Port, beyond: Beyond) -> Iterator[Packet]:
    """What a port that something is forwarded to says from there."""
    eth = (text(port.mac), ROUTER_MAC)
    for forward in (one for nat in beyond.nats for one in nat.forwards):
        if forward.target in port.ips:
            say = packets.tcp if forward.protocol == 6 else packets.udp
            last = forward.target_port + forward.ports[1] - forward.ports[0]
            for source in range(forward.target_port, last + 2):
                yield say(eth, (str(forward.target), FAR), (source, 4000))


def received(whole: Whole) -> Iterator[tuple[str, ExternalNetwork, Packet]]:
    """What hosts get from outside, by all their ways, for all that may be an address there."""
    world, beyond = whole
    turn, ways = count(), {network.id: network for network in NETWORKS}
    called = [(str(one.address), text(one.mac)) for one in beyond.eips]
    called += [(str(ip), text(outside_mac(one.key))) for one in world.ports for ip in one.ips[1:]]
    for host in world.hosts:
        for network in (ways[one.external_network_id] for one in host.outside):
            for address, mac in called:
                for packet in _inwards((address, mac), network, next(turn)):
                    yield host.id, network, packet
                for source in LIES[6 if ":" in address else 4]:
                    lie = _said(next(turn), (ROUTER, mac), (source, address))
                    yield host.id, network, lie
            yield from ((host.id, network, one) for one in _to_forwards(beyond))
            yield host.id, network, packets.udp((ROUTER, ROUTER_MAC), (FAR, "10.0.1.10"))


def _inwards(called: tuple[str, str], network: ExternalNetwork, nth: int) -> Iterator[Packet]:
    address, mac = called
    six = ":" in address
    for far in (FAR6,) if six else (FAR, "192.0.2.1"):
        yield _said(nth, (ROUTER, mac), (far, address))
    ends = (far, address)
    yield _said(nth + 1, (ROUTER, ROUTER), ends)
    yield packets.echo((ROUTER, mac), ends, ttl=1)
    if six:
        yield packets.solicit(ROUTER, str(network.ipv6_gateway or "fe80::1"), address)
        for kind in (136, 143):
            yield packets.icmp6(kind, (ROUTER, mac), ends)
            yield packets.icmp(kind, 0, (ROUTER, mac), ends)
    else:
        router = (ROUTER, str(network.gateway))
        yield packets.who_has(*router, address)
        yield packets.arp(2, (ROUTER, mac), router, (mac, address))
        yield packets.icmp((3, 11)[nth % 2], 0, (ROUTER, mac), ends)


def _to_forwards(beyond: Beyond) -> Iterator[Packet]:
    """What comes for ports that are forwarded, and for those beside them."""
    macs = {one.address: text(one.mac) for one in beyond.eips}
    for forward in (one for nat in beyond.nats for one in nat.forwards if one.eip in macs):
        eth, ends = (ROUTER, macs[forward.eip]), (FAR, str(forward.eip))
        first, last = forward.ports
        for port in range(first, last + 2):
            yield packets.tcp(eth, ends, (4000, port))
            yield packets.udp(eth, ends, (4000, port))
        for source in LIES[4]:
            yield packets.udp(eth, (source, str(forward.eip)), (4000, first))
            yield packets.tcp(eth, (source, str(forward.eip)), (4000, first))
