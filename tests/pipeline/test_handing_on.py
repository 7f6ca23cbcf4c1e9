"""A NAT gateway's connections while a host leaves it: real packets between the two hosts."""

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oracle.oracle import ROUTER_MAC
from tests.pipeline.outward import (
    BLUE,
    DATA,
    FAR,
    HOST,
    NETWORK,
    OTHER,
    OUT,
    RED,
    ROUTER,
    WEB,
    asks,
    entering,
    guest,
    leaving,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dissect import ipv4
from tests.support.dummy_ovs import DummyOvs
from tests.support.two_hosts import Copy, TwoHosts
from vpcctl.flows.contract import check
from vpcctl.flows.reasons import Reason
from vpcctl.model.host import Host
from vpcctl.model.limits import Limits
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
OLD, NEXT = n.watching(HOST, (OTHER, 8)), n.watching(OTHER, (HOST, 8))
AWAY = n.watching(n.host(3), (HOST, 7), (OTHER, 8))
ONE, TWO, THREE = guest(1, DATA), guest(2, DATA), guest(3, DATA)
HOMES = {ONE.id: (OLD, 11), TWO.id: (NEXT, 12), THREE.id: (AWAY, 13)}
GUESTS = (ONE, TWO, THREE)
"""On the host that leaves, on the next one, and elsewhere."""
FIRST, SECOND = "203.0.113.20", "203.0.113.21"
FORWARDS = tuple(
    forward
    for number, port in enumerate((ONE, TWO, THREE))
    for forward in (
        n.forward(FIRST, 6, (8080 + number, 8080 + number), str(port.ips[0]), 80),
        n.forward(FIRST, 17, (6000 + number, 6000 + number), str(port.ips[0]), 53),
    )
)
_NAT = n.nat(1, RED, NETWORK, OLD, NEXT, forwards=FORWARDS)
STAYS = _NAT
ASKED = dataclasses.replace(_NAT, leaving=(OLD.id,))
"""The one that follows is to let in what comes, and nobody sends to it yet."""
BEHIND = dataclasses.replace(_NAT, hosts=(NEXT.id, OLD.id), leaving=(OLD.id,))
"""Everybody sends to the next one."""
TABLE = n.table(3, RED, n.route("0.0.0.0/0", _NAT))
EIP, EIP_2 = n.eip(20, NETWORK, FIRST, _NAT), n.eip(21, NETWORK, SECOND, _NAT)
PRIVATE = "10.0."
Make = Callable[..., bytes]


class Pair:
    """The two hosts, each of which may have heard more or less of the move."""

    def __init__(self, each: tuple[DummyOvs, DummyOvs]) -> None:
        fixed = (OLD, NEXT, AWAY, NETWORK, RED, BLUE, WEB, DATA, TABLE, EIP, STAYS)
        self.net = n.network(*fixed, ONE, TWO, THREE)
        self.net.apply(n.put(n.at(port, *HOMES[port.id])) for port in (ONE, TWO, THREE))
        self.hosts = TwoHosts(each, self.net, OLD, NEXT)

    def hear(self, gateway: object, *hosts: Host) -> None:
        """Let hosts, or both, hear what is to become of the gateway; they know the router."""
        self.net.apply([n.put(gateway)])  # type: ignore[arg-type]
        hosts = hosts or (OLD, NEXT)
        self.hosts.program(*(one.id for one in hosts))
        for host in hosts:
            self.hosts.send(host, OUT, asks(ROUTER, FIRST))
            self.hosts.wires[host.id].settle()

    def comes(self, host: Host, *frames: bytes) -> list[Copy]:
        """Let frames come from outside to a host."""
        return self.hosts.send(host, OUT, *frames)

    def sends(self, port: Port, to: Host, *frames: bytes) -> list[Copy]:
        """Let a guest send, whose host hands over to a gateway host."""
        home, ofport = HOMES[port.id]
        if home is to:
            return self.hosts.send(home, ofport, *frames)
        return [
            copy
            for frame in frames
            for copy in self.hosts.arrive(to, str(home.vtep), _NAT.vni, _routed(frame))
        ]

    def dropped(self, host: Host) -> int:
        return self.hosts.wires[host.id].dropped(Reason.NAT_UNMATCHED)


def _routed(frame: bytes) -> bytes:
    """A frame of a guest as its own host sends it on: from the router, to its MAC."""
    return frame[:6] + bytes.fromhex(ROUTER_MAC.replace(":", "")) + frame[12:]


@pytest.fixture(scope="module")
def place() -> Iterator[Pair]:
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        DummyOvs(Path(one)) as old,
        DummyOvs(Path(other)) as new,
    ):
        made = Pair((old, new))
        yield made
        made.hosts.close()


@pytest.fixture
def pair(place: Pair) -> Pair:
    """Nothing has happened yet."""
    place.hosts.forget()
    place.net.apply([n.put(EIP), n.gone(EIP_2)])
    return place


def outwards(seen: list[Copy], host: Host) -> Copy:
    """The one copy, which has left a host for the outside."""
    (copy,) = seen
    assert (copy.host_id, copy.port) == (host.id, OUT)
    assert not copy.packet["nw_src"].startswith(PRIVATE)
    return copy


def inwards(seen: list[Copy], port: Port) -> Copy:
    """The one copy, which has come to a guest, or has been sent to its host."""
    (copy,) = seen
    home, ofport = HOMES[port.id]
    assert (copy.host_id, copy.port) == (home.id, ofport) or copy.port == str(home.vtep)
    return copy


def answer(sent: Copy) -> bytes:
    """What the outside answers to a UDP packet."""
    packet = sent.packet
    eip = EIP if packet["nw_src"] == FIRST else EIP_2
    return f.udp(entering(eip), (int(packet["tp_dst"]), int(packet["tp_src"])))


# --- what goes out, and its answers -------------------------------------------------------------


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_late_answers_come_to_the_next_one(pair: Pair, *, tcp: bool) -> None:
    pair.hear(ASKED)
    sent: dict[str, Copy] = {}
    for source, port in enumerate(GUESTS, 5000):
        ports, ends = (source, 80), leaving(port)
        frame = f.tcp(ends, ports) if tcp else f.udp(ends, ports)
        sent[port.id] = outwards(pair.sends(port, OLD, frame), OLD)
    pair.hear(BEHIND)
    for source, port in enumerate(GUESTS, 5000):
        back = f.tcp(entering(EIP), (80, source), f.SYN_ACK, (7, 2))
        got = inwards(pair.comes(NEXT, back if tcp else answer(sent[port.id])), port).packet
        assert (got["nw_src"], got["nw_dst"]) == (FAR, str(port.ips[0]))
        assert (got["tp_dst"], got["nw_ttl"]) == (str(source), "63")


@pytest.mark.parametrize("late", [False, True], ids=["both know", "the old one does not know"])
def test_answers_come_to_the_old_one_still(pair: Pair, *, late: bool) -> None:
    pair.hear(ASKED)
    pair.hear(BEHIND, *((NEXT,) if late else (OLD, NEXT)))
    for source, port in enumerate(GUESTS[late:], 5000):
        frame = f.udp(leaving(port), (source, 53))
        sent = outwards(pair.sends(port, NEXT, frame), NEXT)
        got = inwards(pair.comes(OLD, answer(sent)), port).packet
        assert (got["nw_dst"], got["tp_dst"]) == (str(port.ips[0]), str(source))


def test_a_connection_goes_on_by_the_next_one(pair: Pair) -> None:
    """Also when nothing but what the outside sends is under way."""
    pair.hear(ASKED)
    ends = leaving(THREE)
    outwards(pair.sends(THREE, OLD, f.tcp(ends, (5000, 80))), OLD)
    back = f.tcp(entering(EIP), (80, 5000), f.SYN_ACK, (7, 2))
    inwards(pair.comes(OLD, back), THREE)
    outwards(pair.sends(THREE, OLD, f.tcp(ends, (5000, 80), f.ACK, (2, 8))), OLD)
    pair.hear(BEHIND)
    segment = f.tcp(entering(EIP), (80, 5000), f.ACK, (8, 2))
    assert inwards(pair.comes(NEXT, segment), THREE).hops == 1
    sent = outwards(pair.sends(THREE, NEXT, f.tcp(ends, (5000, 80), f.ACK, (2, 9))), NEXT)
    assert (sent.packet["nw_src"], sent.packet["tp_src"]) == (FIRST, "5000")
    assert inwards(pair.comes(NEXT, segment), THREE).hops == 0


def test_answers_find_back_by_each_of_several_eips(pair: Pair) -> None:
    pair.net.apply([n.put(EIP_2)])
    pair.hear(ASKED)
    some = [(one, number) for one in GUESTS for number in range(5000, 5003)]
    frames = {(one.id, number): f.udp(leaving(one), (number, 53)) for one, number in some}
    sent = {
        (one.id, number): outwards(pair.sends(one, OLD, frames[one.id, number]), OLD)
        for one, number in some
    }
    pair.hear(BEHIND)
    for one, number in some:
        got = inwards(pair.comes(NEXT, answer(sent[one.id, number])), one).packet
        assert (got["nw_dst"], got["tp_dst"]) == (str(one.ips[0]), str(number))


def test_an_answer_in_fragments_is_handed_on_whole(pair: Pair) -> None:
    pair.hear(ASKED)
    sent = outwards(pair.sends(ONE, OLD, f.udp(leaving(ONE), (5000, 53))), OLD).packet
    pair.hear(BEHIND)
    ends, data = entering(EIP), bytes(range(256)) * 12
    ports = (53, int(sent["tp_src"]))
    pieces = list(f.fragments(ends, f.UDP, f.udp_payload(ends, ports, data)))
    got = pair.comes(NEXT, *pieces)
    assert [ipv4(one.frame[14:])["nw_dst"] for one in got] == [str(ONE.ips[0])] * len(pieces)
    assert [one.frame[42:] for one in got] == [piece[42:] for piece in pieces]


def test_errors_about_what_went_out_by_the_old_one_come_to_the_next(pair: Pair) -> None:
    pair.hear(ASKED)
    for source, port in enumerate(GUESTS, 5000):
        outwards(pair.sends(port, OLD, f.udp(leaving(port), (source, 53))), OLD)
    pair.hear(BEHIND)
    for source, port in enumerate(GUESTS, 5000):
        about = f.udp(entering(EIP).back(), (source, 53))
        error = f.unreachable(entering(EIP, "198.51.100.1"), about)
        frame = inwards(pair.comes(NEXT, error), port).frame
        assert ipv4(frame[14:])["nw_dst"] == str(port.ips[0])
        assert ipv4(frame[42:])["nw_src"] == str(port.ips[0])


# --- ports that are forwarded ---------------------------------------------------------------------

HEARD = {
    "both know": (OLD, NEXT),
    "the old one knows": (OLD,),
    "the next one knows": (NEXT,),
    "nobody knows": (),
}


@pytest.mark.parametrize("heard", HEARD.values(), ids=HEARD)
def test_forwarded_ports_are_reached_and_answer(pair: Pair, heard: tuple[Host, ...]) -> None:
    """Whichever of the two hosts gets a packet, and whoever has heard of the move."""
    pair.hear(ASKED)
    if heard:
        pair.hear(BEHIND, *heard)
    for by, to in itertools.product((OLD, NEXT), repeat=2):
        pair.hosts.forget()
        for number, port in enumerate(GUESTS):
            _reach(pair, (by, to), port, (8080 + number, 80), f.tcp)
            _reach(pair, (by, to), port, (6000 + number, 53), f.udp)


def _reach(
    pair: Pair, hosts: tuple[Host, Host], port: Port, ports: tuple[int, int], make: Make
) -> None:
    """Let something come to a forwarded port by one host, and the answer go to one."""
    (by, to), (outside, inside) = hosts, ports
    got = inwards(pair.comes(by, make(entering(EIP), (4000, outside))), port).packet
    assert (got["nw_dst"], got["tp_dst"]) == (str(port.ips[0]), str(inside))
    frame = make(leaving(port), (inside, 4000))
    if make is f.tcp:
        frame = f.tcp(leaving(port), (inside, 4000), f.SYN_ACK, (7, 2))
    (copy,) = pair.sends(port, to, frame)
    assert copy.port == OUT
    seen = copy.packet
    assert (seen["nw_src"], seen["tp_src"], seen["tp_dst"]) == (FIRST, str(outside), "4000")


def test_what_begins_at_the_old_one_begins_on_the_next(pair: Pair) -> None:
    """So that the outside hears of the address from that one."""
    pair.hear(BEHIND)
    assert inwards(pair.comes(OLD, f.tcp(entering(EIP), (4000, 8082))), THREE).host_id == NEXT.id
    back = f.tcp(leaving(THREE), (80, 4000), f.SYN_ACK, (7, 2))
    assert outwards(pair.sends(THREE, NEXT, back), NEXT).hops == 0


def test_errors_about_what_came_in_by_the_old_one_leave_by_it(pair: Pair) -> None:
    pair.hear(ASKED)
    inwards(pair.comes(OLD, f.udp(entering(EIP), (4000, 6002))), THREE)
    pair.hear(BEHIND)
    about = f.udp(leaving(THREE).back(), (4000, 53))
    copy = outwards(pair.sends(THREE, NEXT, f.unreachable(leaving(THREE), about)), OLD)
    assert ipv4(copy.frame[14:])["nw_src"] == FIRST
    assert ipv4(copy.frame[42:])["nw_dst"] == FIRST


# --- what nobody knows ----------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [ASKED, BEHIND], ids=["asked", "behind"])
def test_strangers_are_handed_on_once_and_dropped_there(pair: Pair, heard: object) -> None:
    pair.hear(heard)
    frames = (
        f.udp(entering(EIP), (53, 5000)),
        f.tcp(entering(EIP), (53, 81)),
        f.tcp(entering(EIP), (80, 5000), f.SYN_ACK, (7, 2)),
        f.icmp(entering(EIP), 8),
    )
    for host, other in ((OLD, NEXT), (NEXT, OLD)):
        before = pair.dropped(host), pair.dropped(other)
        assert pair.comes(host, *frames) == []
        assert (pair.dropped(host), pair.dropped(other)) == (before[0], before[1] + len(frames))


@pytest.mark.parametrize("heard", [ASKED, BEHIND], ids=["asked", "behind"])
def test_answers_of_ports_to_nobody_are_handed_on_once_and_dropped_there(
    pair: Pair, heard: object
) -> None:
    pair.hear(heard)
    frame = f.tcp(leaving(THREE), (81, 4000), f.SYN_ACK, (7, 2))
    for host, other in ((OLD, NEXT), (NEXT, OLD)):
        before = pair.dropped(other)
        assert pair.sends(THREE, host, frame) == []
        assert pair.dropped(other) == before + 1


def test_what_a_connection_finds_wrong_is_not_handed_on_translated(pair: Pair) -> None:
    """It has a private address by then, in whichever direction it goes."""
    pair.hear(ASKED)
    ends = leaving(THREE)
    outwards(pair.sends(THREE, OLD, f.tcp(ends, (5000, 80))), OLD)
    inwards(pair.comes(OLD, f.tcp(entering(EIP), (80, 5000), f.SYN_ACK, (7, 2))), THREE)
    outwards(pair.sends(THREE, OLD, f.tcp(ends, (5000, 80), f.ACK, (2, 8))), OLD)
    wrong = (1 << 30, 1 << 30)
    before = [pair.dropped(host) for host in (OLD, NEXT)]
    assert pair.comes(OLD, f.tcp(entering(EIP), (80, 5000), f.ACK, wrong)) == []
    assert pair.sends(THREE, OLD, f.tcp(ends, (5000, 80), f.ACK, wrong)) == []
    assert [pair.dropped(host) for host in (OLD, NEXT)] == [before[0] + 2, before[1]]


@pytest.mark.parametrize("first", [OLD, NEXT], ids=["the old one", "the next one"])
def test_strangers_go_nowhere_while_one_has_not_heard(pair: Pair, first: Host) -> None:
    """Who has not heard takes what ports send for its gateway, and nothing that is handed on."""
    pair.hear(STAYS)
    pair.hear(ASKED, first)
    for _ in range(2):
        assert pair.comes(first, f.udp(entering(EIP), (53, 5000))) == []
        assert pair.sends(THREE, first, f.tcp(leaving(THREE), (9, 9), f.SYN_ACK, (7, 2))) == []


def test_who_is_alone_again_takes_nothing_that_is_handed_on(pair: Pair) -> None:
    """A forwarded port would hear of the EIP instead of who has asked."""
    pair.hear(BEHIND)
    pair.hear(dataclasses.replace(_NAT, hosts=(NEXT.id,)), NEXT)
    for copy in pair.comes(OLD, f.udp(entering(EIP), (4000, 6002))):
        assert copy.packet["nw_src"] == FAR


def test_nothing_is_handed_on_when_nobody_leaves(pair: Pair) -> None:
    pair.hear(STAYS)
    before = [pair.dropped(host) for host in (OLD, NEXT)]
    assert pair.comes(OLD, f.udp(entering(EIP), (53, 5000))) == []
    frame = f.tcp(leaving(THREE), (81, 4000), f.SYN_ACK, (7, 2))
    assert pair.sends(THREE, OLD, frame) == []
    assert [pair.dropped(host) for host in (OLD, NEXT)] == [before[0] + 2, before[1]]


def test_each_flow_is_there_once_with_limits_too(pair: Pair) -> None:
    limits = Limits(1, 1000, 1000, 1000, 1000)
    pair.net.apply([n.put(dataclasses.replace(EIP, limits=limits)), n.put(BEHIND)])
    for wire in pair.hosts.wires.values():
        flows = wire.flows()
        assert len({(one.table, one.priority, one.match) for one in flows}) == len(flows)
        for flow in flows:
            check(flow)
