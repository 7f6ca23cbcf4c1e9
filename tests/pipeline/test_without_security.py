"""A port without port security is a router or an appliance: what guests may not say, it may."""

import pytest

from tests.oracle.oracle import ROUTER_MAC, Packet, eui64, text
from tests.support import packets
from tests.support.showcase import DATA_1, DATA_2, DATA_3, HOST_1, HOST_2
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason
from vpcctl.model.host import GUEST_SERVICE_OFPORT
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
OPEN, CLOSED = 13, 16
"""Interfaces of DATA_2, which has no port security, and of DATA_3 beside it, which has."""
TO_ALL = {(HOST_1.id, CLOSED), (HOST_2.id, 12)}
TO_ONE = {(HOST_2.id, 12)}


def spoken(port: Port) -> dict[str, tuple[Reason, Packet, set[tuple[str, int]]]]:
    """What routers and DHCP servers say: why others may not, and whom it reaches otherwise."""
    mac, local, one = text(port.mac), eui64(port.mac), text(DATA_1.mac)
    every = (mac, packets.multicast_mac("ff02::1"))
    own, theirs = str(port.ips[0]), str(DATA_1.ips[0])
    there = eui64(DATA_1.mac)
    answers = {
        "offer": packets.udp((mac, one), (own, theirs), (67, 68)),
        "DHCPv6 answer": packets.udp((mac, one), (local, there), (547, 546)),
    }
    return {
        "advertisement": (
            Reason.ROUTER_ADVERTISEMENT,
            packets.icmp6(134, every, (local, "ff02::1")),
            TO_ALL,
        ),
        "redirect": (Reason.REDIRECT, packets.icmp6(137, (mac, one), (local, there)), TO_ONE),
        "offer to all": (
            Reason.DHCP_SERVER,
            packets.udp((mac, packets.BROADCAST), (own, "255.255.255.255"), (67, 68)),
            TO_ALL,
        ),
        **{name: (Reason.DHCP_SERVER, packet, TO_ONE) for name, packet in answers.items()},
    }


@pytest.mark.parametrize("name", spoken(DATA_2))
def test_it_may_speak_as_a_router_and_as_a_dhcp_server(name: str, fabric: Fabric) -> None:
    _, packet, reached = spoken(DATA_2)[name]
    seen = fabric.inject(HOST_1.id, OPEN, packet)
    assert {(one.host_id, one.ofport) for one in seen} == reached


@pytest.mark.parametrize("name", spoken(DATA_3))
def test_others_beside_it_may_not(name: str, fabric: Fabric) -> None:
    reason, packet, _ = spoken(DATA_3)[name]
    assert not fabric.inject(HOST_1.id, CLOSED, packet)
    assert fabric.reason(HOST_1.id, {"in_port": str(CLOSED), **packet}) == reason


@pytest.mark.parametrize(
    "packet",
    [
        packets.udp(
            (text(DATA_3.mac), packets.BROADCAST), ("0.0.0.0", "255.255.255.255"), (68, 67)
        ),
        packets.icmp6(
            133,
            (text(DATA_3.mac), packets.multicast_mac("ff02::2")),
            (eui64(DATA_3.mac), "ff02::2"),
        ),
    ],
    ids=["discovery", "router solicitation"],
)
def test_what_guests_ask_goes_to_the_agent_and_not_to_it(packet: Packet, fabric: Fabric) -> None:
    (seen,) = fabric.inject(HOST_1.id, CLOSED, packet)
    assert (seen.host_id, seen.ofport) == (HOST_1.id, GUEST_SERVICE_OFPORT)


def test_what_nobody_may_send_it_may_not_either(fabric: Fabric) -> None:
    frame = packets.icmp6(
        134, (ROUTER_MAC, packets.multicast_mac("ff02::1")), ("fe80::1", "ff02::1")
    )
    for wrong in ({"vlan_tci": "0x1005"}, {"eth_src": "01:00:5e:00:00:01"}):
        assert not fabric.inject(HOST_1.id, OPEN, {**frame, **wrong})
