"""EIPs with real frames: in, out, neighbours, errors, and from one to another on a host."""

from collections.abc import Callable, Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import (
    AGENT,
    ALL,
    BLUE,
    BLUES,
    DATA,
    FAR,
    NETWORK,
    OUT,
    PEER,
    RED,
    ROUTER,
    Town,
    asks,
    entering,
    guest,
    leaving,
    ofport,
    only,
    tells,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.flows.reasons import Reason
from vpcctl.model.addresses import format_mac
from vpcctl.model.changes import Resource
from vpcctl.model.host import Question, error_inwards, error_outwards, outside_question

pytestmark = pytest.mark.ovs
ONE, TWO, BARE, BLUE_ONE, NEAR = guest(1), guest(2, DATA), guest(3), guest(4, BLUES), guest(5)
EIP = n.eip(1, NETWORK, "203.0.113.10", ONE)
EIP_2 = n.eip(2, NETWORK, "203.0.113.11", TWO)
EIP_NEAR = n.eip(4, NETWORK, "203.0.113.13", NEAR)
EIP_BLUE = n.eip(3, NETWORK, "203.0.113.12", BLUE_ONE)
Setting = Callable[..., Town]


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, TWO, BARE, BLUE_ONE, NEAR)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Setting:
    def make(*resources: Resource) -> Town:
        usual = (ONE, TWO, BARE, BLUE_ONE, NEAR, EIP, EIP_2, EIP_BLUE, EIP_NEAR)
        return place.anew(*(resources or usual))

    return make


def question(kind: Question) -> str:
    return format_mac(outside_question(NETWORK.key, kind))


def test_what_is_for_an_eip_reaches_its_port(town: Setting) -> None:
    got = only(town().sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(ONE))
    assert (got["nw_src"], got["nw_dst"], got["tp_dst"]) == (FAR, "10.0.1.11", "80")
    assert (got["eth_src"], got["eth_dst"]) == (ROUTER_MAC, text(ONE.mac))
    assert got["nw_ttl"] == "63"


def test_what_a_port_sends_leaves_from_its_eip(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    got = only(made.sends(ONE, f.udp(leaving(ONE), (5000, 53))), OUT)
    assert (got["nw_src"], got["nw_dst"]) == ("203.0.113.10", FAR)
    assert (got["eth_src"], got["eth_dst"]) == (text(EIP.mac), ROUTER[0])
    assert got["nw_ttl"] == "63"


def test_neighbours_on_the_link_are_reached_directly(town: Setting) -> None:
    made = town()
    made.hear(EIP, PEER)
    got = only(made.sends(ONE, f.icmp(leaving(ONE, PEER[1]), 8)), OUT)
    assert (got["eth_dst"], got["nw_dst"]) == (PEER[0], PEER[1])


def test_an_unknown_neighbour_is_the_agents_business(town: Setting) -> None:
    made = town()
    asked = only(made.sends(ONE, f.udp(leaving(ONE), (5000, 53))), AGENT)
    assert asked["eth_dst"] == question(Question.UNRESOLVED)
    assert (asked["eth_src"], asked["nw_src"]) == (text(EIP.mac), "203.0.113.10")
    ends = Ends((text(EIP.mac), ROUTER[0]), ("203.0.113.10", FAR))
    got = only(made.sends(AGENT, f.udp(ends, (5000, 53))), OUT)
    assert (got["eth_src"], got["eth_dst"]) == (text(EIP.mac), ROUTER[0])


def test_an_answer_is_learned_and_copied_to_the_agent(town: Setting) -> None:
    made = town()
    heard = only(made.sends(OUT, tells(PEER, EIP)), AGENT)
    assert heard["eth_dst"] == question(Question.HEARD)
    assert heard["arp_spa"] == PEER[1]
    assert "load:0x20000000050->NXM_OF_ETH_DST" in made.wire.learned()
    assert only(made.sends(ONE, f.icmp(leaving(ONE, PEER[1]), 8)), OUT)["eth_dst"] == PEER[0]


def test_a_router_that_moves_is_followed(town: Setting) -> None:
    made, other = town(), "02:00:00:00:00:02"
    made.hear(EIP)
    announced = f.arp(1, (other, ALL), (other, ROUTER[1]), ("00:00:00:00:00:00", ROUTER[1]))
    assert made.sends(OUT, announced) == {}
    got = only(made.sends(ONE, f.udp(leaving(ONE), (5000, 53))), OUT)
    assert got["eth_dst"] == other


def test_what_is_learned_is_no_part_of_the_program(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    assert made.wire.learned().count("actions=") == 1
    assert {flow.cookie >> 48 for flow in made.wire.flows()} == {0x7663}


def test_arp_for_an_eip_is_answered_once_and_for_no_other_address(town: Setting) -> None:
    made = town()
    got = only(made.hear(EIP, PEER), OUT)
    assert (got["arp_op"], got["arp_spa"], got["arp_sha"]) == ("2", "203.0.113.10", text(EIP.mac))
    assert (got["eth_dst"], got["arp_tpa"], got["arp_tha"]) == (PEER[0], PEER[1], PEER[0])
    assert made.sends(OUT, asks(PEER, "203.0.113.99")) == {}
    assert made.sends(OUT, asks(PEER, "10.0.1.11")) == {}


def test_another_who_claims_an_eip_is_counted_and_not_learned(town: Setting) -> None:
    made = town()
    assert made.sends(OUT, asks((PEER[0], "203.0.113.10"), ROUTER[1])) == {}
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 1
    assert made.sends(OUT, asks((text(EIP.mac), "203.0.113.10"), "203.0.113.10")) == {}
    assert made.wire.dropped(Reason.OUTSIDE_SOURCE) == 1
    assert made.wire.learned() == ""


def test_private_addresses_never_leave(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    for kind in (f.udp(leaving(BARE), (5000, 53)), f.icmp(leaving(BARE), 8)):
        assert made.sends(BARE, kind) == {}
    assert made.wire.dropped(Reason.NO_EIP) == 2
    assert made.sends(ONE, f.udp(leaving(ONE, "10.0.9.9"), (5000, 53))) == {}
    assert made.wire.dropped(Reason.NO_ROUTE) == 1


def test_an_eip_that_is_taken_away_is_silent_at_once(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    made.change(n.eip(1, NETWORK, "203.0.113.10"))
    assert made.sends(OUT, f.tcp(entering(EIP), (4000, 80))) == {}
    assert made.sends(OUT, asks(PEER, "203.0.113.10")) == {}
    assert made.sends(ONE, f.udp(leaving(ONE), (5000, 53))) == {}


def test_an_eip_moves_to_another_port(town: Setting) -> None:
    made = town()
    made.change(n.eip(1, NETWORK, "203.0.113.10", BARE))
    got = only(made.sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(BARE))
    assert got["nw_dst"] == "10.0.1.13"


def test_who_gets_a_used_eip_gets_none_of_its_connections(town: Setting) -> None:
    web = n.group(1, RED, n.allow("egress"), n.allow("ingress", protocol=6, ports=(80, 80)))
    old, new = (guest(number, groups=(web.id,)) for number in (1, 3))
    made = town(old, new, web, n.eip(1, NETWORK, "203.0.113.10", old))
    made.hear(EIP)
    asked = f.udp(leaving(old), (5000, 53))
    only(made.sends(old, asked), OUT)
    answered = f.udp(entering(EIP), (53, 5000))
    only(made.sends(OUT, answered), ofport(old))
    made.change(n.eip(1, NETWORK, "203.0.113.10", new))
    made.hear(EIP)
    # The old connection goes on trying, on both sides.
    assert made.sends(OUT, answered) == {}
    assert made.sends(OUT, f.tcp(entering(EIP), (4000, 81), f.ACK, (7, 2))) == {}
    assert made.sends(old, asked) == {}
    assert made.wire.dropped(Reason.NO_EIP) == 1
    only(made.sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(new))
    assert only(made.sends(new, f.udp(leaving(new), (5000, 53))), OUT)["nw_src"] == "203.0.113.10"


def test_another_tenant_who_gets_a_released_address_gets_none_of_its_connections(
    town: Setting,
) -> None:
    """Two zones know the address: what one has seen of a connection is nothing to the other."""
    web = n.group(1, RED, n.allow("egress"), n.allow("ingress", protocol=6, ports=(80, 80)))
    blues = n.group(2, BLUE, n.allow("egress"), n.allow("ingress", protocol=6, ports=(80, 80)))
    old, new = guest(1, groups=(web.id,)), guest(4, BLUES, groups=(blues.id,))
    made = town(old, new, web, blues, EIP)
    made.hear(EIP)
    asked, answered = f.udp(leaving(old), (5000, 53)), f.udp(entering(EIP), (53, 5000))
    only(made.sends(old, asked), OUT)
    only(made.sends(OUT, answered), ofport(old))
    only(made.sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(old))
    only(made.sends(old, f.tcp(leaving(old), (80, 4000), f.SYN_ACK, (7, 2))), OUT)
    taken = n.eip(9, NETWORK, "203.0.113.10", new)
    made.change(taken, without=(EIP,))
    made.hear(taken)
    # The old connections go on trying, on both sides, and with the old MAC, too.
    late = f.tcp(entering(EIP), (4000, 81), f.ACK, (2, 8))
    for frame in (answered, late):
        assert made.sends(OUT, frame) == {}
    assert made.sends(OUT, f.udp(entering(taken), (53, 5000))) == {}
    assert made.sends(old, asked) == {}
    assert made.wire.dropped(Reason.NO_EIP) == 1
    only(made.sends(OUT, f.tcp(entering(taken), (4001, 80))), ofport(new))
    got = only(made.sends(new, f.udp(leaving(new), (5000, 53))), OUT)
    assert (got["nw_src"], got["eth_src"]) == ("203.0.113.10", text(taken.mac))


def test_frames_for_others_and_with_an_end_here_are_not_taken(town: Setting) -> None:
    made = town()
    ends = Ends((ROUTER[0], ROUTER[0]), (FAR, "203.0.113.10"))
    assert made.sends(OUT, f.udp(ends, (1, 2))) == {}
    ending = bytearray(f.udp(entering(EIP), (1, 2)))
    ending[22], ending[24:26] = 1, b"\0\0"
    ending[24:26] = f.checksum(bytes(ending[14:34])).to_bytes(2, "big")
    assert made.sends(OUT, bytes(ending)) == {}
    assert made.wire.dropped(Reason.TTL_EXCEEDED) == 1


def test_errors_from_outside_go_through_the_agent(town: Setting) -> None:
    made = town()
    about = f.udp(Ends((text(EIP.mac), ROUTER[0]), ("203.0.113.10", FAR)), (5000, 53))
    asked = only(made.sends(OUT, f.unreachable(entering(EIP, "198.51.100.1"), about)), AGENT)
    assert asked["eth_dst"] == question(Question.ERROR_IN)
    assert asked["nw_dst"] == "203.0.113.10"
    inner = f.udp(leaving(ONE), (5000, 53))
    mac = format_mac(error_inwards(EIP.key))
    done = f.unreachable(Ends((mac, text(EIP.mac)), ("198.51.100.1", "10.0.1.11")), inner)
    got = only(made.sends(AGENT, done), ofport(ONE))
    assert (got["nw_src"], got["nw_dst"], got["icmp_type"]) == ("198.51.100.1", "10.0.1.11", "3")
    assert (got["eth_src"], got["eth_dst"]) == (ROUTER_MAC, text(ONE.mac))


def test_errors_of_a_port_go_through_the_agent(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    about = f.udp(leaving(ONE).back(), (53, 5000))
    asked = only(made.sends(ONE, f.unreachable(leaving(ONE), about)), AGENT)
    assert asked["eth_dst"] == question(Question.ERROR_OUT)
    assert (asked["eth_src"], asked["nw_src"]) == (text(EIP.mac), "10.0.1.11")
    mac = format_mac(error_outwards(EIP.key))
    done = f.unreachable(Ends((mac, ROUTER[0]), ("203.0.113.10", FAR)), about)
    got = only(made.sends(AGENT, done), OUT)
    assert (got["nw_src"], got["eth_src"]) == ("203.0.113.10", text(EIP.mac))
    assert got["eth_dst"] == ROUTER[0]


def test_errors_between_eips_of_one_host_are_translated_twice(town: Setting) -> None:
    made, about = town(), f.udp(leaving(TWO).back(), (53, 5000))
    mac = format_mac(error_outwards(EIP_2.key))
    done = f.unreachable(Ends((mac, ROUTER[0]), ("203.0.113.11", "203.0.113.10")), about)
    asked = only(made.sends(AGENT, done), AGENT)
    assert asked["eth_dst"] == question(Question.ERROR_IN)
    assert (asked["nw_src"], asked["nw_dst"]) == ("203.0.113.11", "203.0.113.10")


def test_the_agent_speaks_for_addresses_that_are_here_alone(town: Setting) -> None:
    made, stranger = town(), n.eip(9, NETWORK, "203.0.113.99")
    for mac in (stranger.mac, error_inwards(9), error_outwards(9)):
        ends = Ends((format_mac(mac), ROUTER[0]), ("203.0.113.99", FAR))
        assert made.sends(AGENT, f.udp(ends, (1, 2))) == {}
    ends = Ends((text(EIP.mac), ROUTER_MAC), ("10.0.1.12", FAR))
    assert made.sends(BARE, f.udp(ends, (1, 2))) == {}


@pytest.mark.parametrize("kind", ["udp", "tcp", "icmp"])
@pytest.mark.parametrize(
    ("sender", "eip", "target", "source"),
    [
        (ONE, EIP, ONE, "203.0.113.10"),
        (ONE, EIP_NEAR, NEAR, "203.0.113.10"),
        (ONE, EIP_2, TWO, "203.0.113.10"),
        (TWO, EIP, ONE, "203.0.113.11"),
        (ONE, EIP_BLUE, BLUE_ONE, "203.0.113.10"),
        (BLUE_ONE, EIP, ONE, "203.0.113.12"),
    ],
    ids=["own", "same-subnet", "other-subnet", "back", "other-vpc", "back-from-other-vpc"],
)
def test_eips_of_one_host_reach_each_other(
    town: Setting, kind, sender, eip, target, source
) -> None:
    made, ends = town(), leaving(sender, str(eip.address))
    frame = {
        "udp": lambda: f.udp(ends, (5000, 53)),
        "tcp": lambda: f.tcp(ends, (5000, 80)),
        "icmp": lambda: f.icmp(ends, 8),
    }[kind]()
    got = only(made.sends(sender, frame), ofport(target))
    own = next(str(ip) for ip in target.ips if ip.version == 4)
    assert (got["nw_src"], got["nw_dst"]) == (source, own)
    assert (got["eth_src"], got["eth_dst"], got["nw_ttl"]) == (ROUTER_MAC, text(target.mac), "62")


def test_groups_judge_peers_outside_by_their_addresses(town: Setting) -> None:
    web = n.group(1, RED, n.allow("ingress", "192.0.2.0/24", protocol=6, ports=(80, 80)))
    held = guest(1, groups=(web.id,))
    made = town(held, web, n.eip(1, NETWORK, "203.0.113.10", held))
    made.hear(EIP)
    assert made.sends(OUT, f.tcp(entering(EIP, "198.51.100.9"), (4000, 80))) == {}
    assert made.sends(OUT, f.tcp(entering(EIP), (4000, 81))) == {}
    only(made.sends(OUT, f.tcp(entering(EIP), (4000, 80))), ofport(held))
    back = f.tcp(leaving(held), (80, 4000), f.SYN_ACK, (7, 2))
    assert only(made.sends(held, back), OUT)["nw_src"] == "203.0.113.10"
    assert made.sends(held, f.tcp(leaving(held), (81, 4000))) == {}


def test_fragments_are_translated_or_not_let_through(town: Setting) -> None:
    """The userspace datapath would write a checksum into the data of later ones."""
    made = town()
    made.hear(EIP)
    data = bytes(range(256)) * 12
    for ends, sender, to in ((leaving(ONE), ofport(ONE), OUT), (entering(EIP), OUT, ofport(ONE))):
        for protocol, whole in ((f.UDP, False), (f.ICMP, True)):
            pieces = list(f.fragments(ends, protocol, f.udp_payload(ends, (5000, 53), data)))
            got = [made.wire.send(sender, piece).get(to, []) for piece in pieces]
            assert [len(one) for one in got] == [1, whole, whole]
            assert all(
                one[0][42:] == piece[42:] for one, piece in zip(got, pieces, strict=True) if one
            )
    assert made.wire.dropped(Reason.UNTRANSLATABLE) == 4


def test_what_open_vswitch_does_not_rewrite_neither_leaves_nor_enters(town: Setting) -> None:
    made = town()
    made.hear(EIP)
    for protocol, passes in ((0, False), (47, True)):
        out = made.sends(ONE, f.ip(leaving(ONE), protocol, b"data"))
        into = made.sends(OUT, f.ip(entering(EIP), protocol, b"data"))
        assert (OUT in out, ofport(ONE) in into) == (passes, passes)
    assert made.wire.dropped(Reason.UNTRANSLATABLE) == 2
