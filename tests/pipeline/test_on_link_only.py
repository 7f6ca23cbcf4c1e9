"""Neighbour and multicast listener discovery never cross a router, whoever sends them."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import AGENT, DATA, OUT, ROUTER, Town, guest, leaving, ofport, only
from tests.support import frames as f
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import ROUTE
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
KINDS = (130, 131, 132, 134, 136, 137, 143)
"""What is not answered: router solicitations are, by the agent, and so are neighbours'."""
CARRIED = (1, 2, 3, 4, 128, 129)
"""What routers must pass on: errors and echoes (RFC 4890)."""
FAR = "2001:db8:99::1"

# --- between the subnets of a VPC, on one host and on two -----------------------------------------

HOSTS, VPC = (n.host(1), n.host(2)), n.vpc(1)
SHUT_ACL = n.acl(1, VPC)
SHUT = [
    dataclasses.replace(n.subnet(at, VPC, f"10.0.{at}.0/24", f"fd00:{at}::/64"), acl_id=SHUT_ACL.id)
    for at in (1, 2)
]
OPEN = [n.subnet(at, VPC, f"10.0.{at}.0/24", f"fd00:{at}::/64") for at in (3, 4)]


def _port(number: int, home, **other: object) -> Port:
    """Port *number*, which may send whatever it likes: its subnet has it by the last digit."""
    last, third = number % 16, home.vni
    ips = (f"10.0.{third}.{10 + last}", f"fd00:{third}::{10 + last}")
    mac = f"0e:00:00:00:{third:02x}:{last:02x}"
    return n.port(0x100 + number, home, mac, *ips, port_security=False, **other)


CLOSED, CLOSED_2, CLOSED_AWAY = (
    _port(at, home, groups=()) for at, home in ((1, SHUT[0]), (2, SHUT[1]), (3, SHUT[1]))
)
FREE, FREE_2, FREE_AWAY = (
    _port(at, home) for at, home in ((4, OPEN[0]), (5, OPEN[1]), (6, OPEN[1]))
)
WALL = _port(7, OPEN[0], checks_addresses=False)
SHY = _port(8, OPEN[1], groups=())
WALLED = _port(9, SHUT[1])
AWAY = (CLOSED_AWAY, FREE_AWAY)
HERE = (CLOSED, CLOSED_2, FREE, FREE_2, WALL, SHY, WALLED)


@pytest.fixture(scope="module")
def fabric(ovs: DummyOvs) -> Iterator[Fabric]:
    places = [n.at(port, HOSTS[0], port.key) for port in HERE]
    places += [n.at(port, HOSTS[1], port.key) for port in AWAY]
    table = n.table(1, VPC, n.route("::/0", WALL))
    net = n.network(*HOSTS, VPC, SHUT_ACL, *SHUT, *OPEN, *HERE, *AWAY, table, *places)
    made = Fabric(ovs, net, "onlink")
    yield made
    made.close()


def routed(kind: int, source: Port, to: str) -> packets.Packet:
    return packets.icmp6(kind, (text(source.mac), ROUTER_MAC), (str(source.ips[1]), to))


def reached(fabric: Fabric, source: Port, packet: packets.Packet) -> list[int]:
    return [one.ofport for one in fabric.inject(HOSTS[0].id, source.key, packet)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to", [CLOSED_2, CLOSED_AWAY], ids=["here", "away"])
def test_ports_that_groups_and_acls_close_are_not_reached_across_subnets(
    kind: int, to: Port, fabric: Fabric
) -> None:
    packet = routed(kind, CLOSED, str(to.ips[1]))
    assert reached(fabric, CLOSED, packet) == []
    packet = routed(kind, FREE, str(to.ips[1]))
    assert reached(fabric, FREE, packet) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "to", [str(FREE_2.ips[1]), str(FREE_AWAY.ips[1]), str(WALL.ips[1]), FAR, "fe80::1", "ff02::1"]
)
def test_they_are_dropped_with_a_reason_where_anything_else_is_routed(
    kind: int, to: str, fabric: Fabric
) -> None:
    packet = {"in_port": str(FREE.key), **routed(kind, FREE, to)}
    assert fabric.trace(HOSTS[0].id, packet) == []
    assert fabric.reason(HOSTS[0].id, packet) == Reason.ON_LINK_ONLY


@pytest.mark.parametrize("kind", CARRIED)
def test_errors_and_echoes_are_routed(kind: int, fabric: Fabric) -> None:
    for to, port in ((FREE_2, FREE_2), (FREE_AWAY, FREE_AWAY), (None, WALL)):
        address = FAR if to is None else str(to.ips[1])
        assert reached(fabric, FREE, routed(kind, FREE, address)) == [port.key]


def test_solicitations_are_answered_and_not_routed(fabric: Fabric) -> None:
    asks = routed(135, FREE, FAR)
    for packet in ({**asks, "nd_target": FAR}, {**asks, "icmpv6_code": "1"}):
        assert reached(fabric, FREE, packet) == []
    assert reached(fabric, FREE, routed(133, FREE, FAR)) == [AGENT]


def test_groups_and_acls_judge_what_a_router_lets_slip(fabric: Fabric) -> None:
    flows = fabric.flows(HOSTS[0].id)
    fabric.program(
        {HOSTS[0].id: [one for one in flows if one.table is not ROUTE or one.priority != 310]}
    )
    try:
        for to, reason in (
            (FREE_2, None),
            (SHY, Reason.INGRESS_DENIED),
            (WALLED, Reason.ACL_IN_DENIED),
        ):
            packet = {"in_port": str(FREE.key), **routed(143, FREE, str(to.ips[1]))}
            assert bool(fabric.trace(HOSTS[0].id, packet)) is (reason is None)
            assert fabric.reason(HOSTS[0].id, packet) == reason
    finally:
        fabric.program()


# --- from and to the world outside ----------------------------------------------------------------

ONE, OTHER = guest(1, groups=()), guest(2, DATA)
BOTH = [(ONE, format_mac(outside_mac(ONE.key))), (OTHER, format_mac(outside_mac(OTHER.key)))]


@pytest.fixture(scope="module")
def town(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, OTHER)
    yield made
    made.close()


def test_strangers_reach_no_port_with_them(town: Town) -> None:
    before = town.wire.dropped(Reason.ON_LINK_ONLY)
    for port, mac in BOTH:
        ends = Ends((ROUTER[0], mac), (FAR, str(port.ips[1])))
        for kind in (*KINDS, 133, 135):
            assert town.sends(OUT, f.icmp(ends, kind, hops=64)) == {}, kind
            assert town.sends(OUT, f.icmp(ends, kind, code=1, hops=255)) == {}, kind
    assert town.wire.dropped(Reason.ON_LINK_ONLY) - before == 4 * len((*KINDS, 133, 135))


def test_what_must_pass_comes_in(town: Town) -> None:
    port, mac = BOTH[1]
    ends = Ends((ROUTER[0], mac), (FAR, str(port.ips[1])))
    for kind in CARRIED:
        assert list(town.sends(OUT, f.icmp(ends, kind))) == [ofport(port)], kind


def test_no_port_reaches_the_world_with_them(town: Town) -> None:
    before = town.wire.dropped(Reason.ON_LINK_ONLY)
    for port, _ in BOTH:
        for kind in (130, 131, 132, 143):
            assert town.sends(port, f.icmp(leaving(port, FAR, 6), kind)) == {}, kind
    assert town.wire.dropped(Reason.ON_LINK_ONLY) - before == 8
    only(town.sends(OTHER, f.icmp(leaving(OTHER, FAR, 6), 128)), AGENT)
