"""What the host's agent answers: DHCP, routers, and gateways where flows cannot."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, eui64, text
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import put
from tests.support.showcase import HOST_1, HOST_2, WEB_1, WEB_3, showcase
from tests.support.tracing import Fabric
from vpcctl.model.host import GUEST_SERVICE_OFPORT

pytestmark = pytest.mark.ovs
MAC, BY_KEY = text(WEB_3.mac), "0e:76:00:00:01:03"


@pytest.fixture(scope="module")
def plain(ovs: DummyOvs) -> Iterator[Fabric]:
    """A datapath that cannot rewrite the options of neighbour discovery."""
    net = showcase()
    net.apply([put(dataclasses.replace(HOST_2, nd_extensions=False))])
    fabric = Fabric(ovs, net, "plain")
    yield fabric
    fabric.close()


def test_a_question_for_the_gateway_reaches_the_agent_with_the_asking_ports_key(
    plain: Fabric,
) -> None:
    (seen,) = plain.inject(HOST_2.id, 11, packets.solicit(MAC, "fd00:1::12", "fd00:1::1"))
    assert seen.ofport == GUEST_SERVICE_OFPORT
    assert (seen["eth_src"], seen["eth_dst"]) == (MAC, BY_KEY)


def test_a_spoofed_question_does_not(plain: Fabric) -> None:
    assert not plain.inject(HOST_2.id, 11, packets.solicit(MAC, "fd00:1::99", "fd00:1::1"))


def test_the_agents_answer_comes_from_the_gateway(plain: Fabric) -> None:
    answer = packets.advertise((BY_KEY, MAC), ("fd00:1::1", "fd00:1::12"), "fd00:1::1", ROUTER_MAC)
    (seen,) = plain.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)
    assert seen.ofport == 11
    assert (seen["eth_src"], seen["eth_dst"]) == (ROUTER_MAC, MAC)


def test_the_agent_reaches_no_port_of_another_host(plain: Fabric) -> None:
    elsewhere = f"0e:76:00:00:{WEB_1.key >> 8:02x}:{WEB_1.key & 255:02x}"
    ends = (elsewhere, text(WEB_1.mac))
    answer = packets.advertise(ends, ("fd00:1::1", "fd00:1::10"), "fd00:1::1", ROUTER_MAC)
    assert not plain.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)


def test_a_guest_cannot_speak_as_the_agent(plain: Fabric) -> None:
    answer = packets.advertise((BY_KEY, MAC), ("fd00:1::1", "fd00:1::12"), "fd00:1::1", ROUTER_MAC)
    assert not plain.inject(HOST_2.id, 12, answer)


LOCAL = eui64(WEB_3.mac)
ALL = (MAC, packets.BROADCAST)
QUESTIONS: dict[str, packets.Packet] = {
    "discovery": packets.udp(ALL, ("0.0.0.0", "255.255.255.255"), (68, 67)),
    "rebinding": packets.udp(ALL, ("10.0.1.12", "255.255.255.255"), (68, 67)),
    "renewal": packets.udp((MAC, ROUTER_MAC), ("10.0.1.12", "10.0.1.1"), (68, 67)),
    "rebinding of what the port has not": packets.udp(
        ALL, ("10.0.1.99", "255.255.255.255"), (68, 67)
    ),
    "renewal of what the port has not": packets.udp(
        (MAC, ROUTER_MAC), ("10.0.1.99", "10.0.1.1"), (68, 67)
    ),
    "DHCPv6": packets.udp((MAC, "33:33:00:01:00:02"), (LOCAL, "ff02::1:2"), (546, 547)),
    "router": packets.icmp6(133, (MAC, "33:33:00:00:00:02"), (LOCAL, "ff02::2")),
    "router, without an address": packets.icmp6(133, (MAC, "33:33:00:00:00:02"), ("::", "ff02::2")),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_reach_the_agent_alone_with_the_asking_ports_key(
    name: str, fabric: Fabric
) -> None:
    (seen,) = fabric.inject(HOST_2.id, 11, QUESTIONS[name])
    assert (seen.host_id, seen.ofport) == (HOST_2.id, GUEST_SERVICE_OFPORT)
    assert (seen["eth_src"], seen["eth_dst"]) == (MAC, BY_KEY)


@pytest.mark.parametrize("name", QUESTIONS)
def test_spoofed_questions_do_not(name: str, fabric: Fabric) -> None:
    spoofed = {**QUESTIONS[name], "eth_src": "0e:00:00:00:00:99"}
    assert not fabric.inject(HOST_2.id, 11, spoofed)


@pytest.fixture(scope="module")
def bare(ovs: DummyOvs) -> Iterator[Fabric]:
    """A port whose IPv4 address was taken away."""
    net = showcase()
    net.apply([put(dataclasses.replace(WEB_3, ips=WEB_3.ips[1:], allowed_pairs=()))])
    fabric = Fabric(ovs, net, "bare")
    yield fabric
    fabric.close()


@pytest.mark.parametrize("name", [name for name, one in QUESTIONS.items() if "nw_src" in one])
def test_who_has_lost_its_ipv4_address_can_hear_that_it_has(name: str, bare: Fabric) -> None:
    (seen,) = bare.inject(HOST_2.id, 11, QUESTIONS[name])
    assert (seen.ofport, seen["eth_dst"]) == (GUEST_SERVICE_OFPORT, BY_KEY)
    assert not bare.inject(HOST_2.id, 11, {**QUESTIONS[name], "eth_src": "0e:00:00:00:00:99"})


def test_and_may_ask_for_the_gateways_mac_alone(bare: Fabric) -> None:
    (seen,) = bare.inject(HOST_2.id, 11, packets.who_has(MAC, "10.0.1.12", "10.0.1.1"))
    assert (seen.ofport, seen["arp_sha"]) == (11, ROUTER_MAC)
    for said, asked in (("10.0.1.12", "10.0.1.10"), ("0.0.0.0", "10.0.1.12")):
        assert not bare.inject(HOST_2.id, 11, packets.who_has(MAC, said, asked))
    assert not bare.inject(
        HOST_2.id, 11, packets.udp((MAC, ROUTER_MAC), ("10.0.1.12", "10.0.2.11"))
    )


@pytest.mark.parametrize("to", [packets.BROADCAST, ROUTER_MAC])
def test_a_port_without_security_has_its_own_key_all_the_same(to: str, fabric: Fabric) -> None:
    question = packets.udp((text(WEB_1.mac), to), ("10.0.1.10", "255.255.255.255"), (68, 67))
    (seen,) = fabric.inject(HOST_1.id, 13, question)
    assert (seen.ofport, seen["eth_dst"]) == (GUEST_SERVICE_OFPORT, "0e:76:00:00:01:05")


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_comes_through_a_tunnel_is_no_question(name: str, fabric: Fabric) -> None:
    reached = fabric.arrive(HOST_1.id, str(HOST_2.vtep), 0x11, QUESTIONS[name])
    assert GUEST_SERVICE_OFPORT not in {one.ofport for one in reached}


@pytest.mark.parametrize(
    "answer",
    [
        packets.udp((BY_KEY, MAC), ("10.0.1.1", "10.0.1.12"), (67, 68)),
        packets.udp((BY_KEY, packets.BROADCAST), ("10.0.1.1", "255.255.255.255"), (67, 68)),
        packets.udp((BY_KEY, MAC), ("fe80::c76:70ff:fe63:1", LOCAL), (547, 546)),
        packets.icmp6(134, (BY_KEY, "33:33:00:00:00:01"), ("fe80::c76:70ff:fe63:1", "ff02::1")),
    ],
)
def test_answers_reach_the_port_that_asked_alone(answer: packets.Packet, fabric: Fabric) -> None:
    (seen,) = fabric.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)
    assert (seen.host_id, seen.ofport) == (HOST_2.id, 11)
    assert (seen["eth_src"], seen["eth_dst"]) == (ROUTER_MAC, answer["eth_dst"])


def test_an_answer_for_a_port_of_another_host_goes_nowhere(fabric: Fabric) -> None:
    elsewhere = f"0e:76:00:00:{WEB_1.key >> 8:02x}:{WEB_1.key & 255:02x}"
    answer = packets.udp((elsewhere, MAC), ("10.0.1.1", "10.0.1.10"), (67, 68))
    assert not fabric.inject(HOST_2.id, GUEST_SERVICE_OFPORT, answer)
