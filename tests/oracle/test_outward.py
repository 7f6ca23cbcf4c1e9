"""Random networks with a world outside: the flows must do what the oracle says."""

import dataclasses
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given

from tests.oracle.oracle import ROUTER_MAC, Arrival, Packet, World, text
from tests.oracle.ours import Beyond
from tests.oracle.outsides import (
    FAR,
    FAR6,
    NETWORKS,
    WAYS,
    Whole,
    blocks,
    received,
    resources,
    sent,
    wholes,
)
from tests.oracle.outward import OutwardOracle
from tests.oracle.test_groups import WORLDS, varied
from tests.oracle.test_oracle import seen
from tests.oracle.worlds import ABROAD4, ABROAD6, GLOBAL, questions
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.tracing import Entering, Fabric
from vpcctl.flows import fields
from vpcctl.flows import tables as t
from vpcctl.flows.actions import Commit, Multipath
from vpcctl.flows.flow import Flow
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import Host
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(600 * WORLDS)]
_prefixes = (f"x{number}" for number in itertools.count())
_AT_A_TIME = 100


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


@dataclasses.dataclass(frozen=True)
class Asked:
    """What enters a host, and what may become of it: one of these."""

    entering: Entering
    outcomes: list[Counter[Arrival]]


def questions_about(
    whole: Whole, also: Iterable[tuple[Port, Packet]] = (), *, told: Whole | None = None
) -> Iterator[Asked]:
    """Yield what leaves, enters, and is asked *also*, with what the oracle says of it.

    It is told of the whole, or that things are otherwise.
    """
    oracle = OutwardOracle(*(told or whole))
    places = {one.port_id: one for one in whole[0].locations}
    for port, packet in (*also, *sent(whole)):
        place = places[port.id]
        entering = Entering(place.host_id, place.ofport, packet)
        yield Asked(entering, oracle.outcomes(port, packet))
    for host_id, network, packet in received(whole):
        expected = Counter(oracle.entering(host_id, network, packet))
        yield Asked(Entering(host_id, WAYS[network.id], packet), [expected])


def differences(fabric: Fabric, asked: Sequence[Asked]) -> Iterator[str]:
    """Yield what flows and oracle differ about."""
    for start in range(0, len(asked), _AT_A_TIME):
        some = asked[start : start + _AT_A_TIME]
        for one, got in zip(some, fabric.inject_all([each.entering for each in some]), strict=True):
            if seen(got) not in one.outcomes:
                came = one.entering
                shown = fabric.explain(came.host_id, {"in_port": str(came.ofport), **came.packet})
                yield f"{came}\n{one.outcomes}\nbut {seen(got)}\n{shown}"


@varied(14)
@given(wholes())
def test_what_leaves_and_enters_is_as_the_oracle_says(ovs: DummyOvs, whole: Whole) -> None:
    fabric = Fabric(ovs, n.network(*resources(whole)), next(_prefixes))
    try:
        asked = list(questions_about(whole, [*questions(whole[0])][::4]))
        difference = next(differences(fabric, asked), None)
        assert difference is None, f"{difference}\n{whole}"
    finally:
        fabric.close()


# --- teeth ----------------------------------------------------------------------------------------


def fixed() -> Whole:
    """Two hosts on a network, one that is not; EIPs near and far, and NAT gateways."""
    vpcs = tuple(dataclasses.replace(n.vpc(one), cidrs=blocks(one)) for one in (1, 2))
    subnets = tuple(
        n.subnet(10 * one.key + 1, one, "10.0.1.0/24", GLOBAL.format(one.key, 1)) for one in vpcs
    )
    ports = tuple(_port(at, subnets[at // 3]) for at in range(6))
    first, second, third = _hosts()
    spread = (first, third, third, first, second, third)
    locations = tuple(
        n.at(port, host, 101 + at)
        for at, (port, host) in enumerate(zip(ports, spread, strict=True))
    )
    gateways = tuple(n.igw(one.key, one, NETWORKS[0], first, second) for one in vpcs)
    forwards = (
        n.forward("203.0.113.110", 6, (8080, 8083), str(ports[1].ips[0]), 80),
        n.forward("203.0.113.111", 17, (5000, 5000), str(ports[1].ips[0]), 5000),
        n.forward("203.0.113.120", 6, (443, 443), str(ports[4].ips[0]), 4430),
    )
    nats = (
        n.nat(1, vpcs[0], NETWORKS[0], first, second, forwards=forwards[:2]),
        n.nat(2, vpcs[1], NETWORKS[0], first, second, forwards=forwards[2:]),
    )
    eips = [n.eip(10 + at, NETWORKS[0], f"203.0.113.{10 + at}", ports[at]) for at in (0, 1, 3, 4)]
    eips += [n.eip(at, NETWORKS[0], f"203.0.113.{at}", nats[at // 10 - 11]) for at in _SHARED]
    world = World((first, second, third), subnets, ports, locations)
    tables = tuple(_tables(vpcs, gateways, nats, ports[2]))
    return world, Beyond(vpcs, NETWORKS[:1], gateways, tuple(eips), tables, nats)


BY_NAT = "198.18.0.1"
_SHARED = (110, 111, 120)


def _port(at: int, home: Subnet) -> Port:
    own = ("10.0.1.1{}", GLOBAL.format(home.vni // 10, 1).replace("/64", "1{}"))
    mac, ips = f"0e:00:00:00:00:0{at}", (one.format(at) for one in own)
    pairs = (n.pair(f"{ABROAD4}/32"), n.pair(f"{ABROAD6}/128")) if at == 1 else ()
    return n.port(101 + at, home, mac, *ips, checks_addresses=at != 2, allowed_pairs=pairs)


def _hosts() -> tuple[Host, Host, Host]:
    hosts = tuple(n.host(one) for one in (1, 2, 3))
    watching = [n.watching(one, *((o, 40 + o.key) for o in hosts if o != one)) for one in hosts]
    first, second = (n.reaching(one, (NETWORKS[0], 9)) for one in watching[:2])
    return first, second, watching[2]


def _tables(
    vpcs: tuple[Vpc, ...],
    gateways: tuple[InternetGateway, ...],
    nats: tuple[NatGateway, ...],
    router: Port,
) -> Iterator[RouteTable]:
    """Make tables where ports, internet and NAT gateways share what goes out, and some do not."""
    blackhole, (one, two) = n.route("192.0.2.0/30"), gateways
    shared = (n.route("192.0.2.64/26", router, nats[0]), n.route("::/0", one, router))
    alone = (("0.0.0.0/0", one), ("2001:db8:98::/48", one), (f"{BY_NAT}/32", nats[0]))
    yield n.table(1, vpcs[0], *(n.route(*way) for way in alone), blackhole, *shared)
    alone = (("::/0", two), (f"{BY_NAT}/32", nats[1]))
    ways = (n.route("0.0.0.0/0", nats[1], two), *(n.route(*way) for way in alone))
    yield n.table(2, vpcs[1], *ways, blackhole)


OUTWARD_TABLES = (
    *(t.OUTSIDE_IN, t.NAT_IN, t.OUTSIDE_GUARD, t.ROUTES, t.GATEWAY, t.NAT_OUT),
    *(t.OUTSIDE, t.OUTSIDE_NEIGHBOUR),
)


@pytest.fixture(scope="module")
def town(ovs: DummyOvs) -> Iterator[Fabric]:
    fabric = Fabric(ovs, n.network(*resources(fixed())), next(_prefixes))
    yield fabric
    fabric.close()


def test_whoever_shares_gets_connections(town: Fabric) -> None:
    """Each way that the oracle allows is taken, and none besides."""
    whole = fixed()
    oracle = OutwardOracle(*whole)
    for place, to in ((0, FAR), (0, FAR6), (3, FAR), (4, FAR)):
        port, location = whole[0].ports[place], whole[0].locations[place]
        own = next(str(ip) for ip in port.ips if (":" in str(ip)) == (":" in to))
        ends = ((text(port.mac), ROUTER_MAC), (own, to))
        some = [packets.tcp(*ends, (source, 443)) for source in range(6000, 6030)]
        got = town.inject_all([Entering(location.host_id, location.ofport, one) for one in some])
        met = {_way(whole, seen(one)) for one in got}
        assert met == {_way(whole, one) for one in oracle.outcomes(port, some[0])}
        assert len(met) == 2


def test_a_network_that_nobody_reaches_has_no_share(ovs: DummyOvs) -> None:
    """The first VPC's internet gateway shares with a port, and is no way any more."""
    world, beyond = fixed()
    cut_off = tuple(dataclasses.replace(one, outside=()) for one in world.hosts)
    whole = dataclasses.replace(world, hosts=cut_off), beyond
    port, router = world.ports[0], world.locations[2]
    ends = ((text(port.mac), ROUTER_MAC), (str(port.ips[1]), FAR6))
    some = [(port, packets.tcp(*ends, (source, 443))) for source in range(6000, 6020)]
    oracle = OutwardOracle(*whole)
    for _, packet in some:
        assert [[one.ofport for one in each] for each in oracle.outcomes(port, packet)] == [
            [router.ofport]
        ]
    fabric = Fabric(ovs, n.network(*resources(whole)), next(_prefixes))
    try:
        assert next(differences(fabric, [*questions_about(whole, some)]), None) is None
    finally:
        fabric.close()


def _way(whole: Whole, arrived: Counter[Arrival]) -> str | None:
    """Return who has got a packet: a port, or whose address it has got."""
    (one,) = arrived
    ports = {each.ofport: each.port_id for each in whole[0].locations}
    users = {str(each.address): each.nat_gateway_id for each in whole[1].eips}
    return ports.get(one.ofport) or users.get(dict(one.packet).get("nw_src", ""), "by itself")


def test_the_oracle_notices_every_flow_that_is_missing(town: Fabric) -> None:
    whole = fixed()
    asked = list(questions_about(whole, _by_nat(whole)))
    assert next(differences(town, asked), None) is None
    traced = [(one, _trace(town, one)) for one in asked]
    host_id = whole[0].hosts[0].id  # it has ports of both VPCs, and EIPs of its own and others'
    flows = town.flows(host_id)
    try:
        for flow in flows:
            if flow.table in OUTWARD_TABLES and _matters(flow):
                town.program({host_id: [one for one in flows if one is not flow]})
                about = [one for one, shown in traced if f"cookie {flow.cookie:#x}" in shown]
                missed = next(differences(town, about), None)
                assert missed is not None, f"nobody misses {flow}"
    finally:
        town.program()


def _trace(fabric: Fabric, one: Asked) -> str:
    """Return the traces of a packet; whoever is not in them is not missed by it."""
    fabric.inject_all([one.entering])
    return "\n".join(fabric.shown)


def _by_nat(whole: Whole) -> Iterator[tuple[Port, Packet]]:
    """What goes by NAT gateways alone; of so many that each EIP is drawn."""
    for port, packet in sent(whole):
        if packet.get("nw_dst") == FAR:
            yield port, packet | {"nw_dst": BY_NAT}
    router = whole[0].ports[2]
    for last in range(6):
        yield router, packets.udp((text(router.mac), ROUTER_MAC), (f"10.7.0.{last}", BY_NAT))


_KNOWN = fields.CT_TRK | fields.CT_INV | fields.CT_NEW


def _matters(flow: Flow) -> bool:
    """Whether a question here meets a flow: not what only errors, answers and rivals do.

    Whoever is on the link is asked for like the router, as long as neither is known.
    """
    if flow.table is t.OUTSIDE_GUARD:
        return True
    if flow.table is t.OUTSIDE and flow.priority == 150:
        return False
    if flow.table is t.NAT_IN and (fields.CT_STATE, fields.CT_TRK, _KNOWN) in flow.match:
        return False
    on = (t.ROUTE, t.SUBNET_IN, t.GATEWAY, t.NAT_OUT, t.OUTSIDE, t.OUTSIDE_NEIGHBOUR)
    chooses = any(isinstance(one, Commit | Multipath) for one in flow.actions)
    return flow.goto in on or chooses


def _otherwise(whole: Whole) -> Iterator[Whole]:
    """Yield networks that differ in what lives, leads out and comes in."""
    world, beyond = whole
    first, *others = beyond.tables
    blackhole, out = n.route("192.0.2.0/30"), n.route("192.0.2.0/30", beyond.gateways[0])
    routes = tuple(out if one == blackhole else one for one in first.routes)
    lifted = dataclasses.replace(first, routes=routes)
    yield world, dataclasses.replace(beyond, tables=(lifted, *others))
    shut = (dataclasses.replace(one, checks_addresses=True) for one in world.ports)
    yield dataclasses.replace(world, ports=tuple(shut)), beyond
    closed = tuple(dataclasses.replace(one, forwards=()) for one in beyond.nats)
    yield world, dataclasses.replace(beyond, nats=closed)
    bare = (dataclasses.replace(one, allowed_pairs=()) for one in world.ports)
    yield dataclasses.replace(world, ports=tuple(bare)), beyond
    dead = dataclasses.replace(first, dead_hosts=(world.hosts[2].id,))
    yield world, dataclasses.replace(beyond, tables=(dead, *others))


def test_the_oracle_notices_what_is_otherwise(town: Fabric) -> None:
    """Flows do what is right for the fixed network; the oracle takes it to be another one."""
    for other in _otherwise(fixed()):
        asked = list(questions_about(fixed(), told=other))
        assert next(differences(town, asked), None) is not None, f"nobody misses {other}"
