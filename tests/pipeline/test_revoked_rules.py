"""What becomes of connections when the rule that let them in goes."""

import pytest

from tests.pipeline.filtering import (
    DEFAULT,
    VPC,
    WEB,
    Lan,
    Setting,
    client_and_server,
    ends,
    guest,
    server,
)
from tests.support import frames as f
from tests.support.frames import Ends
from tests.support.networks import allow, group

pytestmark = pytest.mark.ovs


def established(made: Lan, one, two, port: int = 80) -> None:
    assert made.sends(one, f.tcp(ends(one, two), (1000, port))) == {2}
    assert made.sends(two, f.tcp(ends(two, one), (port, 1000), f.SYN_ACK, (50, 2))) == {1}
    assert made.sends(one, f.tcp(ends(one, two), (1000, port), f.ACK, (2, 51))) == {2}


def goes_on(made: Lan, one, two, port: int = 80) -> tuple[bool, bool]:
    """Whether a connection still works, in either direction."""
    there = made.sends(one, f.tcp(ends(one, two), (1000, port), f.ACK, (2, 51)))
    back = made.sends(two, f.tcp(ends(two, one), (port, 1000), f.ACK, (51, 2)))
    return there == {2}, back == {1}


def test_a_rule_that_goes_ends_its_connections_at_once_both_ways(lan: Setting) -> None:
    rule = allow("ingress", protocol=6, ports=(80, 80))
    made, one, two = client_and_server(lan, rule)
    established(made, one, two)
    made.change(server())
    assert goes_on(made, one, two) == (False, False)
    made.change(server(rule))
    assert goes_on(made, one, two) == (True, True)


def test_what_another_rule_allows_too_goes_on(lan: Setting) -> None:
    rules = [allow("ingress", protocol=6, ports=(80, 80)), allow("ingress", "10.0.1.0/24")]
    made, one, two = client_and_server(lan, *rules)
    established(made, one, two)
    made.change(server(rules[1]))
    assert goes_on(made, one, two) == (True, True)


def test_a_member_that_leaves_ends_what_it_had(lan: Setting) -> None:
    one, two = guest(1, WEB, DEFAULT.id), guest(2, WEB, DEFAULT.id)
    made = lan(DEFAULT, one, two)
    established(made, one, two)
    made.change(guest(1))
    assert goes_on(made, one, two) == (False, False)


def test_established_connections_of_a_group_that_keeps_them_go_on(lan: Setting) -> None:
    rule = allow("ingress", protocol=6, ports=(80, 81))
    made, one, two = client_and_server(lan, rule, keep_established=True)
    established(made, one, two)
    made.change(server(keep_established=True))
    assert goes_on(made, one, two) == (True, True)
    assert made.sends(one, f.tcp(ends(one, two), (1001, 80))) == set()
    made.change(server(keep_established=False))
    assert goes_on(made, one, two) == (False, False)


@pytest.mark.parametrize("speaks", ["one", "two"])
def test_a_group_that_begins_to_keep_keeps_what_is_open(lan: Setting, speaks: str) -> None:
    rule = allow("ingress", protocol=6, ports=(80, 81))
    made, one, two = client_and_server(lan, rule)
    established(made, one, two)
    established(made, one, two, 81)
    made.change(server(rule, keep_established=True))
    if speaks == "one":
        assert made.sends(one, f.tcp(ends(one, two), (1000, 80), f.ACK, (2, 51))) == {2}
    else:
        assert made.sends(two, f.tcp(ends(two, one), (80, 1000), f.ACK, (51, 2))) == {1}
    made.change(server(keep_established=True))
    assert goes_on(made, one, two) == (True, True)
    assert goes_on(made, one, two, 81) == (False, False)  # silent since: nobody was asked about it


def test_only_what_a_keeping_group_let_in_is_kept(lan: Setting) -> None:
    keeps = group(3, VPC, allow("ingress", protocol=6, ports=(81, 82)), keep_established=True)
    drops = server(allow("ingress", protocol=6, ports=(80, 81)))
    one, two = guest(1), guest(2, WEB, keeps.id, drops.id)
    made = lan(keeps, drops, one, two)
    for port in (80, 81, 82):
        established(made, one, two, port)
    made.change(server(), group(3, VPC, keep_established=True))
    assert goes_on(made, one, two, 80) == (False, False)
    assert goes_on(made, one, two, 81) == (True, True)
    assert goes_on(made, one, two, 82) == (True, True)


# --- what is left of a connection that was revoked ------------------------------------------------


def opening(protocol: int, way: Ends, ports: tuple[int, int], number: int = 1) -> bytes:
    """The packet by which a connection is opened."""
    return f.udp(way, ports) if protocol == f.UDP else f.tcp(way, ports, f.SYN, (number, 0))


def going_on(protocol: int, way: Ends, ports: tuple[int, int], *numbers: int) -> bytes:
    if protocol == f.UDP:
        return f.udp(way, ports)
    return f.tcp(way, ports, f.ACK, (numbers[0], numbers[1]))


@pytest.mark.parametrize("opener", ["one", "two"])
@pytest.mark.parametrize("protocol", [f.UDP, f.TCP])
def test_what_is_left_of_a_revoked_connection_passes_nothing_that_no_rule_allows(
    lan: Setting, protocol: int, opener: str
) -> None:
    """What the other end opens with the same addresses and ports is judged as an answer."""
    lets_in, lets_out = allow("ingress"), allow("egress")
    made, one, two = client_and_server(lan, lets_in, lets_out)
    end, other = (one, two) if opener == "one" else (two, one)
    there, back, ports = ends(end, other), ends(other, end), (1000, 80)
    assert made.sends(end, opening(protocol, there, ports))
    answer = f.udp(back, ports[::-1])
    if protocol == f.TCP:
        answer = f.tcp(back, ports[::-1], f.SYN_ACK, (50, 2))
    assert made.sends(other, answer)
    assert made.sends(end, going_on(protocol, there, ports, 2, 51))
    anew = opening(protocol, back, ports[::-1], 51)
    for rules in ((), (lets_in,), (lets_out,), (lets_in, lets_out)):
        made.change(server(*rules))
        allowed = (lets_in if opener == "one" else lets_out) in rules
        assert bool(made.sends(end, going_on(protocol, there, ports, 2, 51))) == allowed
        assert bool(made.sends(other, going_on(protocol, back, ports[::-1], 51, 2))) == allowed
        assert bool(made.sends(other, anew)) == allowed, "it is an answer"
        if protocol == f.TCP:
            assert not made.sends(other, opening(protocol, back, ports[::-1], 1 << 30))
    for rules in ((), (lets_in,), (lets_out,)):
        made.wire.forget()  # as when its time is over
        made.change(server(*rules))
        assert bool(made.sends(other, anew)) == (
            (lets_out if opener == "one" else lets_in) in rules
        )


@pytest.mark.parametrize("rules", [("ingress",), ("egress",)])
def test_a_connection_that_was_closed_is_over_for_the_other_end_too(
    lan: Setting, rules: tuple[str, ...]
) -> None:
    lets = {one: allow(one) for one in ("ingress", "egress")}
    made, one, two = client_and_server(lan, *lets.values())
    established(made, one, two)
    there, back, fin = ends(one, two), ends(two, one), f.ACK | 1
    assert made.sends(one, f.tcp(there, (1000, 80), fin, (2, 51)))
    assert made.sends(two, f.tcp(back, (80, 1000), f.ACK, (51, 3)))
    assert made.sends(two, f.tcp(back, (80, 1000), fin, (51, 3)))
    assert made.sends(one, f.tcp(there, (1000, 80), f.ACK, (3, 52)))
    made.change(server(*(lets[one] for one in rules)))
    assert bool(made.sends(two, f.tcp(back, (80, 1000), f.SYN, (52, 0)))) == ("egress" in rules)
