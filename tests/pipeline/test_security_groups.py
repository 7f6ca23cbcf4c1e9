"""What groups let through, with real packets and a real conntrack."""

import dataclasses
import itertools
from collections.abc import Sequence

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.filtering import (
    DATA,
    DEFAULT,
    FAMILIES,
    OUT,
    SELF,
    SERVER,
    VPC,
    WEB,
    Setting,
    client_and_server,
    ends,
    guest,
    link_local_ends,
    server,
    to_all,
)
from tests.support import frames as f
from tests.support.frames import Ends
from tests.support.networks import address_group, allow, group, group_id, pair
from vpcctl.flows.reasons import Reason
from vpcctl.model.security_group import Rule, SecurityGroup

pytestmark = pytest.mark.ovs


# --- groups as remote sides -----------------------------------------------------------------------


@pytest.mark.parametrize("version", FAMILIES)
def test_members_of_the_default_group_talk_and_others_do_not(lan: Setting, version: int) -> None:
    one, two, away = guest(1, WEB, DEFAULT.id), guest(2, WEB, DEFAULT.id), guest(3, DATA)
    near = guest(4, DATA, DEFAULT.id)
    made = lan(DEFAULT, one, two, away, near)
    assert made.sends(one, f.tcp(ends(one, two, version), (1000, 22))) == {2}
    assert made.sends(one, f.udp(ends(one, near, version), (1000, 53))) == {4}
    assert made.sends(away, f.udp(ends(away, two, version), (1000, 53))) == set()
    assert made.sends(two, f.udp(ends(two, away, version), (1000, 53))) == {3}
    assert made.sends(away, f.udp(ends(away, two, version), (53, 1000))) == {2}


def test_link_local_addresses_are_members_too(lan: Setting) -> None:
    one, two, other = guest(1, WEB, DEFAULT.id), guest(2, WEB, DEFAULT.id), guest(3)
    made = lan(DEFAULT, one, two, other)
    assert made.sends(one, f.udp(link_local_ends(one, two), (1000, 53))) == {2}
    assert made.sends(other, f.udp(link_local_ends(other, two), (1000, 53))) == set()


def test_an_allowed_address_is_its_ports_groups(lan: Setting) -> None:
    one = guest(1, WEB, DEFAULT.id, allowed_pairs=(pair("10.0.1.77/32"),))
    two = guest(2, WEB, DEFAULT.id)
    made = lan(DEFAULT, one, two)
    from_shared = dataclasses.replace(ends(one, two), ip=("10.0.1.77", "10.0.1.12"))
    assert made.sends(one, f.udp(from_shared, (1000, 53))) == {2}


def test_members_come_and_go(lan: Setting) -> None:
    friends = group(3, VPC)
    rule = allow("ingress", friends, protocol=17)
    one, two = guest(1), guest(2, WEB, group_id(SERVER))
    made = lan(server(rule), friends, one, two)
    question = f.udp(ends(one, two), (1000, 53))
    assert made.sends(one, question) == set()
    made.change(guest(1, WEB, friends.id, group_id(4)), group(4, VPC, *OUT))
    assert made.sends(one, question) == {2}
    made.change(guest(1, WEB, group_id(4)))
    assert made.sends(one, question) == set()


def test_a_group_of_another_vpc_or_one_that_is_not_there_lets_nobody_in(lan: Setting) -> None:
    foreign = dataclasses.replace(group(3, VPC, *OUT, *SELF), vpc_id="vpc-other")
    one, two = guest(1, WEB, foreign.id), guest(2, WEB, "sg-nowhere")
    three = guest(3)
    made = lan(foreign, one, two, three)
    for some in (one, two):
        assert made.sends(some, f.udp(ends(some, three), (1000, 53))) == set()
        assert made.sends(three, f.udp(ends(three, some), (1000, 53))) == set()


def test_a_port_with_no_group_at_all_is_closed_both_ways(lan: Setting) -> None:
    closed, other = guest(1, groups=()), guest(2)
    made = lan(closed, other)
    assert made.sends(other, f.udp(ends(other, closed), (1000, 53))) == set()
    assert made.sends(closed, f.udp(ends(closed, other), (1000, 53))) == set()


def test_remote_sides_that_overlap_do_not_hide_each_other(lan: Setting) -> None:
    """A client's address is in all of these, each a dimension's flow of its own."""
    wide, narrow = address_group(1, "10.0.0.0/8"), address_group(2, "10.0.1.0/24", "10.0.1.11/32")
    exact, friends = address_group(3, "10.0.1.11/32"), group(3, VPC, *OUT)
    one, two = guest(1, WEB, friends.id), guest(2, WEB, group_id(SERVER))
    sides = (wide, narrow, exact, friends)
    rules = [allow("ingress", side, protocol=17, ports=(i, i)) for i, side in enumerate(sides, 1)]
    made = lan(*sides, server(*rules, allow("ingress", wide, protocol=6)), one, two)
    for port in range(1, 5):
        assert made.sends(one, f.udp(ends(one, two), (1000, port))) == {2}, port
    assert made.sends(one, f.udp(ends(one, two), (1000, 5))) == set()
    both = [allow("ingress", side, protocol=17, ports=(7, 7)) for side in sides]
    made.change(server(*both))
    assert made.sends(one, f.udp(ends(one, two), (1000, 7))) == {2}
    assert made.sends(one, f.udp(ends(one, two), (1000, 1))) == set()


def test_blocks_and_address_groups_are_of_their_rules_family(lan: Setting) -> None:
    everyone = address_group(1, "0.0.0.0/0")
    made, one, two = client_and_server(
        lan, allow("ingress", everyone), allow("ingress", "fd00:2::/64", 6, protocol=17), home=DATA
    )
    made.change(everyone)
    assert made.sends(one, f.tcp(ends(one, two), (1000, 53))) == {2}
    assert made.sends(one, f.tcp(ends(one, two, 6), (1000, 53))) == set()
    assert made.sends(one, f.udp(ends(one, two, 6), (1000, 53))) == {2}


# --- protocols and ports --------------------------------------------------------------------------


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("stateful", [True, False])
def test_ranges_of_ports(lan: Setting, version: int, stateful: bool) -> None:
    rule = allow("ingress", None, version, protocol=6, ports=(1000, 1999))
    made, one, two = client_and_server(lan, rule, stateful=stateful)
    for port, passes in ((999, False), (1000, True), (1500, True), (1999, True), (2000, False)):
        got = made.sends(one, f.tcp(ends(one, two, version), (7, port)))
        assert got == ({2} if passes else set()), port
    assert made.sends(one, f.udp(ends(one, two, version), (7, 1500))) == set()
    assert made.sends(one, f.tcp(ends(one, two, 10 - version), (7, 1500))) == set()


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("stateful", [True, False])
def test_icmp_by_type_and_code(lan: Setting, version: int, stateful: bool) -> None:
    protocol, request, odd = (1, 8, 17) if version == 4 else (58, 128, 160)
    rules = [
        allow("ingress", None, version, protocol=protocol, icmp_type=kind, icmp_code=code)
        for kind, code in ((request, None), (odd, 1))
    ]
    made, one, two = client_and_server(lan, *rules, stateful=stateful)
    way = ends(one, two, version)
    assert made.sends(one, f.icmp(way, request)) == {2}
    assert made.sends(one, f.icmp(way, odd, 1)) == {2}
    assert made.sends(one, f.icmp(way, odd, 0)) == set()
    assert made.sends(one, f.icmp(way, 13 if version == 4 else 161)) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_other_protocols_are_followed_by_their_addresses(lan: Setting, version: int) -> None:
    made, one, two = client_and_server(lan, allow("ingress", None, version, protocol=47))
    there, back = ends(one, two, version), ends(two, one, version)
    assert made.sends(two, f.ip(back, 47, bytes(20))) == set()
    assert made.sends(one, f.ip(there, 47, bytes(20))) == {2}
    assert made.sends(two, f.ip(back, 47, bytes(20))) == {1}
    assert made.sends(one, f.ip(there, 50, bytes(20))) == set()


@pytest.mark.parametrize("remote", [None, "10.0.1.0/24", group_id(1)])
def test_protocol_0_is_judged_packet_by_packet(lan: Setting, remote: str | None) -> None:
    one, two = guest(1, WEB, DEFAULT.id), guest(2, WEB, group_id(SERVER))
    made = lan(server(allow("ingress", remote, 4, protocol=0)), DEFAULT, one, two)
    there, back = ends(one, two), ends(two, one)
    assert made.sends(one, f.ip(there, 0, bytes(20))) == {2}
    assert made.sends(two, f.ip(back, 0, bytes(20))) == set()
    others = (f.ip(there, 50, bytes(20)), f.udp(there, (1000, 53)), f.icmp(there, 8))
    for frame in (*others, f.tcp(there, (1000, 22))):
        assert made.sends(one, frame) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_sctp_is_judged_packet_by_packet(lan: Setting, version: int) -> None:
    rule = allow("ingress", None, version, protocol=132, ports=(80, 90))
    made, one, two = client_and_server(lan, rule)
    for port, passes in ((85, True), (91, False)):
        packet = f.ip(ends(one, two, version), 132, f.ports(1000, port) + bytes(20))
        assert made.sends(one, packet) == ({2} if passes else set())
    answer = f.ip(ends(two, one, version), 132, f.ports(85, 1000) + bytes(20))
    assert made.sends(two, answer) == set()
    assert "sctp" not in made.wire.connections()


def test_neighbour_and_listener_discovery_pass_whatever_groups_say(lan: Setting) -> None:
    closed, other = guest(1, groups=()), guest(2, groups=())
    made = lan(closed, other)
    for kind in (130, 131, 132, 143):
        assert made.sends(closed, f.icmp(link_local_ends(closed, other), kind)) == {2}
    assert made.sends(closed, f.icmp(link_local_ends(closed, other), 128)) == set()


def test_copies_are_judged_for_each_who_gets_them(lan: Setting) -> None:
    one, two, three = (
        guest(1, WEB, DEFAULT.id),
        guest(2, WEB, DEFAULT.id),
        guest(3, WEB, group_id(9)),
    )
    four = guest(4)
    made = lan(DEFAULT, one, two, three, four)
    assert made.sends(one, f.udp(to_all(one), (1000, 137))) == {2, 4}
    assert made.sends(four, f.udp(to_all(four), (1000, 137))) == set()
    assert made.sends(three, f.udp(to_all(three), (1000, 137))) == set()


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", FAMILIES)
def test_answers_and_errors_about_a_connection_pass(lan: Setting, version: int) -> None:
    made, one, two = client_and_server(
        lan, allow("ingress", None, version, protocol=17, ports=(53, 53))
    )
    question, way, back = (
        f.udp(ends(one, two, version), (1000, 53)),
        ends(one, two, version),
        ends(two, one, version),
    )
    assert made.sends(two, f.unreachable(back, question)) == set()
    assert made.sends(one, question) == {2}
    assert made.sends(two, f.unreachable(back, question)) == {1}
    assert made.sends(two, f.udp(back, (53, 1000))) == {1}
    assert made.sends(one, f.unreachable(way, f.udp(back, (53, 1000)))) == {2}
    assert made.sends(two, f.unreachable(back, f.udp(way, (1000, 54)))) == set()
    assert made.sends(two, f.udp(back, (53, 1001))) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_fragments_share_the_fate_of_their_packet(lan: Setting, version: int) -> None:
    rule = allow("ingress", None, version, protocol=17, ports=(53, 53))
    made, one, two = client_and_server(lan, rule)
    way = ends(one, two, version)
    for port, passes in ((53, True), (54, False)):
        whole = f.udp_payload(way, (1000, port), bytes(2000))
        got = made.gets(one, *f.fragments(way, f.UDP, whole, ident=port))
        assert len(got.get(2, [])) == (2 if passes else 0)
    lone = list(f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(2000)), ident=99))[1]
    assert made.sends(one, lone) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_fragments_never_leave_with_another_ports_packets(lan: Setting, version: int) -> None:
    """Of more than 32 the datapath sends the rest on with whatever it tracks next."""
    rule = allow("ingress", None, version, protocol=17)
    names = [group_id(SERVER)]
    one, two, three, four = guest(1), guest(2, WEB, *names), guest(3), guest(4, WEB, *names)
    made = lan(server(rule), one, two, three, four)
    way, other = ends(one, two, version), ends(three, four, version)
    pieces = list(f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(45 * 1280))))
    got = made.gets(one, *pieces)
    assert set(got) == {2}
    for port in range(70, 100):
        answer = made.gets(three, f.udp(other, (1000, port)))
        assert {key: len(frames) for key, frames in answer.items() if key != 2} == {4: 1}
    again = list(f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(2000)), ident=9))
    assert len(made.gets(one, *again).get(2, [])) >= 2


@pytest.mark.parametrize("version", FAMILIES)
def test_without_state_a_later_fragment_passes_only_where_ports_do_not_matter(
    lan: Setting, version: int
) -> None:
    by_port = allow("ingress", None, version, protocol=17, ports=(0, 65535))
    made, one, two = client_and_server(lan, by_port, stateful=False)
    way = ends(one, two, version)
    pieces = list(f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(2000))))
    assert len(made.gets(one, *pieces).get(2, [])) == 1
    # Open vSwitch does not say which protocol a later fragment of IPv6 is of.
    protocol = 17 if version == 4 else None
    made.change(server(allow("ingress", None, version, protocol=protocol), stateful=False))
    assert len(made.gets(one, *pieces).get(2, [])) == 2
    if version == 6:
        made.change(server(allow("ingress", None, version, protocol=17), stateful=False))
        assert len(made.gets(one, *pieces).get(2, [])) == 1


def test_a_stateless_group_needs_rules_for_both_ways_and_no_conntrack(lan: Setting) -> None:
    rules = [allow("ingress", protocol=6, ports=(80, 80)), allow("egress", protocol=6)]
    made, one, two = client_and_server(lan, rules[0], stateful=False)
    assert made.sends(one, f.tcp(ends(one, two), (1000, 80))) == {2}
    assert made.sends(two, f.tcp(ends(two, one), (80, 1000), f.SYN_ACK)) == set()
    made.change(server(*rules, stateful=False))
    assert made.sends(two, f.tcp(ends(two, one), (80, 1000), f.SYN_ACK)) == {1}
    assert made.wire.connections() == ""


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize(
    "stateless",
    [(), range(16), range(15), (15,), range(0, 16, 2)],
    ids=["all stateful", "all stateless", "last stateful", "last stateless", "every other"],
)
def test_each_of_sixteen_groups_is_asked_the_last_one_too(
    lan: Setting, version: int, stateless: Sequence[int]
) -> None:
    def nth(at: int, *rules: Rule) -> SecurityGroup:
        return group(20 + at, VPC, *rules, stateful=at not in stateless)

    def by(at: int) -> Rule:
        return allow("ingress", None, version, protocol=17, ports=(100 + at, 100 + at))

    one, two = guest(1), guest(2, WEB, *(group_id(20 + at) for at in range(16)))
    made = lan(*map(nth, range(15)), nth(15, by(15)), one, two)
    for at in (15, 14):
        question = f.udp(ends(one, two, version), (1000, 100 + at))
        answer = f.udp(ends(two, one, version), (100 + at, 1000))
        assert made.sends(one, question) == ({2} if at == 15 else set())
        follows = at == 15 and len(stateless) < 16
        assert made.sends(two, answer) == ({1} if follows else set())
    made.change(*(nth(at, by(at)) for at in range(16)))
    for at in range(17):
        question = f.udp(ends(one, two, version), (1001, 100 + at))
        assert made.sends(one, question) == ({2} if at < 16 else set()), at
    made.change(nth(15))
    question = f.udp(ends(one, two, version), (1001, 115))
    assert made.sends(one, question) == set()


def test_ports_that_may_do_everything_without_state_have_no_conntrack(lan: Setting) -> None:
    everything = [allow(way, None, one) for way in ("ingress", "egress") for one in FAMILIES]
    some = group(3, VPC, *everything[:3], stateful=False)
    others = group(4, VPC, everything[3], stateful=False)
    one, two = guest(1, WEB, some.id, others.id), guest(2)
    made = lan(some, others, one, two)
    assert made.sends(one, f.tcp(ends(one, two), (1000, 22))) == {2}
    assert made.sends(two, f.tcp(ends(two, one, 6), (1000, 22))) == {1}
    assert made.wire.connections() == ""


def test_who_let_all_in_knows_who_came(lan: Setting) -> None:
    everything = [allow(way, None, one) for way in ("egress", "ingress") for one in FAMILIES]
    made, one, two = client_and_server(lan, *everything)
    question, answer = ends(one, two), ends(two, one)
    assert made.sends(one, f.udp(question, (1000, 53))) == {2}
    assert made.sends(two, f.udp(answer, (53, 1000))) == {1}
    made.change(server(*everything[:2]))
    assert made.sends(two, f.udp(answer, (53, 1000))) == set()
    assert made.sends(one, f.udp(question, (1000, 53))) == set()


# --- counters -------------------------------------------------------------------------------------


def test_every_packet_is_counted_by_port_and_what_is_dropped_by_reason(lan: Setting) -> None:
    made, one, two = client_and_server(lan, allow("ingress", protocol=17, ports=(53, 53)))
    for port in (53, 54, 55):
        made.sends(one, f.udp(ends(one, two), (1000, port)))
    made.sends(one, f.unreachable(ends(one, two), f.udp(ends(two, one), (9, 9))))
    made.sends(two, f.udp(ends(two, one), (7, 7)))
    made.wire.settle()
    counted = made.wire.counters(two.key)
    assert counted["IngressAcl"] == 4
    assert counted["EgressAcl"] == 1
    assert counted["ingress-denied"] == 2
    assert counted["ingress-invalid"] == 1
    assert counted["egress-denied"] == 1
    assert made.wire.counters(one.key)["EgressAcl"] == 4


@pytest.mark.parametrize("groups", [(), (group_id(1),)], ids=["no groups", "groups"])
def test_what_a_port_sends_to_itself_is_dropped_with_a_reason_and_its_copies_are_not(
    lan: Setting, groups: tuple[str, ...]
) -> None:
    one, two = guest(1, WEB, *groups), guest(2)
    made, mac = lan(DEFAULT, one, two), text(one.mac)
    for to, ip in itertools.product((ROUTER_MAC, mac), one.ips):
        there = Ends((mac, to), (str(ip), str(ip)))
        assert made.sends(one, f.udp(there, (1000, 53)), f.icmp(there, 8)) == set()
    assert made.wire.dropped(Reason.OWN_ADDRESS) == 8
    assert made.wire.counters(one.key).get("ingress-denied", 0) == 0
    assert made.sends(one, f.udp(to_all(one), (1000, 53))) == {2}
    assert made.wire.dropped(Reason.OWN_ADDRESS) == 8


@pytest.mark.parametrize("version", FAMILIES)
def test_an_error_about_an_answer_passes_where_groups_decide(lan: Setting, version: int) -> None:
    members = group(3, VPC, allow("egress", group_id(3), version))
    servers = group(4, VPC, allow("ingress", group_id(3), version), allow("egress", None, version))
    one, two = guest(1, WEB, members.id), guest(2, WEB, members.id, servers.id)
    made = lan(members, servers, one, two)
    way, back = ends(one, two, version), ends(two, one, version)
    about = f.udp(back, (53, 1000))
    assert made.sends(one, f.unreachable(way, about)) == set()
    assert made.sends(one, f.udp(way, (1000, 53))) == {2}
    assert made.sends(two, about) == {1}
    assert made.sends(one, f.unreachable(way, about)) == {2}
