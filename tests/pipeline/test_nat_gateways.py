"""NAT gateways with real frames and connections: out, in, forwarded, and from inside to inside."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator

import pytest

from agent.decide.nat_zones import Finder
from agent.ovs_process import Vswitchd
from agent.wire.state import NatForward, NatGatewayState
from tests.oracle.oracle import text
from tests.pipeline.outward import (
    DATA,
    FAR,
    HOST,
    NETWORK,
    OUT,
    RED,
    ROUTER,
    Town,
    asks,
    entering,
    guest,
    leaving,
    ofport,
    only,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dissect import Packet, ipv4
from tests.support.dummy_ovs import DummyOvs
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.reasons import Reason
from vpcctl.model.changes import Resource
from vpcctl.model.eip import Eip
from vpcctl.model.gateway import NatGateway, nat_zone
from vpcctl.pipeline.pieces import EipPiece, GatewayPiece
from vpcctl.pipeline.program import compile_piece

pytestmark = pytest.mark.ovs
ONE, TWO, THREE = guest(1), guest(2, DATA), guest(3, DATA)
FIRST, SECOND = "203.0.113.20", "203.0.113.21"
SERVER = "10.0.2.12"
FORWARDS = (
    n.forward(FIRST, 6, (8080, 8080), SERVER, 80),
    n.forward(FIRST, 17, (6000, 6003), SERVER, 6000),
    n.forward(FIRST, 17, (7000, 7001), SERVER, 9000),
)
NAT = n.nat(1, RED, NETWORK, HOST, forwards=FORWARDS)
TABLE = n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False)
PRIVATE = dataclasses.replace(DATA, route_table_id=TABLE.id)
EIP, EIP_2 = n.eip(20, NETWORK, FIRST, NAT), n.eip(21, NETWORK, SECOND, NAT)
EIP_ONE = n.eip(1, NETWORK, "203.0.113.10", ONE)
Setting = Callable[..., Town]


MANY = [guest(number, PRIVATE) for number in range(20, 32)]


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, TWO, THREE, *MANY)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Setting:
    def make(*resources: Resource) -> Town:
        fixed = (NAT, TABLE, PRIVATE, EIP, ONE, TWO, THREE, EIP_ONE)
        made = place.anew(*fixed, *resources)
        made.hear(EIP)
        return made

    return make


def answer(sent: Packet, to: str = FAR) -> bytes:
    """What the outside answers to a UDP packet."""
    eip = EIP if sent["nw_src"] == FIRST else EIP_2
    return f.udp(entering(eip, to), (int(sent["tp_dst"]), int(sent["tp_src"])))


def test_what_goes_out_is_translated_and_its_answer_comes_back(town: Setting) -> None:
    made = town()
    sent = only(made.sends(TWO, f.udp(leaving(TWO), (5000, 53))), OUT)
    assert (sent["nw_src"], sent["nw_dst"], sent["tp_dst"]) == (FIRST, FAR, "53")
    assert (sent["eth_src"], sent["eth_dst"], sent["nw_ttl"]) == (text(EIP.mac), ROUTER[0], "63")
    got = only(made.sends(OUT, answer(sent)), ofport(TWO))
    assert (got["nw_src"], got["nw_dst"], got["tp_dst"]) == (FAR, "10.0.2.12", "5000")
    again = only(made.sends(TWO, f.udp(leaving(TWO), (5000, 53))), OUT)
    assert again["tp_src"] == sent["tp_src"]


def test_two_guests_may_use_one_port(town: Setting) -> None:
    made = town()
    sent = [only(made.sends(one, f.udp(leaving(one), (5000, 53))), OUT) for one in (TWO, THREE)]
    assert sent[0]["tp_src"] != sent[1]["tp_src"]
    for one, packet in zip((TWO, THREE), sent, strict=True):
        assert only(made.sends(OUT, answer(packet)), ofport(one))["tp_dst"] == "5000"


def test_strangers_are_not_let_in(town: Setting) -> None:
    made = town()
    for frame in (f.udp(entering(EIP), (53, 5000)), f.tcp(entering(EIP), (53, 81))):
        assert made.sends(OUT, frame) == {}
    sent = only(made.sends(TWO, f.udp(leaving(TWO), (5000, 53))), OUT)
    assert made.sends(OUT, answer(sent, "192.0.2.78")) == {}
    assert made.wire.dropped(Reason.NAT_UNMATCHED) == 3


def test_errors_about_what_went_out_come_back_translated(town: Setting) -> None:
    made = town()
    made.sends(TWO, f.udp(leaving(TWO), (5000, 53)))
    about = f.udp(entering(EIP).back(), (5000, 53))
    sent = made.wire.send(OUT, f.unreachable(entering(EIP, "198.51.100.1"), about))
    (frame,) = sent[ofport(TWO)]
    assert ipv4(frame[14:])["nw_dst"] == "10.0.2.12"
    assert ipv4(frame[42:])["nw_src"] == "10.0.2.12"


def test_a_forwarded_port_leads_to_its_target_and_back(town: Setting) -> None:
    made = town()
    got = only(made.sends(OUT, f.tcp(entering(EIP), (4000, 8080))), ofport(TWO))
    assert (got["nw_src"], got["nw_dst"], got["tp_dst"]) == (FAR, SERVER, "80")
    assert got["nw_ttl"] == "63"
    back = only(made.sends(TWO, f.tcp(leaving(TWO), (80, 4000), f.SYN_ACK, (7, 2))), OUT)
    assert (back["nw_src"], back["tp_src"], back["eth_src"]) == (FIRST, "8080", text(EIP.mac))


@pytest.mark.parametrize("eips", [1, 2])
def test_a_gateway_that_has_taken_over_may_hear_the_answer_first(town: Setting, eips: int) -> None:
    made = town(*(EIP_2,)[: eips - 1])
    for inside, outside in ((80, 8080), (6001, 6001), (9001, 7001)):
        tcp = inside == 80
        ports = (inside, 4000)
        frame = f.tcp(leaving(TWO), ports, f.ACK) if tcp else f.udp(leaving(TWO), ports)
        sent = only(made.sends(TWO, frame), OUT)
        assert (sent["nw_src"], sent["tp_src"], sent["tp_dst"]) == (FIRST, str(outside), "4000")
        ports = (4000, outside)
        frame = f.tcp(entering(EIP), ports, f.ACK) if tcp else f.udp(entering(EIP), ports)
        got = only(made.sends(OUT, frame), ofport(TWO))
        assert (got["nw_dst"], got["tp_dst"]) == (SERVER, str(inside))


def test_ports_of_two_eips_may_lead_to_one_port(town: Setting) -> None:
    second = n.forward(SECOND, 6, (8081, 8081), SERVER, 80)
    made = town(dataclasses.replace(NAT, forwards=(*FORWARDS, second)), EIP_2)
    pieces = (GatewayPiece(HOST.id, NAT.id), *(EipPiece(HOST.id, one.id) for one in (EIP, EIP_2)))
    flows = [flow for piece in pieces for flow in compile_piece(made.wire.net, piece)]
    assert len({(flow.table, flow.priority, flow.match) for flow in flows}) == len(flows)
    for eip, address, port in ((EIP, FIRST, 8080), (EIP_2, SECOND, 8081)):
        only(made.sends(OUT, f.tcp(entering(eip), (port + 1000, port), f.SYN)), ofport(TWO))
        frame = f.tcp(leaving(TWO), (80, port + 1000), f.SYN | f.ACK)
        back = only(made.sends(TWO, frame), OUT)
        assert (back["nw_src"], back["tp_src"]) == (address, str(port))


@pytest.mark.parametrize(
    ("port", "target"),
    [(6000, 6000), (6003, 6003), (6004, None), (7000, 9000), (7001, 9001), (7002, None)],
)
def test_ranges_of_ports_are_forwarded_in_order(town: Setting, port: int, target: int) -> None:
    sent = town().sends(OUT, f.udp(entering(EIP), (4000, port)))
    if target is None:
        assert sent == {}
    else:
        assert only(sent, ofport(TWO))["tp_dst"] == str(target)


def test_several_eips_share_the_guests_and_keep_their_connections(town: Setting) -> None:
    made = town(*MANY, EIP_2)
    frames = {one.id: f.udp(leaving(one), (5000, 53)) for one in MANY}
    used = {one.id: only(made.sends(one, frames[one.id]), OUT) for one in MANY}
    assert {packet["nw_src"] for packet in used.values()} == {FIRST, SECOND}
    macs = {packet["nw_src"]: packet["eth_src"] for packet in used.values()}
    assert macs == {FIRST: text(EIP.mac), SECOND: text(EIP_2.mac)}
    made.change(n.eip(19, NETWORK, "203.0.113.19", NAT))
    made.hear(EIP)
    for one in MANY:
        again = only(made.sends(one, frames[one.id]), OUT)
        assert (again["nw_src"], again["tp_src"]) == (
            used[one.id]["nw_src"],
            used[one.id]["tp_src"],
        )
        assert again["eth_src"] == macs[again["nw_src"]]


def test_connections_by_an_eip_that_left_leave_no_more_and_no_port_is_missing(
    town: Setting,
) -> None:
    made = town(*MANY, EIP_2)
    frames = {one.id: f.udp(leaving(one), (5000, 53)) for one in MANY}
    used = {one.id: only(made.sends(one, frames[one.id]), OUT)["nw_src"] for one in MANY}
    made.change(n.eip(21, NETWORK, SECOND))
    left = [one for one in MANY if used[one.id] == SECOND]
    assert left
    for one in left:
        assert made.sends(one, frames[one.id]) == {}
    assert made.wire.dropped(Reason.NAT_UNMATCHED) == len(left)
    assert made.wire.packets(cookie(Feature.EXHAUSTED, NAT.vni)) == 0


def as_told(gateway: NatGateway, *eips: Eip) -> NatGatewayState:
    """What an agent is told of a gateway."""
    return NatGatewayState(
        gateway_id=gateway.id,
        zone=nat_zone(gateway),
        addresses=tuple(str(eip.address) for eip in eips),
        forwards=tuple(
            NatForward(
                address=str(one.eip),
                protocol=one.protocol,
                first=one.ports[0],
                last=one.ports[1],
                target=str(one.target),
                target_port=one.target_port,
            )
            for one in gateway.forwards
        ),
        exhausted_cookie=1,
    )


class Controlled(Vswitchd):
    """The agent's view of an ovs-vswitchd that is there for tests."""

    def __init__(self, ovs: DummyOvs) -> None:
        super().__init__(ovs.directory)
        self._control = ovs.control

    async def appctl(self, command: str, *arguments: str, timeout: float = 2.0) -> str:
        return self._control.call(command, *arguments)


def end_unexplained(ovs: DummyOvs, told: NatGatewayState, before: NatGatewayState) -> None:
    """Delete what an agent deletes after a change."""
    finder, agent = Finder(told, before.forwards), Controlled(ovs)
    dump = ovs.control.call("dpctl/dump-conntrack", f"zone={told.zone}")
    finder.take(json.dumps(dump).encode())
    for address in finder.addresses:
        asyncio.run(agent.forget_translated("netdev", told.zone, address))
    for ends in finder.others:
        asyncio.run(agent.forget_one("netdev", told.zone, ends))


def test_connections_that_nothing_explains_begin_anew_with_the_same_ports(
    town: Setting, ovs: DummyOvs
) -> None:
    """By the EIP that is left, and to where the port leads now; others stay as they are."""
    moved = n.forward(FIRST, 6, (8080, 8080), "10.0.2.13", 80)
    after = dataclasses.replace(NAT, forwards=(moved, *FORWARDS[2:]))
    made = town(*MANY, EIP_2)
    frames = {one.id: f.udp(leaving(one), (5000, 53)) for one in MANY}
    used = {one.id: only(made.sends(one, frames[one.id]), OUT) for one in MANY}
    web, kept = f.tcp(entering(EIP), (4000, 8080), f.SYN), f.udp(entering(EIP), (4000, 7001))
    for frame in (web, f.udp(entering(EIP), (4000, 6001)), kept):
        assert list(made.sends(OUT, frame)) == [ofport(TWO)]
    heard = f.udp(leaving(TWO), (6001, 4001))
    assert only(made.sends(TWO, heard), OUT)["tp_src"] == "6001"
    made.change(n.eip(21, NETWORK, SECOND), after)
    made.hear(EIP)
    end_unexplained(ovs, as_told(after, EIP), as_told(NAT, EIP, EIP_2))
    for one in MANY:
        again = only(made.sends(one, frames[one.id]), OUT)
        assert again["nw_src"] == FIRST
        if used[one.id]["nw_src"] == FIRST:
            assert again["tp_src"] == used[one.id]["tp_src"]
    assert list(made.sends(OUT, web)) == [ofport(THREE)]
    assert list(made.sends(OUT, kept)) == [ofport(TWO)]
    for port in (4000, 4001):
        assert made.sends(OUT, f.udp(entering(EIP), (port, 6001))) == {}


def test_a_guest_reaches_a_forwarded_port_of_its_own_gateway(town: Setting) -> None:
    made = town()
    got = only(made.sends(THREE, f.tcp(leaving(THREE, FIRST), (4000, 8080))), ofport(TWO))
    assert (got["nw_src"], got["nw_dst"], got["tp_dst"]) == (FIRST, SERVER, "80")
    ports = (80, int(got["tp_src"]))
    back = f.tcp(leaving(TWO, FIRST), ports, f.SYN_ACK, (7, 2))
    seen = only(made.sends(TWO, back), ofport(THREE))
    assert (seen["nw_src"], seen["tp_src"], seen["tp_dst"]) == (FIRST, "8080", "4000")


def test_filtered_guests_reach_each_other_through_a_gateway_all_the_same(town: Setting) -> None:
    free = [n.allow(way, protocol=6) for way in ("ingress", "egress")]
    group = n.group(1, RED, *free)
    one, two = (dataclasses.replace(port, groups=(group.id,)) for port in (THREE, TWO))
    made = town(group)
    made.change(one, two)
    got = only(made.sends(one, f.tcp(leaving(one, FIRST), (4000, 8080))), ofport(two))
    back = f.tcp(leaving(two, FIRST), (80, int(got["tp_src"])), f.SYN_ACK, (7, 2))
    assert only(made.sends(two, back), ofport(one))["tp_src"] == "8080"


def test_a_guest_without_an_eip_reaches_one_with_one(town: Setting) -> None:
    made = town()
    got = only(made.sends(TWO, f.udp(leaving(TWO, "203.0.113.10"), (5000, 53))), ofport(ONE))
    assert (got["nw_src"], got["nw_dst"]) == (FIRST, "10.0.1.11")
    back = f.udp(leaving(ONE, FIRST), (53, int(got["tp_src"])))
    seen = only(made.sends(ONE, back), ofport(TWO))
    assert (seen["nw_src"], seen["tp_dst"]) == ("203.0.113.10", "5000")


def test_an_eip_reaches_a_forwarded_port(town: Setting) -> None:
    made = town()
    got = only(made.sends(ONE, f.tcp(leaving(ONE, FIRST), (4000, 8080))), ofport(TWO))
    assert (got["nw_src"], got["tp_dst"]) == ("203.0.113.10", "80")
    back = f.tcp(leaving(TWO, "203.0.113.10"), (80, 4000), f.SYN_ACK, (7, 2))
    seen = only(made.sends(TWO, back), ofport(ONE))
    assert (seen["nw_src"], seen["nw_dst"], seen["tp_src"]) == (FIRST, "10.0.1.11", "8080")


def test_what_no_eip_is_left_for_never_leaves(town: Setting) -> None:
    made = town()
    made.change(n.eip(20, NETWORK, FIRST))
    assert made.sends(TWO, f.udp(leaving(TWO), (5000, 53))) == {}
    assert made.wire.dropped(Reason.NO_EIP) == 1
    assert made.sends(OUT, asks(ROUTER, FIRST)) == {}


def test_what_finds_no_port_is_counted_by_gateway(town: Setting) -> None:
    made = town()
    pings = [f.icmp(leaving(one), 8) for one in (TWO, THREE)]
    assert list(made.sends(TWO, pings[0])) == [OUT]
    assert made.sends(THREE, pings[1], pings[1]) == {}  # the identifier is taken
    assert made.wire.dropped(Reason.NAT_EXHAUSTED) == 2
    assert made.wire.packets(cookie(Feature.EXHAUSTED, NAT.vni)) == 2


def test_ipv6_is_not_translated(town: Setting) -> None:
    made = town()
    made.change(dataclasses.replace(TABLE, routes=(n.route("::/0", NAT),)))
    assert made.sends(TWO, f.udp(leaving(TWO, "2001:db8:99::1", 6), (5000, 53))) == {}
    assert made.wire.dropped(Reason.NAT_UNMATCHED) == 1


def test_fragments_go_out_whole(town: Setting) -> None:
    made, data = town(), bytes(range(256)) * 12
    pieces = list(f.fragments(leaving(TWO), f.UDP, f.udp_payload(leaving(TWO), (5000, 53), data)))
    got = made.wire.send(ofport(TWO), *pieces)[OUT]
    assert [ipv4(one[14:])["nw_src"] for one in got] == [FIRST] * len(pieces)
    assert [one[42:] for one in got] == [piece[42:] for piece in pieces]
