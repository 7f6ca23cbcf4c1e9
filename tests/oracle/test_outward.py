"""Random networks with a world outside: the flows must do what the oracle says."""

import dataclasses
import ipaddress
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.oracle.oracle import ROUTER_MAC, Packet, World, text
from tests.oracle.outward import Beyond, OutwardOracle
from tests.oracle.test_oracle import seen
from tests.oracle.worlds import misrouted, questions, worlds
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.tracing import Fabric
from vpcctl.flows import tables as t
from vpcctl.flows.flow import Flow
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway
from vpcctl.model.host import Host
from vpcctl.model.port import Port
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
_prefixes = (f"x{number}" for number in itertools.count())
NETWORKS = (n.outside(1, "203.0.113.0/24"), n.outside(2, "198.51.100.0/24"))
WAYS = {NETWORKS[0].id: 9, NETWORKS[1].id: 8}
ROUTER, FAR = "02:00:00:00:00:01", "192.0.2.77"
Whole = tuple[World, Beyond]


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


@st.composite
def _reaching(draw: st.DrawFn, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
    """Hosts that reach some networks, each of which watches all others."""
    made = []
    for host in hosts:
        some = draw(st.lists(st.sampled_from(NETWORKS), max_size=2, unique=True))
        others = [(one, 40 + one.key) for one in hosts if one.id != host.id]
        reached = n.reaching(host, *((one, WAYS[one.id]) for one in some))
        made.append(n.watching(reached, *others))
    return tuple(made)


@st.composite
def _gateways(
    draw: st.DrawFn, vpcs: tuple[Vpc, ...], hosts: tuple[Host, ...]
) -> tuple[InternetGateway, ...]:
    made = []
    for vpc in vpcs:
        chosen = draw(st.lists(st.sampled_from(hosts), max_size=3, unique=True))
        gateway = n.igw(vpc.key, vpc, draw(st.sampled_from(NETWORKS)), *chosen)
        leaving = tuple(one.id for one in chosen if draw(st.sampled_from((False, False, True))))
        made.append(dataclasses.replace(gateway, leaving=leaving))
    return tuple(made)


@st.composite
def _eips(draw: st.DrawFn, world: World, gateways: tuple[InternetGateway, ...]) -> tuple[Eip, ...]:
    subnets = {one.id: one for one in world.subnets}
    made = []
    for number, port in enumerate(world.ports, 10):
        if draw(st.sampled_from((True, True, False))):
            vpc_id = subnets[port.subnet_id].vpc_id
            gateway = next(one for one in gateways if one.vpc_id == vpc_id)
            network = next(one for one in NETWORKS if one.id == gateway.external_network_id)
            made.append(n.eip(number, network, str(network.cidr[number]), port))
    return tuple(made)


@st.composite
def _table(draw: st.DrawFn, number: int, vpc: Vpc, world: World, main: bool) -> RouteTable:
    """A route has at most one target that is alive."""
    blocks = ("0.0.0.0/0", "192.0.2.0/24", "192.0.2.64/26", "::/0", "2001:db8:99::/48")
    routes = []
    for block in draw(st.lists(st.sampled_from(blocks), max_size=4, unique=True)):
        dead = (Target("internet", "igw-none"), Target("port", "port-none"), Target("nat", "none"))
        ports = [Target("port", one.id) for one in world.ports]
        live = (Target("internet", f"igw-{vpc.key:017x}"), *ports[:3])
        targets = draw(st.sampled_from([(), *((one,) for one in live * 3), dead]))
        if targets and draw(st.booleans()):
            targets = (*targets, dead[0])
        routes.append(Route(ipaddress.ip_network(block), targets))
    if draw(st.booleans()):
        default = Route(ipaddress.ip_network("0.0.0.0/0"), live_default(vpc))
        routes = [one for one in routes if one.destination != default.destination] + [default]
    return n.table(number, vpc, *routes, main=main)


def live_default(vpc: Vpc) -> tuple[Target, ...]:
    return (Target("internet", f"igw-{vpc.key:017x}"),)


@st.composite
def wholes(draw: st.DrawFn) -> Whole:
    world, vpcs = draw(worlds(all_have_ipv4=True))
    block = (ipaddress.ip_network("10.0.0.0/16"), ipaddress.ip_network("fd00::/16"))
    vpcs = tuple(dataclasses.replace(one, cidrs=block) for one in vpcs)
    hosts = draw(_reaching(world.hosts))
    ports = tuple(
        dataclasses.replace(one, checks_addresses=draw(st.booleans())) for one in world.ports
    )
    world = dataclasses.replace(world, hosts=hosts, ports=ports)
    gateways = draw(_gateways(vpcs, hosts))
    tables = tuple(
        draw(_table(10 * vpc.key + nth, vpc, world, nth == 0)) for vpc in vpcs for nth in (0, 1)
    )
    subnets = tuple(draw(_routed(one, tables)) for one in world.subnets)
    world = dataclasses.replace(world, subnets=subnets)
    return world, Beyond(vpcs, NETWORKS, gateways, draw(_eips(world, gateways)), tables)


@st.composite
def _routed(draw: st.DrawFn, subnet: Subnet, tables: tuple[RouteTable, ...]) -> Subnet:
    second = next(one.id for one in tables if one.vpc_id == subnet.vpc_id and not one.is_main)
    return dataclasses.replace(subnet, route_table_id=draw(st.sampled_from((None, None, second))))


def sent(whole: Whole) -> Iterator[tuple[Port, Packet]]:
    """What ports send to the world outside and to each other's EIPs."""
    world, beyond = whole
    placed = {one.port_id for one in world.locations}
    nowhere = (FAR, "192.0.2.1", "203.0.113.50", "10.0.77.1", "169.254.1.1")
    for port in (one for one in world.ports if one.id in placed):
        eth = (text(port.mac), ROUTER_MAC)
        for address in (*nowhere, *(str(one.address) for one in beyond.eips)):
            yield port, packets.udp(eth, (str(port.ips[0]), address))
        yield port, packets.echo(eth, (str(port.ips[0]), FAR), ttl=1)
        yield port, packets.udp(eth, ("10.99.0.1", FAR))
        if len(port.ips) > 1:
            far = (str(port.ips[1]), "2001:db8:99::1")
            yield port, packets.echo(eth, far)
            yield port, misrouted(port, *far, port.key)


def received(whole: Whole) -> Iterator[tuple[str, ExternalNetwork, Packet]]:
    """What hosts get from outside, by all their ways."""
    world, beyond = whole
    for host in world.hosts:
        for network in (one for one in NETWORKS if _reaches(host, one)):
            for eip in beyond.eips:
                mac, address = "0a:76:" + eip.key.to_bytes(4, "big").hex(":"), str(eip.address)
                yield host.id, network, packets.udp((ROUTER, mac), (FAR, address))
                yield host.id, network, packets.who_has(ROUTER, str(network.gateway), address)
                yield host.id, network, packets.udp((ROUTER, ROUTER), (FAR, address))
            yield host.id, network, packets.udp((ROUTER, ROUTER_MAC), (FAR, "10.0.1.10"))


def _reaches(host: Host, network: ExternalNetwork) -> bool:
    return any(one.external_network_id == network.id for one in host.outside)


def resources(whole: Whole) -> tuple:
    world, beyond = whole
    below = (*world.hosts, *beyond.vpcs, *world.subnets, *world.ports, *world.locations)
    return (*below, *beyond.networks, *beyond.gateways, *beyond.eips, *beyond.tables)


def differences(
    fabric: Fabric, whole: Whole, also: Iterable[tuple[Port, Packet]] = ()
) -> Iterator[str]:
    """Yield what flows and oracle differ about: what leaves, enters, and is asked *also*."""
    world, beyond = whole
    oracle = OutwardOracle(world, beyond)
    places = {one.port_id: one for one in world.locations}
    for port, packet in (*also, *sent(whole)):
        expected = Counter(oracle.arrivals(port, packet))
        place = places[port.id]
        actual = seen(fabric.inject(place.host_id, place.ofport, packet))
        if expected != actual:
            shown = fabric.explain(place.host_id, {"in_port": str(place.ofport), **packet})
            yield f"{port}\nsends {packet}\n{expected}\nbut {actual}\n{whole}\n{shown}"
    for host_id, network, packet in received(whole):
        expected = Counter(oracle.entering(host_id, network, packet))
        actual = seen(fabric.inject(host_id, WAYS[network.id], packet))
        if expected != actual:
            shown = fabric.explain(host_id, {"in_port": str(WAYS[network.id]), **packet})
            yield f"{host_id} gets {packet}\n{expected}\nbut {actual}\n{whole}\n{shown}"


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(wholes())
def test_what_leaves_and_enters_is_as_the_oracle_says(ovs: DummyOvs, whole: Whole) -> None:
    fabric = Fabric(ovs, n.network(*resources(whole)), next(_prefixes))
    try:
        difference = next(differences(fabric, whole, questions(whole[0])), None)
        assert difference is None, difference
    finally:
        fabric.close()


# --- teeth ----------------------------------------------------------------------------------------


def fixed() -> Whole:
    """Two hosts on a network, one that is not; EIPs near and far."""
    hosts = tuple(n.host(one) for one in (1, 2, 3))
    watching = [n.watching(one, *((o, 40 + o.key) for o in hosts if o != one)) for one in hosts]
    first, second, third = watching
    first, second = (n.reaching(one, (NETWORKS[0], 9)) for one in (first, second))
    vpcs = tuple(
        dataclasses.replace(n.vpc(one), cidrs=(ipaddress.ip_network("10.0.0.0/16"),))
        for one in (1, 2)
    )
    subnets = tuple(n.subnet(10 + one.key, one, "10.0.1.0/24") for one in vpcs)
    ports = tuple(
        n.port(101 + at, subnets[at // 3], f"0e:00:00:00:00:0{at}", f"10.0.1.{10 + at}")
        for at in range(6)
    )
    ports = (*ports[:2], dataclasses.replace(ports[2], checks_addresses=False), *ports[3:])
    spread = (first, third, third, first, second, third)
    locations = tuple(n.at(port, host, 101) for port, host in zip(ports, spread, strict=True))
    locations = tuple(dataclasses.replace(one, ofport=101 + i) for i, one in enumerate(locations))
    gateways = tuple(n.igw(one.key, one, NETWORKS[0], first, second) for one in vpcs)
    eips = tuple(
        n.eip(10 + at, NETWORKS[0], f"203.0.113.{10 + at}", ports[at]) for at in (0, 1, 3, 4)
    )
    tables = tuple(
        n.table(one.key, one, n.route("0.0.0.0/0", gateway), n.route("192.0.2.0/30"))
        for one, gateway in zip(vpcs, gateways, strict=True)
    )
    by_port = dataclasses.replace(
        tables[0], routes=(*tables[0].routes, n.route("192.0.2.64/26", ports[2]))
    )
    world = World((first, second, third), subnets, ports, locations)
    return world, Beyond(vpcs, NETWORKS[:1], gateways, eips, (by_port, tables[1]))


OUTWARD_TABLES = (t.OUTSIDE_IN, t.ROUTES, t.GATEWAY, t.OUTSIDE, t.OUTSIDE_NEIGHBOUR)


def test_the_oracle_notices_every_flow_that_is_missing(ovs: DummyOvs) -> None:
    whole = fixed()
    fabric = Fabric(ovs, n.network(*resources(whole)), next(_prefixes))
    try:
        assert next(differences(fabric, whole), None) is None
        host_id = whole[0].hosts[0].id  # it has ports of both VPCs, and EIPs of its own and others'
        flows = fabric.flows(host_id)
        for flow in flows:
            if flow.table in OUTWARD_TABLES and _matters(flow):
                fabric.program({host_id: [one for one in flows if one is not flow]})
                missed = next(differences(fabric, whole), None)
                assert missed is not None, f"nobody misses {flow}"
    finally:
        fabric.close()


def _matters(flow: Flow) -> bool:
    """Whether a question here meets a flow: not what only errors, answers and rivals do.

    Whoever is on the link is asked for like the router, as long as neither is known.
    """
    if flow.table is t.OUTSIDE and flow.priority == 150:
        return False
    return flow.goto in (t.SUBNET_IN, t.GATEWAY, t.OUTSIDE, t.OUTSIDE_NEIGHBOUR)
