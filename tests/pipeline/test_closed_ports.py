"""Ports that groups or network ACLs close: their guests still get an address and neighbours."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import AGENT, ROUTER_LINK_LOCAL, ROUTER_MAC, eui64, text
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.packets import Packet
from tests.support.tracing import Delivered, Fabric
from vpcctl.model.host import Host
from vpcctl.model.names import NAMES_MAC, NAMES_OFPORT
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
HOST, PLAIN = n.host(1), n.host(2, nd_extensions=False)
VPC, EMPTY = n.vpc(1), n.acl(1, n.vpc(1))
PLACES = {
    "no groups": n.subnet(1, VPC, "10.0.1.0/24", "fd00:1::/64"),
    "an ACL that lets nothing through": n.subnet(2, VPC, "10.0.2.0/24", "fd00:2::/64"),
    "both": n.subnet(3, VPC, "10.0.3.0/24", "fd00:3::/64"),
}
GROUPS = dict(zip(PLACES, ((), None, ()), strict=True))
SUBNETS = [
    dataclasses.replace(home, acl_id=None if how == "no groups" else EMPTY.id)
    for how, home in PLACES.items()
]
FRIEND = n.subnet(4, VPC, "10.0.4.0/24", "fd00:4::/64")
DNS, DATA = ("169.254.169.253", "fd00:ec2::253"), ("169.254.169.254", "fd00:ec2::254")


def _port(how: str, last: int) -> Port:
    home = PLACES[how]
    ips = (f"10.0.{home.vni}.{last}", f"fd00:{home.vni}::{last}")
    key = 0x100 * home.vni + last
    return n.port(key, home, f"0e:00:00:00:{home.vni:02x}:{last:02x}", *ips, groups=GROUPS[how])


ASKING = {how: _port(how, 10) for how in PLACES}
BESIDE = {how: _port(how, 11) for how in PLACES}
THERE = n.port(0x410, FRIEND, "0e:00:00:00:04:10", "10.0.4.10", "fd00:4::10")


@pytest.fixture(scope="module")
def fabric(ovs: DummyOvs) -> Iterator[Fabric]:
    ports = (*ASKING.values(), *BESIDE.values(), THERE)
    places = [n.at(port, HOST, port.key) for port in (*ASKING.values(), THERE)]
    places += [n.at(port, PLAIN, port.key) for port in BESIDE.values()]
    net = n.network(HOST, PLAIN, VPC, EMPTY, *SUBNETS, FRIEND, *ports, *places)
    made = Fabric(ovs, net, "closed")
    yield made
    made.close()


@pytest.fixture(params=PLACES)
def how(request: pytest.FixtureRequest) -> str:
    """What closes the port that asks."""
    return request.param


def asked(fabric: Fabric, port: Port, packet: Packet, where: Host = HOST) -> list[Delivered]:
    return fabric.inject(where.id, port.key, packet)


def by_key(port: Port) -> str:
    return "0e:76:" + port.key.to_bytes(4, "big").hex(":")


def ends(port: Port, version: int) -> tuple[str, str]:
    """A port's address, and its gateway's."""
    own = str(port.ips[0 if version == 4 else 1])
    home = next(one for one in SUBNETS if one.id == port.subnet_id)
    return own, str(home.gateway if version == 4 else home.ipv6_gateway)


def test_the_ports_are_closed(how: str, fabric: Fabric) -> None:
    port = ASKING[how]
    for version in (4, 6):
        there = str(THERE.ips[0 if version == 4 else 1])
        eth, own = (text(port.mac), ROUTER_MAC), ends(port, version)[0]
        assert not asked(fabric, port, packets.udp(eth, (own, there)))
        back = packets.udp((text(THERE.mac), ROUTER_MAC), (there, own))
        assert not asked(fabric, THERE, back)


def questions(port: Port) -> Iterator[Packet]:
    """Yield what a guest asks of the agent before and while it has an address."""
    mac, local = text(port.mac), eui64(port.mac)
    four, gateway = ends(port, 4)
    everybody, routers = (mac, packets.BROADCAST), (mac, "33:33:00:00:00:02")
    yield packets.udp(everybody, ("0.0.0.0", "255.255.255.255"), (68, 67))
    yield packets.udp(everybody, (four, "255.255.255.255"), (68, 67))
    yield packets.udp((mac, ROUTER_MAC), (four, gateway), (68, 67))
    yield packets.udp((mac, "33:33:00:01:00:02"), (local, "ff02::1:2"), (546, 547))
    yield packets.icmp6(133, routers, (local, "ff02::2"))
    yield packets.icmp6(133, routers, ("::", "ff02::2"))


def test_dhcp_and_router_solicitations_reach_the_agent(how: str, fabric: Fabric) -> None:
    port = ASKING[how]
    for question in questions(port):
        (seen,) = asked(fabric, port, question)
        assert (seen.host_id, seen.ofport) == (HOST.id, AGENT)
        assert (seen["eth_src"], seen["eth_dst"]) == (text(port.mac), by_key(port))


def test_the_agents_answers_reach_the_port(how: str, fabric: Fabric) -> None:
    port = ASKING[how]
    eth, (four, gateway) = (by_key(port), text(port.mac)), ends(port, 4)
    local, to_all = eui64(port.mac), (by_key(port), "33:33:00:00:00:01")
    for answer in (
        packets.udp(eth, (gateway, four), (67, 68)),
        packets.udp(eth, (ROUTER_LINK_LOCAL, local), (547, 546)),
        packets.icmp6(134, to_all, (ROUTER_LINK_LOCAL, "ff02::1")),
        packets.advertise(eth, (ROUTER_LINK_LOCAL, local), ROUTER_LINK_LOCAL, ROUTER_MAC),
    ):
        (seen,) = fabric.inject(HOST.id, AGENT, answer)
        assert (seen.host_id, seen.ofport, seen["eth_src"]) == (HOST.id, port.key, ROUTER_MAC)


def test_arp_is_answered(how: str, fabric: Fabric) -> None:
    port, beside = ASKING[how], BESIDE[how]
    own, gateway = ends(port, 4)
    for target, mac in (
        (gateway, ROUTER_MAC),
        (DATA[0], ROUTER_MAC),
        (str(beside.ips[0]), text(beside.mac)),
    ):
        (seen,) = asked(fabric, port, packets.who_has(text(port.mac), own, target))
        assert (seen.ofport, seen["arp_op"]) == (port.key, "2")
        assert (seen["arp_spa"], seen["arp_sha"]) == (target, mac)
    announced = packets.arp(
        2,
        (text(port.mac), text(beside.mac)),
        (text(port.mac), own),
        (text(beside.mac), str(beside.ips[0])),
    )
    (seen,) = asked(fabric, port, announced)
    assert (seen.host_id, seen.ofport) == (PLAIN.id, beside.key)


def test_solicitations_for_the_gateway_are_answered(how: str, fabric: Fabric) -> None:
    port, beside = ASKING[how], BESIDE[how]
    for target in (ends(port, 6)[1], ROUTER_LINK_LOCAL):
        for source in (ends(port, 6)[0], eui64(port.mac)):
            question = packets.solicit(text(port.mac), source, target)
            (seen,) = asked(fabric, port, question)
            assert (seen.ofport, seen["icmpv6_type"]) == (port.key, "136")
            assert (seen["ipv6_src"], seen["nd_tll"]) == (target, ROUTER_MAC)
        again = {**question, "eth_dst": ROUTER_MAC, "ipv6_dst": target}  # is it still there?
        (seen,) = asked(fabric, port, again)
        assert (seen.ofport, seen["icmpv6_type"]) == (port.key, "136")
        question = packets.solicit(text(beside.mac), ends(beside, 6)[0], target)
        (seen,) = asked(fabric, beside, question, PLAIN)
        assert (seen.host_id, seen.ofport, seen["eth_dst"]) == (PLAIN.id, AGENT, by_key(beside))


def test_neighbours_find_each_other(how: str, fabric: Fabric) -> None:
    port, beside = ASKING[how], BESIDE[how]
    mac, theirs = text(port.mac), text(beside.mac)
    for own, target in (
        (ends(port, 6)[0], str(beside.ips[1])),
        (eui64(port.mac), eui64(beside.mac)),
    ):
        (seen,) = asked(fabric, port, packets.solicit(mac, own, target))
        assert (seen.host_id, seen.ofport, seen["eth_dst"]) == (PLAIN.id, beside.key, theirs)
        answer = packets.advertise((theirs, mac), (target, own), target, theirs)
        (seen,) = asked(fabric, beside, answer, PLAIN)
        assert (seen.host_id, seen.ofport) == (HOST.id, port.key)


@pytest.mark.parametrize("kind", [130, 131, 132, 143])
def test_listeners_are_heard_on_their_link(kind: int, how: str, fabric: Fabric) -> None:
    port, beside = ASKING[how], BESIDE[how]
    eth = text(port.mac), packets.multicast_mac("ff02::16")
    (seen,) = asked(fabric, port, packets.icmp6(kind, eth, (eui64(port.mac), "ff02::16")))
    assert (seen.host_id, seen.ofport) == (PLAIN.id, beside.key)


@pytest.mark.parametrize("version", [4, 6])
def test_names_and_metadata_are_asked_and_answered(version: int, how: str, fabric: Fabric) -> None:
    port, at = ASKING[how], version == 6
    own = ends(port, version)[0]
    for make, server, number in (
        (packets.udp, DNS[at], 53),
        (packets.tcp, DNS[at], 53),
        (packets.tcp, DATA[at], 80),
    ):
        (seen,) = asked(
            fabric, port, make((text(port.mac), ROUTER_MAC), (own, server), (5000, number))
        )
        assert (seen.host_id, seen.ofport) == (HOST.id, NAMES_OFPORT)
        names = ("nw_src", "nw_dst") if version == 4 else ("ipv6_src", "ipv6_dst")
        client, to = (seen[name] for name in names)
        answer = make((text(NAMES_MAC), ROUTER_MAC), (to, client), (number, 5000))
        (back,) = fabric.inject(HOST.id, NAMES_OFPORT, answer)
        assert (back.host_id, back.ofport, back[names[1]]) == (HOST.id, port.key, own)
