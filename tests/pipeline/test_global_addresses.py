"""Global IPv6 addresses: not translated, but announced, reached and guarded."""

from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import (
    AGENT,
    BLUES,
    DATA,
    NETWORK,
    OUT,
    RED,
    ROUTER,
    Town,
    guest,
    leaving,
    ofport,
    only,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.host import Question, outside_question

pytestmark = pytest.mark.ovs
ONE, TWO = guest(1), guest(2, DATA)
OWN, OWN_2 = (str(port.ips[1]) for port in (ONE, TWO))
FAR, ROUTER6 = "2001:db8:99::1", "2001:db8:77::1"
MAC = format_mac(outside_mac(ONE.key))


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, TWO)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Town:
    return place.anew(ONE, TWO)


def question(kind: Question) -> str:
    return format_mac(outside_question(NETWORK.key, kind))


def _nd(ends: Ends, kind: int, target: str, flags: int, option: int) -> bytes:
    source = bytes.fromhex(ends.eth[0].replace(":", ""))
    rest = flags.to_bytes(4, "big") + n.ip(target).packed + bytes((option, 1)) + source
    return f.icmp(ends, kind, 0, rest)


def solicited(target: str) -> bytes:
    group = f"ff02::1:ff{target.rsplit(':', 1)[1].zfill(6)[:2]}:{target.rsplit(':', 1)[1]}"
    ends = Ends((ROUTER[0], "33:33:ff:00:00:11"), (ROUTER6, group))
    return _nd(ends, 135, target, 0, 1)


def test_who_asks_for_an_address_is_answered_by_the_agent(town: Town) -> None:
    asked = only(town.sends(OUT, solicited(OWN)), AGENT)
    assert asked["eth_dst"] == question(Question.SOLICITED)
    assert town.sends(OUT, solicited("2001:db8:1::99")) == {}
    answer = _nd(Ends((MAC, ROUTER[0]), (OWN, ROUTER6)), 136, OWN, 0x60000000, 2)
    assert only(town.sends(AGENT, answer), OUT)["eth_src"] == MAC


def test_a_neighbour_that_asks_or_tells_is_known(town: Town) -> None:
    asked = only(town.sends(ONE, f.udp(leaving(ONE, FAR, 6), (5000, 53))), AGENT)
    assert asked["eth_dst"] == question(Question.UNRESOLVED)
    assert (asked["eth_src"], asked["ipv6_src"]) == (MAC, OWN)
    told = _nd(Ends((ROUTER[0], MAC), (ROUTER6, OWN)), 136, ROUTER6, 0x60000000, 2)
    assert only(town.sends(OUT, told), AGENT)["eth_dst"] == question(Question.HEARD)
    town.wire.settle()
    got = only(town.sends(ONE, f.udp(leaving(ONE, FAR, 6), (5000, 53))), OUT)
    assert (got["eth_src"], got["eth_dst"]) == (MAC, ROUTER[0])
    assert (got["ipv6_src"], got["ipv6_dst"], got["nw_ttl"]) == (OWN, FAR, "63")


def test_an_address_is_reached_from_outside(town: Town) -> None:
    ends = Ends((ROUTER[0], MAC), (FAR, OWN))
    got = only(town.sends(OUT, f.udp(ends, (53, 5000))), ofport(ONE))
    assert (got["eth_src"], got["eth_dst"]) == (ROUTER_MAC, text(ONE.mac))
    assert got["nw_ttl"] == "63"


def test_addresses_of_one_vpc_reach_each_other_inside(town: Town) -> None:
    got = only(town.sends(ONE, f.udp(leaving(ONE, OWN_2, 6), (5000, 53))), ofport(TWO))
    assert (got["ipv6_src"], got["eth_src"]) == (OWN, ROUTER_MAC)


def test_an_address_that_two_ports_have_is_nobodys(town: Town) -> None:
    rival = n.port(0x109, BLUES, "0e:00:00:00:00:09", "10.0.1.19", OWN)
    town.change(rival)
    assert town.sends(OUT, solicited(OWN)) == {}
    ends = Ends((ROUTER[0], MAC), (FAR, OWN))
    assert town.sends(OUT, f.udp(ends, (53, 5000))) == {}


def test_without_a_route_of_ipv6_addresses_are_not_outside(town: Town) -> None:
    town.change(n.table(1, RED))
    assert town.sends(OUT, solicited(OWN)) == {}
    ends = Ends((ROUTER[0], MAC), (FAR, OWN))
    assert town.sends(OUT, f.udp(ends, (53, 5000))) == {}
