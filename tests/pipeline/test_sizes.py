"""Packets that are too large for ports or for an external network, with real frames and lengths."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest
from msgspec import structs

from agent.decide.guest import answering as guests
from agent.decide.guest.book import Book as Guests
from agent.decide.world.answering import Known, answer
from agent.decide.world.book import Book
from agent.decide.world.neighbours import Neighbours
from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import (
    AGENT,
    DATA,
    FAR,
    HOST,
    NETWORK,
    OTHER,
    OUT,
    RED,
    ROUTER,
    TABLES,
    WATCH,
    Town,
    entering,
    guest,
    leaving,
    ofport,
    only,
)
from tests.support import frames as f
from tests.support import guest_frames as g
from tests.support import networks as n
from tests.support import outside as wire
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.compile import compile_host
from vpcctl.flows.actions import CheckLarger
from vpcctl.flows.contract import check
from vpcctl.model.addresses import format_mac
from vpcctl.model.changes import Resource
from vpcctl.model.eip import outside_mac
from vpcctl.model.host import Question, outside_question, too_large_for

pytestmark = pytest.mark.ovs
ONE, TWO = guest(1), guest(2, DATA)
EIP = n.eip(1, NETWORK, "203.0.113.10", ONE)
NAT = n.nat(
    1, RED, NETWORK, HOST, forwards=(n.forward("203.0.113.20", 17, (53, 53), "10.0.2.12", 53),)
)
NAT_EIP = n.eip(20, NETWORK, "203.0.113.20", NAT)
BY_NAT = n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False)
PRIVATE = dataclasses.replace(DATA, route_table_id=BY_NAT.id)
OWN = str(ONE.ips[1])
PORT_MAC = format_mac(outside_mac(ONE.key))
FAR6, ROUTER6 = "2001:db8:99::1", "2001:db8:77::1"
INNER = 1450
WIDE = dataclasses.replace(NETWORK, mtu=1500, port_mtu=INNER)
NARROW = dataclasses.replace(NETWORK, mtu=1400, port_mtu=INNER)
SERVING = dataclasses.replace(HOST, guest_services=True)
ASKED = format_mac(outside_question(NETWORK.key, Question.TOO_LARGE))
ELSEWHERE = n.host(3)
Setting = Callable[..., Town]


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    ovs.add_vtep(str(ELSEWHERE.vtep))
    ovs.add_vtep(str(OTHER.vtep))
    made = Town(ovs, ONE, TWO)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Setting:
    def make(*resources: Resource) -> Town:
        fixed = (ELSEWHERE, SERVING, ONE, TWO, EIP, NAT, NAT_EIP, BY_NAT, PRIVATE)
        return place.anew(*fixed, *resources)

    return make


def long(ends: Ends, size: int, ports: tuple[int, int] = (5000, 53)) -> bytes:
    """A UDP packet of so many bytes without its Ethernet header."""
    head = 48 if ends.version == 6 else 28
    return f.udp(ends, ports, bytes(size - head))


def world() -> Known:
    """What the host's agent knows of its addresses."""
    state = wire.state(
        wire.eip(address="203.0.113.10", mac=text(EIP.mac), fixed_address="10.0.1.11"),
        wire.eip(address="203.0.113.20", mac=text(NAT_EIP.mac), fixed_address=None),
        wire.global_address(address=OWN, mac=PORT_MAC),
        external_networks=(wire.network(key=NETWORK.key, port_mtu=INNER),),
    )
    return Known(Book(state), Neighbours(), 0.0)


@pytest.mark.parametrize(
    ("ends", "arrives"),
    [
        (entering(EIP), ofport(ONE)),
        (entering(NAT_EIP), ofport(TWO)),
        (Ends((ROUTER[0], PORT_MAC), (FAR6, OWN)), ofport(ONE)),
    ],
    ids=["eip", "nat", "global"],
)
def test_what_is_too_large_for_ports_comes_back_as_an_error(
    town: Setting, ends: Ends, arrives: int
) -> None:
    made = town(WIDE)
    only(made.sends(OUT, long(ends, INNER)), arrives)
    sent = long(ends, INNER + 1)
    (asked,) = made.wire.send(OUT, sent)[AGENT]
    assert asked == bytes.fromhex(ASKED.replace(":", "")) + sent[6:]
    name, (told,) = answer(asked, world())
    assert name == "too-large"
    got = only(made.sends(AGENT, told), OUT)
    assert (got["eth_src"], got["eth_dst"]) == (ends.eth[1], ends.eth[0])
    kind = ("icmpv6_type", "2") if ends.version == 6 else ("icmp_type", "3")
    assert got[kind[0]] == kind[1]
    assert {got.get("nw_dst"), got.get("ipv6_dst")} == {ends.ip[0], None}
    only(made.sends(OUT, long(ends, INNER)), arrives)


def test_addresses_of_others_are_nobodys_business(town: Setting) -> None:
    made = town(WIDE)
    for address, mac in (("203.0.113.99", text(EIP.mac)), ("203.0.113.10", text(NAT_EIP.mac))):
        assert made.sends(OUT, long(Ends((ROUTER[0], mac), (FAR, address)), 1500)) == {}


def test_the_active_gateway_host_alone_answers(town: Setting) -> None:
    away, gateway = n.at(ONE, ELSEWHERE, 11), n.igw(1, RED, NETWORK, OTHER, HOST)
    made = town(WIDE, away, gateway)
    sent = long(entering(EIP), INNER + 1)
    assert made.sends(OUT, sent) == {}
    made.wire.lose(WATCH)
    assert only(made.sends(OUT, sent), AGENT)["eth_dst"] == ASKED
    assert made.sends(OUT, long(entering(EIP), INNER)) == {}  # goes on to the port's host
    made.wire.find(WATCH)


@pytest.mark.parametrize(
    ("port", "far", "mac", "router"),
    [
        (ONE, FAR, text(EIP.mac), "10.0.1.1"),
        (ONE, FAR6, PORT_MAC, "2001:db8:1::1"),
        (TWO, FAR, text(NAT_EIP.mac), "10.0.2.1"),
    ],
    ids=["eip", "global", "nat"],
)
def test_what_is_too_large_for_a_network_comes_back_as_an_error(
    town: Setting, port, far: str, mac: str, router: str
) -> None:
    made, version = town(NARROW), 6 if ":" in far else 4
    ends = leaving(port, far, version)
    left = only(made.sends(port, long(ends, 1400)), AGENT)  # its next hop is not known yet
    assert left["eth_dst"] == format_mac(outside_question(NETWORK.key, Question.UNRESOLVED))
    assert left["eth_src"] == mac
    (asked,) = made.wire.send(ofport(port), long(ends, 1401))[AGENT]
    assert asked[:6] == b"\x0e\x76" + port.key.to_bytes(4, "big")
    assert asked[6:12] == too_large_for(NETWORK.key).to_bytes(6, "big")
    found = guests.answer(asked, book(port))
    got = only(made.sends(AGENT, *found.frames), ofport(port))
    assert (got["eth_src"], got["eth_dst"]) == (ROUTER_MAC, text(port.mac))
    assert (
        (got["ipv6_src"], got["ipv6_dst"], got["icmpv6_type"]) == (router, ends.ip[0], "2")
        if (version == 6)
        else (got["nw_src"], got["nw_dst"], got["icmp_type"]) == (router, ends.ip[0], "3")
    )


def book(port) -> Guests:
    """What the host's agent knows of a guest."""
    third = port.ips[0].packed[2]
    block = g.block(
        cidr=f"10.0.{third}.0/24",
        gateway=f"10.0.{third}.1",
        ipv6_cidr=f"2001:db8:{third}::/64",
        ipv6_gateway=f"2001:db8:{third}::1",
    )
    state = g.state(g.guest(port.key, int(port.mac).to_bytes(6, "big")), subnet=block)
    networks = (wire.network(key=NETWORK.key, mtu=1400),)
    return Guests(structs.replace(state, external_networks=networks))


def test_what_stays_in_the_vpc_may_be_as_large_as_ports_take_it(town: Setting) -> None:
    made = town(NARROW)
    inside = Ends((text(ONE.mac), ROUTER_MAC), ("10.0.1.11", "10.0.2.12"))
    only(made.sends(ONE, long(inside, INNER)), ofport(TWO))


def checks(*resources: Resource) -> dict[str, set[int]]:
    """Lengths that flows of the host look for, by table."""
    net = n.network(
        *(SERVING, OTHER, RED, DATA, PRIVATE, TWO, n.igw(1, RED, NETWORK, HOST), *TABLES),
        *(NAT, NAT_EIP, BY_NAT, n.at(TWO, SERVING, 12), *resources),
    )
    found: dict[str, set[int]] = {}
    for flows in compile_host(net, SERVING.id):
        for flow in flows:
            check(flow)
            for action in flow.actions:
                if isinstance(action, CheckLarger):
                    found.setdefault(flow.table.name, set()).add(action.length)
    return found


def test_nothing_is_measured_where_everything_fits() -> None:
    assert checks(dataclasses.replace(NETWORK, mtu=INNER, port_mtu=INNER)) == {}
    assert checks(WIDE) == {"OutsideIn": {INNER + 14}}
    assert checks(NARROW) == {"Gateway": {1414}}
    deaf = dataclasses.replace(SERVING, guest_services=False)
    assert checks(NARROW, deaf) == {}
