"""Every way to be dropped has its own counted reason."""

import dataclasses

import pytest

from tests.oracle.oracle import ROUTER_MAC, Packet, eui64, text
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import put
from tests.support.showcase import (
    DATA_2,
    HOST_1,
    HOST_2,
    OTHER_1,
    OTHER_2,
    WEB_1,
    WEB_2,
    showcase,
)
from tests.support.tracing import Fabric
from vpcctl.flows.reasons import Reason

pytestmark = pytest.mark.ovs
MAC, MAC_2, LOCAL = text(WEB_1.mac), text(WEB_2.mac), eui64(WEB_1.mac)
FOUR, SIX, FOUR_2 = "10.0.1.10", "fd00:1::10", "10.0.1.11"
NEAR, AWAY, ALL = (MAC, MAC_2), (MAC, ROUTER_MAC), (MAC, packets.BROADCAST)

FROM_WEB_1: list[tuple[Reason, Packet]] = [
    (Reason.INVALID_SOURCE, packets.echo(("01:00:5e:00:00:01", MAC_2), (FOUR, FOUR_2))),
    (Reason.SPOOFED_IPV4, packets.echo(NEAR, ("10.0.1.99", FOUR_2))),
    (Reason.SPOOFED_IPV4, packets.echo((MAC_2, MAC_2), (FOUR, FOUR_2))),
    (Reason.SPOOFED_IPV6, packets.echo(NEAR, ("fd00:1::99", "fd00:1::11"))),
    (Reason.SPOOFED_ARP, packets.who_has(MAC, "10.0.1.99", FOUR_2)),
    (Reason.SPOOFED_ARP, packets.who_has(MAC, "10.0.1.99", "10.0.2.1")),
    (Reason.SPOOFED_ARP, packets.arp(1, ALL, (MAC_2, FOUR_2), (packets.NO_MAC, "10.0.1.1"))),
    (Reason.SPOOFED_ARP, packets.arp(2, ALL, (MAC, "10.0.1.1"), (MAC, "10.0.1.1"))),
    (Reason.SPOOFED_ND, packets.solicit(MAC, SIX, "fd00:1::11", sll=MAC_2)),
    (Reason.SPOOFED_ND, packets.advertise(NEAR, (SIX, "fd00:1::11"), "fd00:1::1", MAC)),
    (Reason.ETHERTYPE, {"eth_src": MAC, "eth_dst": MAC_2, "eth_type": "0x88cc"}),
    (Reason.ETHERTYPE, {"vlan_tci": "0x1005", **packets.echo(NEAR, (FOUR, FOUR_2))}),
    (Reason.ROUTER_ADVERTISEMENT, packets.icmp6(134, NEAR, (LOCAL, "ff02::1"))),
    (Reason.REDIRECT, packets.icmp6(137, NEAR, (LOCAL, "fd00:1::11"))),
    (Reason.DHCP_SERVER, packets.udp(NEAR, (FOUR, FOUR_2), (67, 68))),
    (Reason.DHCP_SERVER, packets.udp(NEAR, (FOUR, FOUR_2), (1067, 68))),
    (Reason.DHCP_SERVER, packets.udp(NEAR, (LOCAL, "fd00:1::11"), (547, 546))),
    (Reason.DHCP_SERVER, packets.udp(NEAR, (LOCAL, "fd00:1::11"), (1547, 546))),
    (Reason.SPOOFED_IPV4, packets.udp(NEAR, ("10.0.1.99", FOUR_2), (68, 67))),
    (Reason.SPOOFED_IPV4, packets.udp(AWAY, ("10.0.1.99", "10.0.2.11"), (69, 67))),
    (Reason.SPOOFED_IPV4, packets.udp(ALL, ("10.0.1.99", "255.255.255.255"), (69, 67))),
    (Reason.OWN_ADDRESS, packets.who_has(MAC, "0.0.0.0", FOUR)),
    (Reason.OWN_ADDRESS, packets.solicit(MAC, "::", SIX)),
    (Reason.OWN_ADDRESS, packets.solicit(MAC, "::", LOCAL)),
    (Reason.ARP_UNANSWERED, packets.who_has(MAC, FOUR, "10.0.1.200")),
    (Reason.ND_UNANSWERED, packets.solicit(MAC, SIX, "fd00:1::200")),
    (Reason.NO_NEIGHBOUR, packets.echo(AWAY, (FOUR, "10.0.2.200"))),
    (Reason.NO_NEIGHBOUR, packets.echo(AWAY, (SIX, "fd00:2::200"))),
    (Reason.NO_ROUTE, packets.echo(AWAY, (FOUR, "203.0.113.1"))),
    (Reason.NO_ROUTE, packets.echo(AWAY, (SIX, "2001:db8:9::1"))),
    (Reason.TTL_EXCEEDED, packets.echo(AWAY, (FOUR, "10.0.2.10"), ttl=1)),
    (Reason.TTL_EXCEEDED, packets.echo(AWAY, (SIX, "fd00:2::10"), ttl=1)),
    (Reason.GATEWAY_SERVICE, packets.udp(AWAY, (FOUR, "10.0.1.1"))),
    (Reason.GATEWAY_SERVICE, packets.udp(AWAY, (SIX, "fd00:2::1"))),
    (Reason.UNROUTABLE_SOURCE, packets.udp(AWAY, (LOCAL, "fd00:2::10"))),
    (Reason.ON_LINK_ONLY, packets.icmp6(143, AWAY, ("::", "fd00:2::10"))),
    (Reason.ON_LINK_ONLY, packets.icmp6(130, AWAY, (SIX, "fd00:2::10"))),
    (Reason.ON_LINK_ONLY, packets.icmp6(132, AWAY, (SIX, "2001:db8:9::1"))),
    (Reason.ON_LINK_ONLY, packets.advertise(AWAY, (SIX, "fd00:2::10"), SIX, MAC)),
    (Reason.OWN_ADDRESS, packets.udp(AWAY, (FOUR, FOUR))),
    (Reason.OWN_ADDRESS, packets.udp(AWAY, (SIX, SIX))),
    (Reason.OWN_ADDRESS, packets.udp((MAC, MAC), (FOUR, FOUR))),
    (Reason.UNKNOWN_UNICAST, packets.udp((MAC, "0e:00:00:00:00:fe"), (FOUR, FOUR_2))),
]


UNHEARD: list[tuple[Reason, Packet]] = [
    (Reason.DHCP_UNANSWERED, packets.udp(ALL, ("0.0.0.0", "255.255.255.255"), (68, 67))),
    (Reason.DHCP_UNANSWERED, packets.udp(ALL, ("10.0.1.99", "255.255.255.255"), (68, 67))),
    (Reason.DHCP_UNANSWERED, packets.udp(AWAY, ("10.0.1.99", "10.0.2.11"), (68, 67))),
    (Reason.DHCP_UNANSWERED, packets.udp(AWAY, (FOUR, "10.0.1.1"), (68, 67))),
    (Reason.DHCP_UNANSWERED, packets.udp(ALL, (LOCAL, "ff02::1:2"), (546, 547))),
    (Reason.ROUTER_SOLICITATION, packets.icmp6(133, ALL, (LOCAL, "ff02::2"))),
]
"""What is dropped where no agent answers."""


@pytest.mark.parametrize(("reason", "packet"), UNHEARD)
def test_questions_on_a_host_whose_agent_answers_none(
    reason: Reason, packet: Packet, ovs: DummyOvs
) -> None:
    net = showcase()
    net.apply([put(dataclasses.replace(HOST_1, guest_services=False))])
    plain = Fabric(ovs, net, "unheard")
    try:
        assert plain.reason(HOST_1.id, {"in_port": "11", **packet}) == reason
    finally:
        plain.close()


@pytest.mark.parametrize(("reason", "packet"), FROM_WEB_1)
def test_reason(reason: Reason, packet: Packet, fabric: Fabric) -> None:
    packet = {"in_port": "11", **packet}
    assert fabric.reason(HOST_1.id, packet) == reason
    assert fabric.trace(HOST_1.id, packet) == []


def test_an_interface_that_belongs_to_no_port(fabric: Fabric) -> None:
    packet = {"in_port": "99", **packets.echo(NEAR, (FOUR, FOUR_2))}
    assert fabric.reason(HOST_1.id, packet) == Reason.UNKNOWN_PORT


def test_a_port_that_is_down(fabric: Fabric) -> None:
    packet = {"in_port": "15", **packets.echo(NEAR, (FOUR, FOUR_2))}
    assert fabric.reason(HOST_1.id, packet) == Reason.ADMIN_DOWN


@pytest.mark.parametrize(
    ("reason", "vtep", "vni", "to"),
    [
        (Reason.UNKNOWN_VTEP, "192.0.2.99", 0x11, MAC),
        (Reason.UNKNOWN_VTEP, "192.0.2.1", 0x11, MAC),
        (Reason.UNKNOWN_VNI, "192.0.2.2", 0x99, MAC),
        (Reason.TUNNEL_TO_GATEWAY, "192.0.2.2", 0x11, ROUTER_MAC),
        (Reason.NO_OUTPUT, "192.0.2.2", 0x11, "0e:00:00:00:00:03"),
    ],
)
def test_what_comes_through_the_tunnel(
    reason: Reason, vtep: str, vni: int, to: str, fabric: Fabric
) -> None:
    packet = packets.echo(("0e:00:00:00:00:03", to), ("10.0.1.12", FOUR))
    tunnel = {"in_port": "1", "tun_id": str(vni), "tun_src": vtep, "tun_dst": "192.0.2.1"}
    assert fabric.reason(HOST_1.id, {**packet, **tunnel}) == reason
    assert fabric.arrive(HOST_1.id, vtep, vni, packet) == []


def test_a_tunnels_vni_decides_whose_port_a_packet_reaches(fabric: Fabric) -> None:
    packet = packets.echo((text(OTHER_2.mac), text(OTHER_1.mac)), ("10.0.1.11", "10.0.1.10"))
    reached = {vni: fabric.arrive(HOST_1.id, "192.0.2.2", vni, packet) for vni in (0x11, 0x21)}
    assert {vni: [one.ofport for one in got] for vni, got in reached.items()} == {
        0x11: [11],
        0x21: [14],
    }


def test_a_flow_with_tunnel_fields_from_a_port_is_still_that_ports(fabric: Fabric) -> None:
    packet = packets.echo(("0e:00:00:00:00:09", MAC), ("10.9.9.9", FOUR))
    tunnel = {"in_port": "14", "tun_id": "17", "tun_src": "192.0.2.2", "tun_dst": "192.0.2.1"}
    assert fabric.reason(HOST_1.id, {**packet, **tunnel}) == Reason.SPOOFED_IPV4


def test_a_port_without_security_stays_within_its_vpc(fabric: Fabric) -> None:
    """DATA_2 may send any source; addresses of the other tenant still lead nowhere."""
    mac = text(DATA_2.mac)
    for source in ("10.0.1.10", "203.0.113.5"):
        to_other = packets.echo((mac, ROUTER_MAC), (source, "10.0.1.12"))
        got = fabric.inject(HOST_1.id, 13, to_other)
        assert {(one.host_id, one.ofport) for one in got} == {(HOST_2.id, 11)}
