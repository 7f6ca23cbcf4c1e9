"""Questions for the resolver and for metadata: to the sockets of the host's agent, and back."""

import dataclasses
import ipaddress

import pytest

from tests.oracle.oracle import ROUTER_MAC, eui64, text
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import put
from tests.support.packets import Packet
from tests.support.showcase import HOST_1, HOST_2, OTHER_1, WEB_1, WEB_3, showcase
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason
from vpcctl.model.names import NAMES_MAC, NAMES_OFPORT, key_of4, key_of6

pytestmark = pytest.mark.ovs
MAC, LOCAL = text(WEB_3.mac), eui64(WEB_3.mac)
AWAY = (MAC, ROUTER_MAC)
FOUR, SIX = "10.0.1.12", "fd00:1::12"
DNS4, DNS6, DATA4, DATA6 = "169.254.169.253", "fd00:ec2::253", "169.254.169.254", "fd00:ec2::254"
QUESTIONS: dict[str, Packet] = {
    "dns": packets.udp(AWAY, (FOUR, DNS4), (5000, 53)),
    "dns, IPv6": packets.udp(AWAY, (SIX, DNS6), (5000, 53)),
    "dns, TCP": packets.tcp(AWAY, (FOUR, DNS4), (5000, 53)),
    "dns, TCP, IPv6": packets.tcp(AWAY, (SIX, DNS6), (5000, 53)),
    "metadata": packets.tcp(AWAY, (FOUR, DATA4), (5000, 80)),
    "metadata, IPv6": packets.tcp(AWAY, (SIX, DATA6), (5000, 80)),
}


def ends(seen: Packet) -> tuple[str, str]:
    if "nw_src" in seen:
        return seen["nw_src"], seen["nw_dst"]
    return seen["ipv6_src"], seen["ipv6_dst"]


def key_in(client: str, server: str) -> int:
    one, other = ipaddress.ip_address(client).packed, ipaddress.ip_address(server).packed
    return key_of4(one, other) if len(one) == 4 else key_of6(one)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_reaches_the_sockets_and_its_answer_the_asking_port(
    name: str, fabric: Fabric
) -> None:
    question = QUESTIONS[name]
    (seen,) = fabric.inject(HOST_2.id, 11, question)
    assert (seen.host_id, seen.ofport) == (HOST_2.id, NAMES_OFPORT)
    assert seen["eth_dst"] == text(NAMES_MAC)
    found = {field: seen[field] for field in question if field.endswith(("_src", "_dst"))}
    client, server = ends(found)
    assert key_in(client, server) == WEB_3.key
    make = packets.tcp if "tcp_dst" in question else packets.udp
    port = 80 if "metadata" in name else 53
    answer = make((text(NAMES_MAC), "0e:76:70:63:00:01"), (server, client), (port, 5000))
    (back,) = fabric.inject(HOST_2.id, NAMES_OFPORT, answer)
    assert (back.host_id, back.ofport) == (HOST_2.id, 11)
    assert (back["eth_src"], back["eth_dst"]) == (ROUTER_MAC, MAC)
    came = {field: back[field] for field in answer if field.endswith(("_src", "_dst"))}
    assert ends(came) == ends(question)[::-1]


def test_ports_with_one_address_are_told_apart(fabric: Fabric) -> None:
    seen = [
        fabric.inject(HOST_1.id, ofport, packets.udp((text(port.mac), ROUTER_MAC), (ip, DNS4)))
        for port, ofport, ip in ((WEB_1, 11, "10.0.1.10"), (OTHER_1, 14, "10.0.1.10"))
    ]
    keys = [key_in(one["nw_src"], one["nw_dst"]) for (one,) in seen]
    assert keys == [WEB_1.key, OTHER_1.key]


def test_an_answer_for_a_port_of_another_host_goes_nowhere(fabric: Fabric) -> None:
    (seen,) = fabric.inject(HOST_2.id, 11, QUESTIONS["dns"])
    answer = packets.udp(
        (text(NAMES_MAC), ROUTER_MAC), (seen["nw_dst"], seen["nw_src"]), (53, 5000)
    )
    assert not fabric.inject(HOST_1.id, NAMES_OFPORT, answer)


@pytest.mark.parametrize(
    "packet",
    [
        packets.udp(AWAY, (FOUR, DATA4), (5000, 53)),
        packets.tcp(AWAY, (FOUR, DNS4), (5000, 80)),
        packets.tcp(AWAY, (FOUR, DATA4), (5000, 22)),
        packets.echo(AWAY, (SIX, DNS6)),
        packets.udp(AWAY, ("10.0.1.99", DNS4), (5000, 53)),
    ],
)
def test_nothing_else_reaches_them(packet: Packet, fabric: Fabric) -> None:
    assert not fabric.inject(HOST_2.id, 11, packet)


def test_what_comes_through_a_tunnel_is_no_question(fabric: Fabric) -> None:
    reached = fabric.arrive(HOST_1.id, str(HOST_2.vtep), 0x11, QUESTIONS["dns"])
    assert NAMES_OFPORT not in {one.ofport for one in reached}


@pytest.mark.parametrize("address", [DNS4, DATA4])
def test_a_guest_without_a_route_is_told_the_gateways_mac(address: str, fabric: Fabric) -> None:
    (seen,) = fabric.inject(HOST_2.id, 11, packets.who_has(MAC, FOUR, address))
    assert (seen.ofport, seen["arp_sha"], seen["arp_spa"]) == (11, ROUTER_MAC, address)


def test_an_address_that_is_not_the_ports_own_is_not_answered(fabric: Fabric) -> None:
    packet = {"in_port": "11", **packets.udp(AWAY, (LOCAL, DNS6))}
    assert fabric.reason(HOST_2.id, packet) == Reason.GUEST_ADDRESS


def test_a_host_without_sockets_counts_what_is_not_answered(ovs: DummyOvs) -> None:
    net = showcase()
    net.apply([put(dataclasses.replace(HOST_2, guest_services=False))])
    plain = Fabric(ovs, net, "nameless")
    try:
        packet = {"in_port": "11", **QUESTIONS["dns"]}
        assert plain.reason(HOST_2.id, packet) == Reason.GUEST_UNANSWERED
    finally:
        plain.close()
