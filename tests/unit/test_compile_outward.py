"""What changes of EIPs, gateways, routes and external networks do to whom."""

import dataclasses
from ipaddress import ip_address

from tests.support import networks as n
from tests.support.networks import batch, gone, put
from vpcctl.compile import compile_host, plan_changes
from vpcctl.flows.cookie import Feature, split
from vpcctl.model.host import QUESTION_SLOTS
from vpcctl.model.network import Network
from vpcctl.pipeline.pieces import EipPiece

NETWORK = n.outside(1, "203.0.113.0/24")
NEAR = [n.reaching(n.host(one), (NETWORK, 9)) for one in (1, 2, 3, 4)]
FAR = n.host(5)
RED = n.vpc(1)
WEB = n.subnet(1, RED, "10.0.1.0/24")
PORTS = [n.port(at, WEB, f"0e:00:00:00:00:0{at}", f"10.0.1.1{at}") for at in range(1, 6)]
IGW = n.igw(1, RED, NETWORK, NEAR[2], NEAR[3])
NAT = n.nat(1, RED, NETWORK, NEAR[2])
TABLE = n.table(1, RED, n.route("0.0.0.0/0", IGW))


def start() -> Network:
    """Ports 1, 2 and 5 are on hosts of the same number; host 5 does not reach the network."""
    places = [n.at(PORTS[at], host, 11) for at, host in ((0, NEAR[0]), (1, NEAR[1]), (4, FAR))]
    return n.network(*NEAR, FAR, NETWORK, RED, WEB, *PORTS, IGW, TABLE, *places)


def features(net: Network, host_id: str) -> set[Feature]:
    flows = (flow for some in compile_host(net, host_id) for flow in some)
    return {Feature(split(flow.cookie).feature) for flow in flows}


def test_an_eip_concerns_its_ports_host_alone_where_that_reaches_the_network() -> None:
    net = start()
    eip = n.eip(1, NETWORK, "203.0.113.10", PORTS[0])
    transition = plan_changes(net, batch(put(eip)))
    assert set(transition.hosts) == {NEAR[0].id}
    written = [flow for flows in transition.hosts[NEAR[0].id].written for flow in flows]
    assert {split(flow.cookie) for flow in written} == {(Feature.EIP, 1)}
    moved = dataclasses.replace(eip, port_id=PORTS[1].id, fixed_ip=PORTS[1].ips[0])
    transition = plan_changes(net, batch(put(moved)))
    assert set(transition.hosts) == {NEAR[0].id, NEAR[1].id}
    assert transition.hosts[NEAR[0].id].removed
    assert not transition.hosts[NEAR[0].id].written
    assert set(plan_changes(net, batch(gone(moved))).hosts) == {NEAR[1].id}


def test_an_eip_of_a_port_without_a_way_out_concerns_the_gateway_hosts() -> None:
    net = start()
    eip = n.eip(1, NETWORK, "203.0.113.10", PORTS[4])
    watching = n.watching(NEAR[3], (NEAR[2], 8))
    plan_changes(net, batch(put(watching)))
    assert set(plan_changes(net, batch(put(eip))).hosts) == {NEAR[2].id, NEAR[3].id}


def test_meters_of_what_is_asked_about_an_eip_go_with_the_last_that_has_them() -> None:
    net = start()
    one = n.eip(1, NETWORK, "203.0.113.10", PORTS[0])
    same = n.eip(1 + QUESTION_SLOTS, NETWORK, "203.0.113.11", PORTS[0])
    same = dataclasses.replace(same, fixed_ip=ip_address("10.0.1.99"))
    other = dataclasses.replace(PORTS[0], ips=(*PORTS[0].ips, ip_address("10.0.1.99")))
    plan_changes(net, batch(put(other), put(one), put(same)))
    first = plan_changes(net, batch(gone(one))).hosts[NEAR[0].id]
    assert first.removed
    assert first.unmetered == ()
    last = plan_changes(net, batch(gone(same))).hosts[NEAR[0].id]
    numbers = {flow.meter.id for flows in last.removed for flow in flows if flow.meter}
    assert len(last.unmetered) == 2
    assert set(last.unmetered) == numbers


def test_what_an_eip_touches_does_not_grow_with_the_hosts() -> None:
    net = start()
    others = [n.reaching(n.host(number), (NETWORK, 9)) for number in range(10, 60)]
    more = [n.port(at, WEB, f"0e:00:00:00:01:{at:02x}", f"10.0.1.{at}") for at in range(60, 110)]
    net.apply(put(one) for one in (*others, *more))
    net.apply(put(n.at(*pair, 11)) for pair in zip(more, others, strict=True))
    eip = n.eip(1, NETWORK, "203.0.113.10", more[0])
    transition = plan_changes(net, batch(put(eip)))
    assert set(transition.hosts) == {others[0].id}
    assert {one.host_id for one in transition.touched if isinstance(one, EipPiece)} == {
        *(others[0].id, NEAR[2].id, NEAR[3].id),
    }


def test_two_who_claim_an_address_both_lose_it() -> None:
    net = start()
    one, other = (n.eip(at, NETWORK, "203.0.113.10", PORTS[at - 1]) for at in (1, 2))
    plan_changes(net, batch(put(one)))
    transition = plan_changes(net, batch(put(other)))
    assert set(transition.hosts) == {NEAR[0].id}
    assert transition.hosts[NEAR[0].id].removed
    assert set(plan_changes(net, batch(gone(one))).hosts) == {NEAR[1].id}


def test_a_gateway_host_has_the_vpc_while_a_gateway_names_it() -> None:
    net = start()
    assert {NEAR[2].id, NEAR[3].id} < net.hosts_of(RED.id)
    assert Feature.SUBNET in features(net, NEAR[3].id)
    less = dataclasses.replace(IGW, hosts=(NEAR[2].id,))
    transition = plan_changes(net, batch(put(less)))
    assert transition.hosts[NEAR[3].id].departed
    assert not net.has_vpc(NEAR[3].id, RED.id)
    assert features(net, NEAR[3].id) <= {Feature.BASE, Feature.PEER, Feature.OUTSIDE}
    transition = plan_changes(net, batch(put(IGW)))
    assert list(transition.hosts[NEAR[3].id].program())


def test_an_eip_of_a_nat_gateway_concerns_its_gateway_hosts() -> None:
    net = start()
    plan_changes(net, batch(put(NAT)))
    eip = n.eip(7, NETWORK, "203.0.113.20", NAT)
    assert set(plan_changes(net, batch(put(eip))).hosts) == {NEAR[2].id}


def test_a_route_concerns_the_hosts_of_its_vpc() -> None:
    net = start()
    more = dataclasses.replace(TABLE, routes=(*TABLE.routes, n.route("192.0.2.0/24")))
    transition = plan_changes(net, batch(put(more)))
    assert set(transition.hosts) == {one.id for one in (*NEAR, FAR)}
    written = [flow for flows in transition.hosts[FAR.id].written for flow in flows]
    assert [split(flow.cookie) for flow in written] == [(Feature.ROUTES, 1)]


def test_the_same_eip_again_concerns_nobody() -> None:
    net = start()
    eip = n.eip(1, NETWORK, "203.0.113.10", PORTS[0])
    plan_changes(net, batch(put(eip)))
    assert plan_changes(net, batch(put(eip))).hosts == {}
