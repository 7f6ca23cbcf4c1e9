"""Gateway hosts: who gets a packet, who answers, and who takes over when one dies."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import (
    AGENT,
    FAR,
    HOST,
    NETWORK,
    OTHER,
    OUT,
    RED,
    RED_IGW,
    ROUTER,
    STAND,
    TABLES,
    WATCH,
    WEB,
    Town,
    asks,
    entering,
    guest,
    leaving,
    ofport,
    only,
    tells,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.packets import Packet
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.gateway import NatGateway

pytestmark = pytest.mark.ovs
ONE = guest(1)
NAT = n.nat(1, RED, NETWORK, OTHER, HOST)
BY_NAT = n.table(1, RED, n.route("0.0.0.0/0", NAT))
NAT_EIP = n.eip(20, NETWORK, "203.0.113.20", NAT)
SENT = "in_port=11,udp,eth_src=0e:00:00:00:00:01,eth_dst=0e:76:70:63:00:01,nw_src=10.0.1.11,"
SENT += f"nw_dst={FAR},nw_ttl=64,udp_src=5000,udp_dst=53"


# --- two gateway hosts, of which the one at hand is the second ------------------------------------


@pytest.fixture(scope="module")
def standby(ovs: DummyOvs) -> Iterator[Town]:
    ovs.add_vtep(str(OTHER.vtep))
    made = Town(ovs, ONE, NAT, BY_NAT, NAT_EIP)
    yield made
    made.close()


@pytest.fixture
def dead(standby: Town) -> Iterator[Town]:
    """The first gateway host is dead."""
    standby.wire.lose(WATCH)
    yield standby
    standby.wire.find(WATCH)


def test_a_standby_answers_nobody_and_lets_nothing_in(standby: Town) -> None:
    assert standby.sends(OUT, asks(ROUTER, "203.0.113.20")) == {}
    assert standby.sends(OUT, f.udp(entering(NAT_EIP), (53, 5000))) == {}


def test_packets_go_to_the_first_gateway_host_that_lives(standby: Town) -> None:
    shown = standby.wire.explain(SENT)
    assert f"dst={OTHER.vtep}" in shown
    assert f"vni={NAT.vni:#x}" in shown


def test_the_active_host_of_another_address_is_a_neighbour(standby: Town) -> None:
    """It asks for an address that is active here, and is reached from it."""
    mine = n.eip(1, NETWORK, "203.0.113.10", ONE)
    standby.change(mine, n.table(1, RED, n.route("0.0.0.0/0", RED_IGW)))
    other = (text(NAT_EIP.mac), "203.0.113.20")
    answer = only(standby.sends(OUT, asks(other, "203.0.113.10")), OUT)
    assert (answer["arp_sha"], answer["eth_dst"]) == (text(mine.mac), other[0])
    standby.wire.settle()
    got = only(standby.sends(ONE, f.udp(leaving(ONE, other[1]), (5000, 53))), OUT)
    assert (got["nw_src"], got["eth_dst"]) == ("203.0.113.10", other[0])
    heard = only(standby.sends(OUT, tells(other, mine)), AGENT)
    assert heard["arp_spa"] == other[1]
    assert standby.sends(OUT, asks(other, other[1])) == {}  # what it announces is not answered
    thief = (ROUTER[0], other[1])
    assert standby.sends(OUT, asks(thief, "203.0.113.10")) == {}
    assert standby.wire.dropped(Reason.OUTSIDE_SOURCE) == 1
    standby.change(n.eip(1, NETWORK, "203.0.113.10"), BY_NAT)


def test_the_standby_takes_over_by_itself(dead: Town) -> None:
    got = only(dead.sends(OUT, asks(ROUTER, "203.0.113.20")), OUT)
    assert got["arp_sha"] == text(NAT_EIP.mac)
    sent = only(dead.sends(ONE, f.udp(leaving(ONE), (5000, 53))), OUT)
    assert sent["nw_src"] == "203.0.113.20"
    back = f.udp(entering(NAT_EIP), (53, int(sent["tp_src"])))
    assert only(dead.sends(OUT, back), ofport(ONE))["tp_dst"] == "5000"


def test_a_standby_that_does_not_know_yet_takes_nothing_over(dead: Town) -> None:
    """The port that stands for it is down as long as BFD has not begun."""
    dead.wire.lose(STAND)
    assert dead.sends(OUT, asks(ROUTER, "203.0.113.20")) == {}
    assert dead.sends(ONE, f.udp(leaving(ONE), (5001, 53))) == {}
    dead.wire.find(STAND)
    only(dead.sends(OUT, asks(ROUTER, "203.0.113.20")), OUT)


def test_it_stands_by_again_as_soon_as_the_first_says_that_it_may_be_relied_on(
    standby: Town,
) -> None:
    """When that is, the first one's agent decides: see ``agent/watches.py``."""
    assert standby.sends(OUT, asks(ROUTER, "203.0.113.20")) == {}
    assert "tnl_push" in standby.wire.explain(SENT)


def test_a_host_that_does_not_watch_yet_is_no_standby_and_sends_to_the_first(
    standby: Town,
) -> None:
    standby.change(dataclasses.replace(HOST, watches=()))
    assert standby.sends(OUT, asks(ROUTER, "203.0.113.20")) == {}
    standby.change(HOST)


# --- the first of two, which may be told not to take over again -----------------------------------


@pytest.fixture
def first(standby: Town) -> Iterator[Town]:
    standby.change(n.nat(1, RED, NETWORK, HOST, OTHER))
    yield standby
    for number in (STAND, WATCH):
        standby.wire.find(number)
    standby.change(NAT)


def test_a_first_that_holds_back_leaves_everything_to_the_next(first: Town) -> None:
    only(first.sends(OUT, asks(ROUTER, "203.0.113.20")), OUT)
    first.wire.settle()
    sent = only(first.sends(ONE, f.udp(leaving(ONE), (5002, 53))), OUT)
    back = f.udp(entering(NAT_EIP), (53, int(sent["tp_src"])))
    only(first.sends(OUT, back), ofport(ONE))
    first.wire.lose(STAND)
    assert first.sends(OUT, asks(ROUTER, "203.0.113.20")) == {}
    assert first.sends(OUT, back) == {}
    assert f"dst={OTHER.vtep}" in first.wire.explain(SENT)
    first.wire.lose(WATCH)
    assert first.sends(ONE, f.udp(leaving(ONE), (5002, 53))) == {}
    first.wire.find(STAND)
    only(first.sends(OUT, back), ofport(ONE))


# --- a guest whose host reaches no external network -----------------------------------------------

AWAY = n.watching(n.host(3), (HOST, 7), (OTHER, 8))
FIRST, SECOND = n.watching(HOST, (OTHER, 8)), n.watching(OTHER, (HOST, 8))
IGW = n.igw(1, RED, NETWORK, HOST, OTHER)
EIP = n.eip(1, NETWORK, "203.0.113.10", ONE)
OUTWARD = packets.udp((text(ONE.mac), ROUTER_MAC), ("10.0.1.11", FAR))
INWARD = packets.udp((ROUTER[0], text(EIP.mac)), (FAR, "203.0.113.10"))
OWN6, FAR6, ROUTER6 = str(ONE.ips[1]), "2001:db8:99::1", "2001:db8:77::1"
MAC6 = format_mac(outside_mac(ONE.key))


@dataclasses.dataclass(frozen=True)
class Family:
    """What the same guest is outside by one IP version.

    Attributes:
        outside: its MAC and address there.
        own: its address.
        source: how traces call the source; the destination likewise.
        destination: see there.
        outward: what it sends.
        inward: what it is sent.
        question: who asks for it.
    """

    outside: tuple[str, str]
    own: str
    source: str
    destination: str
    outward: Packet
    inward: Packet
    question: Packet


FAMILIES = {
    4: Family(
        (text(EIP.mac), "203.0.113.10"),
        "10.0.1.11",
        *("nw_src", "nw_dst"),
        *(OUTWARD, INWARD, packets.who_has(*ROUTER, "203.0.113.10")),
    ),
    6: Family(
        (MAC6, OWN6),
        OWN6,
        *("ipv6_src", "ipv6_dst"),
        packets.udp((text(ONE.mac), ROUTER_MAC), (OWN6, FAR6)),
        packets.udp((ROUTER[0], MAC6), (FAR6, OWN6)),
        packets.solicit(ROUTER[0], ROUTER6, OWN6),
    ),
}


@pytest.fixture(params=FAMILIES, ids=["ipv4", "ipv6"])
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


def fabric_of(ovs: DummyOvs, prefix: str, *resources: object) -> Fabric:
    fixed = (FIRST, SECOND, AWAY, NETWORK, RED, WEB, IGW, ONE, n.at(ONE, AWAY, 11), EIP)
    return Fabric(ovs, n.network(*fixed, TABLES[0], *resources), prefix)


@pytest.fixture(scope="module")
def away(ovs: DummyOvs) -> Iterator[Fabric]:
    fabric = fabric_of(ovs, "away")
    yield fabric
    fabric.close()


def test_its_packets_leave_from_its_address_on_the_gateway_host(
    away: Fabric, family: Family
) -> None:
    (seen,) = away.inject(AWAY.id, 11, family.outward)
    assert (seen.host_id, seen.ofport, seen.vni) == (HOST.id, AGENT, IGW.vni)
    assert (seen["eth_src"], seen[family.source]) == family.outside
    assert seen["nw_ttl"] == "63"


def test_what_is_for_its_address_comes_by_the_gateway_host(away: Fabric, family: Family) -> None:
    (seen,) = away.inject(HOST.id, OUT, family.inward)
    assert (seen.host_id, seen.ofport, seen.vni) == (AWAY.id, 11, WEB.vni)
    assert (seen[family.destination], seen["eth_dst"]) == (family.own, text(ONE.mac))
    assert away.inject(OTHER.id, OUT, family.inward) == []


def test_both_gateway_hosts_take_what_they_are_given(away: Fabric, family: Family) -> None:
    for host in (HOST, OTHER):
        (seen,) = away.arrive(host.id, str(AWAY.vtep), IGW.vni, family.outward)
        assert (seen.host_id, seen[family.source]) == (host.id, family.outside[1])


def test_only_the_active_one_answers(away: Fabric, family: Family) -> None:
    assert len(away.inject(HOST.id, OUT, family.question)) == 1
    assert away.inject(OTHER.id, OUT, family.question) == []


@pytest.mark.parametrize("order", [(HOST.id, OTHER.id), (OTHER.id, HOST.id)])
def test_while_a_host_leaves_it_and_who_follows_take_what_comes(
    ovs: DummyOvs, order: tuple[str, ...], family: Family
) -> None:
    leaving = dataclasses.replace(IGW, hosts=order, leaving=(HOST.id,))
    fabric = fabric_of(ovs, f"leaving{order[0][-1]}", leaving)
    try:
        (sent,) = fabric.inject(AWAY.id, 11, family.outward)
        assert sent.host_id == order[0]
        for host in (HOST, OTHER):
            (got,) = fabric.inject(host.id, OUT, family.inward)
            assert (got.host_id, got.ofport) == (AWAY.id, 11)
            (out,) = fabric.arrive(host.id, str(AWAY.vtep), IGW.vni, family.outward)
            assert (out.host_id, out[family.source]) == (host.id, family.outside[1])
            assert len(fabric.inject(host.id, OUT, family.question)) == (host.id == order[0])
    finally:
        fabric.close()


def test_a_guest_reaches_its_own_eip_by_the_gateway_host(away: Fabric) -> None:
    own = packets.udp((text(ONE.mac), ROUTER_MAC), ("10.0.1.11", "203.0.113.10"))
    (seen,) = away.inject(AWAY.id, 11, own)
    assert (seen.host_id, seen.ofport) == (AWAY.id, 11)
    assert (seen["nw_src"], seen["nw_dst"]) == ("203.0.113.10", "10.0.1.11")


def test_a_gateway_host_has_nothing_of_a_vpc_that_does_not_name_it(
    ovs: DummyOvs, family: Family
) -> None:
    fabric = fabric_of(ovs, "less", dataclasses.replace(IGW, hosts=(HOST.id,)))
    try:
        owners = {flow.cookie & 0xFFFF_FFFF for flow in fabric.flows(OTHER.id)}
        assert WEB.vni not in owners
        assert fabric.arrive(OTHER.id, str(AWAY.vtep), IGW.vni, family.outward) == []
    finally:
        fabric.close()


def test_without_a_gateway_host_that_reaches_the_network_nothing_leaves(
    ovs: DummyOvs, family: Family
) -> None:
    bare = [dataclasses.replace(one, outside=()) for one in (FIRST, SECOND)]
    fabric = fabric_of(ovs, "none", *bare)
    try:
        packet = {"in_port": "11", **family.outward}
        assert fabric.reason(AWAY.id, packet) == Reason.NO_GATEWAY
    finally:
        fabric.close()


def test_a_nat_gateway_takes_the_same_way(ovs: DummyOvs) -> None:
    gateway = NatGateway(NAT.id, RED.id, NETWORK.id, NAT.vni, NAT.key, (HOST.id, OTHER.id))
    fabric = fabric_of(ovs, "nat", gateway, NAT_EIP, BY_NAT)
    try:
        (seen,) = fabric.inject(AWAY.id, 11, OUTWARD)
        assert (seen.host_id, seen.ofport, seen.vni) == (HOST.id, AGENT, NAT.vni)
        assert seen["eth_src"] == text(NAT_EIP.mac)
    finally:
        fabric.close()


def test_the_internet_gateway_of_a_host_with_a_way_out_needs_no_gateway_host(
    ovs: DummyOvs, family: Family
) -> None:
    near = n.at(ONE, HOST, 11)
    fabric = fabric_of(ovs, "near", near, dataclasses.replace(RED_IGW, hosts=()))
    try:
        (seen,) = fabric.inject(HOST.id, 11, family.outward)
        assert (seen.host_id, seen[family.source]) == (HOST.id, family.outside[1])
    finally:
        fabric.close()
