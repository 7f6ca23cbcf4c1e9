"""Ports that have stateful and stateless groups both, and those that go from one to the other."""

from collections.abc import Iterator

import pytest

from tests.pipeline.filtering import FAMILIES, VPC, WEB, Lan, Setting, ends, guest, server
from tests.support import frames as f
from tests.support.networks import allow, group
from vpcctl.model.security_group import Rule, SecurityGroup

pytestmark = [pytest.mark.ovs]
ONE = guest(1)


def plain(*rules: Rule) -> SecurityGroup:
    return group(3, VPC, *rules, stateful=False)


def mixed(lan: Setting, tracked: SecurityGroup, untracked: SecurityGroup):
    """An unfiltered client, and a server in two groups."""
    two = guest(2, WEB, tracked.id, untracked.id)
    return lan(tracked, untracked, ONE, two), two


def shakes_hands(made: Lan, two, version: int, port: int) -> Iterator[bool]:
    """Connect to the server; yield what of it passes, and then of what is said on it."""
    there, back = ends(ONE, two, version), ends(two, ONE, version)
    asks, answers = (1000, port), (port, 1000)
    yield made.sends(ONE, f.tcp(there, asks)) == {2}
    yield made.sends(two, f.tcp(back, answers, f.SYN_ACK, (50, 2))) == {1}
    yield made.sends(ONE, f.tcp(there, asks, f.ACK, (2, 51))) == {2}
    yield made.sends(two, f.tcp(back, answers, f.ACK, (51, 2))) == {1}


@pytest.mark.parametrize("version", FAMILIES)
def test_what_a_stateless_group_lets_in_is_answered(lan: Setting, version: int) -> None:
    out = server(*(allow("egress", None, one) for one in FAMILIES))
    https = plain(allow("ingress", None, version, protocol=6, ports=(443, 443)))
    made, two = mixed(lan, out, https)
    assert all(shakes_hands(made, two, version, 443))
    assert not any(made.wire.counters(two.key)[f"{way}-invalid"] for way in ("egress", "ingress"))
    assert made.sends(ONE, f.tcp(ends(ONE, two, version), (1000, 80))) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_what_a_stateful_group_lets_in_is_followed(lan: Setting, version: int) -> None:
    http = server(allow("ingress", None, version, protocol=6, ports=(80, 80)))
    made, two = mixed(lan, http, plain(*(allow("egress", None, one) for one in FAMILIES)))
    assert all(shakes_hands(made, two, version, 80))
    assert "ESTABLISHED" in made.wire.connections()


def test_a_connection_lives_while_a_rule_of_either_kind_allows_it(lan: Setting) -> None:
    dns = allow("ingress", protocol=17, ports=(53, 53))
    made, two = mixed(lan, server(dns), plain(dns))

    def passes() -> tuple[bool, bool]:
        asked = made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
        return asked, made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == {1}

    assert passes() == (True, True)
    made.change(server())
    assert passes() == (True, True)
    made.change(server(dns), plain())
    assert passes() == (True, True)
    made.change(server())
    assert passes() == (False, False)
    made.change(plain(dns))
    assert passes() == (True, True)


def test_an_answer_passes_by_itself_when_its_connection_may_not(lan: Setting) -> None:
    dns = server(allow("ingress", protocol=17, ports=(53, 53)))
    made, two = mixed(lan, dns, plain(allow("egress", protocol=17, ports=(1000, 1000))))
    assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
    made.change(server())
    assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == set()
    assert made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == {1}
    made.change(plain())
    assert made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == set()


def test_a_stateless_rule_lets_a_packet_through_whatever_it_belongs_to(lan: Setting) -> None:
    made, two = mixed(lan, server(), plain(allow("ingress"), allow("ingress", family=6)))
    accepts = f.tcp(ends(ONE, two), (80, 1000), f.SYN_ACK, (50, 2))
    assert made.sends(ONE, accepts) == {2}
    assert made.sends(ONE, f.icmp(ends(ONE, two), 0)) == {2}
    assert made.wire.connections() == ""
    made.change(plain())
    assert made.sends(ONE, accepts) == set()
    made.wire.settle()
    assert made.wire.counters(two.key)["ingress-invalid"] == 1


def test_what_is_not_followed_is_judged_by_both(lan: Setting) -> None:
    made, two = mixed(
        lan,
        server(allow("ingress", protocol=132, ports=(1, 1))),
        plain(allow("ingress", protocol=132, ports=(2, 2)), allow("ingress", protocol=1)),
    )
    for port in (1, 2, 3):
        packet = f.ip(ends(ONE, two), 132, bytes((0, 9, 0, port)) + bytes(8))
        assert made.sends(ONE, packet) == ({2} if port < 3 else set()), port
    assert made.sends(ONE, f.icmp(ends(ONE, two), 17)) == {2}


@pytest.mark.parametrize("version", FAMILIES)
def test_later_fragments_follow_the_first(lan: Setting, version: int) -> None:
    def rule(*ports: int) -> Rule:
        return allow("ingress", None, version, protocol=17, ports=(ports[0], ports[-1]))

    made, two = mixed(lan, server(rule(1, 100)), plain(rule(5000)))
    way = ends(ONE, two, version)

    def passing(port: int, ident: int) -> int:
        data = f.udp_payload(way, (1000, port), bytes(3000))
        pieces = list(f.fragments(way, f.UDP, data, ident))
        assert len(pieces) == 3
        return len(made.gets(ONE, *pieces).get(2, []))

    assert [passing(port, at + 1) for at, port in enumerate((5000, 80, 90, 6000))] == [3, 3, 3, 0]


@pytest.mark.parametrize("version", FAMILIES)
def test_fragments_of_nothing_pass_by_no_rule(lan: Setting, version: int) -> None:
    """Conntrack lets them out with anybody's packets, so they may be anybody's."""
    made, two = mixed(lan, server(), plain(*(allow("ingress", None, one) for one in FAMILIES)))
    way = ends(ONE, two, version)
    first, *_ = f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(3000)), 7)
    assert made.sends(ONE, first) == set()


def test_rules_are_asked_about_connections_where_ports_have_both_kinds_only(lan: Setting) -> None:
    dns = allow("ingress", protocol=17, ports=(53, 53))
    made, two = mixed(lan, server(), plain(dns))
    both = len(made.wire.flows())
    made.change(guest(2, WEB, plain().id))
    alone = len(made.wire.flows())
    assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
    assert made.wire.connections() == ""
    # Its list of all groups, its fragments in two tables, and the rule about connections.
    assert both - alone == 4


@pytest.mark.parametrize("open_to_all", [True, False])
def test_what_was_tracked_is_not_counted_as_denied_later(lan: Setting, open_to_all: bool) -> None:
    """Statistics of cached flows are added up with what the tables are by then."""
    dns = [allow("ingress", protocol=17, ports=(53, 53)), allow("egress", protocol=17)]
    everything = [allow(way, None, one) for way in ("ingress", "egress") for one in FAMILIES]
    states = [server(*dns), server(*(everything if open_to_all else dns), stateful=False)]
    two = guest(2, WEB, server().id)
    made = lan(states[0], ONE, two)
    for at in range(6):
        for _ in range(5):
            assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
            assert made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == {1}
        made.change(states[(at + 1) % 2], settles=False)
    made.wire.settle()
    counted = made.wire.counters(two.key)
    assert not {what: n for what, n in counted.items() if n and "-" in what}, counted


def test_who_came_while_an_open_stateless_group_was_there_is_known(lan: Setting) -> None:
    dns = allow("ingress", protocol=17, ports=(53, 53))
    everything = [allow(way, None, one) for way in ("ingress", "egress") for one in FAMILIES]
    made, two = mixed(lan, server(dns), plain(*everything))
    assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
    assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 54))) == {2}
    made.change(guest(2, WEB, server().id))
    assert made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == {1}
    assert made.sends(two, f.udp(ends(two, ONE), (54, 1000))) == set()


def test_whoever_joins_an_open_stateless_group_counts_no_drop(lan: Setting) -> None:
    everything = [allow(way, None, one) for way in ("ingress", "egress") for one in FAMILIES]
    tracked, untracked = server(allow("ingress", protocol=17, ports=(53, 53))), plain(*everything)
    two = guest(2, WEB, tracked.id)
    made = lan(tracked, untracked, ONE, two)
    for groups in ((tracked.id,), (tracked.id, untracked.id), (untracked.id,)) * 2:
        made.change(guest(2, WEB, *groups), settles=False)
        for _ in range(5):
            assert made.sends(ONE, f.udp(ends(ONE, two), (1000, 53))) == {2}
            assert made.sends(two, f.udp(ends(two, ONE), (53, 1000))) == {1}
    made.wire.settle()
    counted = made.wire.counters(two.key)
    assert not {what: n for what, n in counted.items() if n and "-" in what}, counted
