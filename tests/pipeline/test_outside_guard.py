"""Who is outside passes for nobody within, by whatever way it comes, with real frames."""

import dataclasses
import ipaddress
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import text
from tests.pipeline.outward import (
    AGENT,
    BLUES,
    DATA,
    FAR,
    HOST,
    NETWORK,
    OUT,
    RED,
    ROUTER,
    Town,
    entering,
    guest,
    leaving,
    ofport,
    only,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.flows.reasons import Reason
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.host import error_inwards

pytestmark = pytest.mark.ovs
GROUP = n.group(
    1,
    RED,
    *(n.allow("ingress", n.group_id(1), version) for version in (4, 6)),
    *(n.allow("egress", None, version) for version in (4, 6)),
    n.allow("ingress", f"{FAR}/32"),
    n.allow("ingress", "203.0.113.0/24"),
    n.allow("ingress", "2001:db8:99::/64", 6),
)
PAIRS = (n.pair("172.16.9.9/32"), n.pair("2001:db8:aa::9/128"))
ONE, TWO = guest(1, groups=(GROUP.id,)), guest(2, DATA, groups=(GROUP.id,))
SHARING = guest(3, groups=(GROUP.id,), allowed_pairs=PAIRS)
BLUE_ONE = guest(4, BLUES)
EIP, EIP_2 = (n.eip(1, NETWORK, "203.0.113.10", ONE), n.eip(2, NETWORK, "203.0.113.11", TWO))
EIP_BLUE = n.eip(3, NETWORK, "203.0.113.12", BLUE_ONE)
FORWARD = n.forward("203.0.113.20", 17, (6000, 6003), str(TWO.ips[0]), 7000)
NAT = n.nat(1, RED, NETWORK, HOST, forwards=(FORWARD,))
EIP_NAT = n.eip(20, NETWORK, "203.0.113.20", NAT)
ALL = (GROUP, ONE, TWO, SHARING, BLUE_ONE, EIP, EIP_2, EIP_BLUE, NAT, EIP_NAT)
MEMBERS = (str(TWO.ips[0]), "172.16.9.9", "10.0.250.1")
MEMBERS_6 = (str(TWO.ips[1]), "2001:db8:aa::9")
FAR_6 = "2001:db8:99::1"


@pytest.fixture(scope="module")
def town(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, *ALL)
    yield made
    made.close()


def to_global(source: str) -> bytes:
    mac = text(outside_mac(ONE.key))
    return f.udp(Ends((ROUTER[0], mac), (source, str(ONE.ips[1]))), (1000, 53))


@pytest.mark.parametrize("source", MEMBERS)
def test_nobody_passes_for_a_member_by_an_eip_or_a_forward(town: Town, source: str) -> None:
    made = town.anew(*ALL)
    assert made.sends(OUT, f.udp(entering(EIP, source), (1000, 53))) == {}
    assert made.sends(OUT, f.udp(entering(EIP_NAT, source), (1000, 6001))) == {}
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 2


@pytest.mark.parametrize("source", MEMBERS_6)
def test_nobody_passes_for_a_member_by_a_global_address(town: Town, source: str) -> None:
    made = town.anew(*ALL)
    assert made.sends(OUT, to_global(source)) == {}
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 1


def test_nobody_passes_for_a_neighbour_on_the_link(town: Town) -> None:
    made = town.anew(*ALL)
    assert made.sends(OUT, to_global("fe80::c00:ff:fe00:3")) == {}
    assert made.wire.dropped(Reason.UNROUTABLE_SOURCE) == 1


def test_errors_come_from_nobody_within(town: Town) -> None:
    """The agent has translated them, and puts them back."""
    made = town.anew(*ALL)
    mac = format_mac(error_inwards(EIP_BLUE.key))
    for source, reaches in (("10.0.1.99", []), (FAR, [ofport(BLUE_ONE)])):
        ends = Ends((mac, "02:00:00:00:00:99"), (source, str(BLUE_ONE.ips[0])))
        assert list(made.sends(AGENT, f.icmp(ends, 3))) == reaches
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 1


def test_others_come_in_as_ever(town: Town) -> None:
    made = town.anew(*ALL)
    only(made.sends(OUT, f.udp(entering(EIP), (1000, 53))), ofport(ONE))
    only(made.sends(OUT, f.udp(entering(EIP_NAT), (1000, 6001))), ofport(TWO))
    only(made.sends(OUT, to_global(FAR_6)), ofport(ONE))
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 0


def test_guests_reach_eips_of_their_own_vpc(town: Town) -> None:
    """What they send has another source by then: to a port's, their own, and a gateway's."""
    made = town.anew(*ALL)
    for to, port, got_by in ((EIP_2, 53, TWO), (EIP, 53, ONE), (EIP_NAT, 6001, TWO)):
        sent = f.udp(leaving(ONE, str(to.address)), (1000, port))
        got = only(made.sends(ONE, sent), ofport(got_by))
        assert got["nw_src"] == str(EIP.address)
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 0


def test_another_vpc_with_the_same_blocks_is_another_one(town: Town) -> None:
    """Its pairs and blocks say nothing of this one's, and it has none of IPv6."""
    made = town.anew(*ALL)
    assert made.sends(OUT, f.udp(entering(EIP_BLUE, "10.0.1.11"), (1000, 53))) == {}
    only(made.sends(OUT, f.udp(entering(EIP_BLUE, "172.16.9.9"), (1000, 53))), ofport(BLUE_ONE))


def test_a_pair_counts_while_a_port_has_it_and_a_block_while_the_vpc_has_it(town: Town) -> None:
    made = town.anew(*ALL, n.group(1, RED, n.allow("ingress")))
    spoofed = f.udp(entering(EIP, "172.16.9.9"), (1000, 53))
    assert made.sends(OUT, spoofed) == {}
    made.change(dataclasses.replace(SHARING, allowed_pairs=()))
    only(made.sends(OUT, spoofed), ofport(ONE))
    wider = (*RED.cidrs, ipaddress.ip_network("172.16.0.0/12"))
    made.change(dataclasses.replace(RED, cidrs=wider))
    assert made.sends(OUT, spoofed) == {}
