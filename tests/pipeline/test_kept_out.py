"""What is dropped of packets from outside is counted for the port that they were for."""

import dataclasses
from collections.abc import Iterator

import pytest

from tests.pipeline.outward import (
    DATA,
    HOST,
    NETWORK,
    OUT,
    RED,
    ROUTER,
    WEB,
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
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
GROUP = n.group(2, RED, n.allow("egress"), n.allow("ingress", protocol=6, ports=(80, 80)))
ONE, TWO, FILTERED = guest(1), guest(2, DATA), guest(3, WEB, groups=(GROUP.id,))
ELSEWHERE, AWAY = n.host(3), guest(9)
THERE = n.at(AWAY, ELSEWHERE, ofport(ONE))
"""A port on a host that reaches no network outside, at the same ofport as one here."""
EIP, EIP_2 = n.eip(1, NETWORK, "203.0.113.10", ONE), n.eip(2, NETWORK, "203.0.113.11", TWO)
EIP_FILTERED = n.eip(3, NETWORK, "203.0.113.12", FILTERED)
EIP_AWAY = n.eip(9, NETWORK, "203.0.113.19", AWAY)
NAT = n.nat(1, RED, NETWORK, HOST)
EIP_NAT = n.eip(20, NETWORK, "203.0.113.20", NAT)
PRIVATE = n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False)
ACL = n.acl(
    1,
    RED,
    n.line(10, "ingress", "allow", "0.0.0.0/0", protocol=6, ports=(80, 81)),
    n.line(20, "egress", "allow", "0.0.0.0/0"),
)
WALLED = dataclasses.replace(WEB, acl_id=ACL.id)
BEHIND_NAT = dataclasses.replace(DATA, acl_id=ACL.id, route_table_id=PRIVATE.id)


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ELSEWHERE, ONE, TWO, FILTERED, AWAY, THERE)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Town:
    eips = (EIP, EIP_2, EIP_FILTERED, EIP_AWAY)
    fixed = (ELSEWHERE, ACL, WALLED, GROUP, ONE, TWO, FILTERED, AWAY, THERE)
    return place.anew(*fixed, *eips)


def kept_out(town: Town, port: Port) -> int:
    """How many packets for a port its subnet's ACL has dropped, as the port's flows count it."""
    return town.wire.counters(port.key)["acl-in-denied"]


def test_by_an_acl_on_the_way_to_an_eip(town: Town) -> None:
    only(town.sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(ONE))
    assert town.sends(OUT, f.tcp(entering(EIP), (4000, 82))) == {}
    town.wire.settle()
    assert [kept_out(town, one) for one in (ONE, FILTERED, TWO)] == [1, 0, 0]
    assert town.wire.dropped(Reason.ACL_IN_DENIED) == 1


def test_by_an_acl_that_is_not_there(town: Town) -> None:
    town.change(dataclasses.replace(WEB, acl_id="nacl-nowhere"))
    assert town.sends(OUT, f.tcp(entering(EIP), (4000, 80))) == {}
    town.wire.settle()
    assert kept_out(town, ONE) == 1


def test_by_an_acl_on_the_way_to_a_global_address(town: Town) -> None:
    ends = Ends((ROUTER[0], format_mac(outside_mac(ONE.key))), ("2001:db8:99::1", str(ONE.ips[1])))
    assert town.sends(OUT, f.udp(ends, (53, 5000))) == {}
    town.wire.settle()
    assert kept_out(town, ONE) == 1


def test_by_an_acl_from_an_eip_of_the_same_host(town: Town) -> None:
    """It leaves its VPC and comes back in, so it is for the other port, and from nobody."""
    assert town.sends(TWO, f.udp(leaving(TWO, "203.0.113.10"), (5000, 53))) == {}
    town.wire.settle()
    assert [kept_out(town, one) for one in (ONE, TWO)] == [1, 0]


def test_by_the_ports_groups(town: Town) -> None:
    only(town.sends(OUT, f.tcp(entering(EIP_FILTERED), (4000, 80))), ofport(FILTERED))
    assert town.sends(OUT, f.tcp(entering(EIP_FILTERED), (4000, 81))) == {}
    town.wire.settle()
    assert town.wire.counters(FILTERED.key)["ingress-denied"] == 1
    assert kept_out(town, FILTERED) == 0


@pytest.mark.parametrize("sender", [OUT, FILTERED], ids=["from outside", "from a port here"])
def test_for_a_port_of_another_host_no_port_here(town: Town, sender: int | Port) -> None:
    """As docs/api.md says: the gateway host counts it by reason alone."""
    ends = entering(EIP_AWAY) if sender == OUT else leaving(FILTERED, "203.0.113.19")
    assert town.sends(sender, f.udp(ends, (5000, 53))) == {}
    town.wire.settle()
    assert town.wire.dropped(Reason.ACL_IN_DENIED) == 1
    assert [kept_out(town, one) for one in (ONE, FILTERED)] == [0, 0]


def test_through_a_nat_gateway_no_port(town: Town) -> None:
    """As docs/api.md says: it is not known yet whose the address is."""
    town.change(NAT, EIP_NAT, PRIVATE, BEHIND_NAT)
    town.hear(EIP_NAT)
    sent = only(town.sends(TWO, f.udp(leaving(TWO), (5000, 53))), OUT)
    answer = f.udp(entering(EIP_NAT), (int(sent["tp_dst"]), int(sent["tp_src"])))
    assert town.sends(OUT, answer) == {}
    town.wire.settle()
    assert town.wire.dropped(Reason.ACL_IN_DENIED) == 1
    assert [kept_out(town, one) for one in (ONE, TWO)] == [0, 0]


def test_what_a_port_sends_stays_its_own(town: Town) -> None:
    """The receiver's ACL is asked on the sender's host, before it is known whose the address is."""
    assert town.sends(TWO, f.udp(leaving(TWO, str(ONE.ips[0])), (5000, 53))) == {}
    town.wire.settle()
    assert [kept_out(town, one) for one in (ONE, TWO)] == [0, 1]
