"""What network ACLs let through: routed packets only, each by itself, the lowest number first."""

import dataclasses

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.filtering import DATA, FAMILIES, VPC, WEB, Setting, ends, guest
from tests.support import frames as f
from tests.support.networks import acl, line
from vpcctl.model.network_acl import AclRule

pytestmark = pytest.mark.ovs
ANY = {4: "0.0.0.0/0", 6: "::/0"}
IN_WEB = {4: "10.0.1.0/24", 6: "fd00:1::/64"}
FREE = [line(30_000, way, "allow", ANY[one]) for way in ("ingress", "egress") for one in FAMILIES]
FREE = [dataclasses.replace(one, number=30_000 + i) for i, one in enumerate(FREE)]


def between(lan: Setting, *rules: AclRule, on=DATA):
    """A guest in each subnet; the ACL is on one of them."""
    one, two, beside = guest(1, WEB), guest(2, DATA), guest(3, DATA)
    rules = tuple(dataclasses.replace(rule) for rule in rules)
    made_acl = acl(1, VPC, *rules)
    home = dataclasses.replace(on, acl_id=made_acl.id)
    return lan(made_acl, home, one, two, beside), one, two, beside


@pytest.mark.parametrize("version", FAMILIES)
def test_rules_are_about_what_enters_and_what_leaves(lan: Setting, version: int) -> None:
    rules = [
        line(10, "ingress", "allow", IN_WEB[version], protocol=17, ports=(53, 53)),
        line(10, "egress", "allow", IN_WEB[version], protocol=17, ports=(1000, 1999)),
    ]
    made, one, two, beside = between(lan, *rules)
    there, back = ends(one, two, version), ends(two, one, version)
    assert made.sends(one, f.udp(there, (1000, 53))) == {2}
    assert made.sends(one, f.udp(there, (1000, 54))) == set()
    assert made.sends(two, f.udp(back, (53, 1000))) == {1}
    assert made.sends(two, f.udp(back, (53, 2000))) == set()
    assert made.sends(two, f.udp(ends(two, beside, version), (53, 2000))) == {3}


@pytest.mark.parametrize("version", FAMILIES)
def test_the_lowest_number_decides(lan: Setting, version: int) -> None:
    made, one, two, _ = between(
        lan,
        line(10, "ingress", "allow", ANY[version], protocol=6, ports=(80, 80)),
        line(20, "ingress", "deny", ANY[version], protocol=6, ports=(1, 1023)),
        line(30, "ingress", "allow", ANY[version]),
    )
    for port, passes in ((80, True), (81, False), (1023, False), (1024, True)):
        got = made.sends(one, f.tcp(ends(one, two, version), (7, port)))
        assert got == ({2} if passes else set()), port


def test_an_acl_that_is_not_there_lets_nothing_through(lan: Setting) -> None:
    made, one, two, beside = between(lan, *FREE)
    assert made.sends(one, f.udp(ends(one, two), (1000, 53))) == {2}
    made.change(dataclasses.replace(DATA, acl_id="nacl-nowhere"))
    assert made.sends(one, f.udp(ends(one, two), (1000, 53))) == set()
    assert made.sends(two, f.udp(ends(two, one), (1000, 53))) == set()
    assert made.sends(two, f.udp(ends(two, beside), (1000, 53))) == {3}
    made.change(dataclasses.replace(DATA, acl_id=None))
    assert made.sends(one, f.udp(ends(one, two), (1000, 53))) == {2}


def test_rules_that_are_not_on_the_host_yet_let_nothing_through(lan: Setting) -> None:
    made, one, two, _ = between(lan, *FREE)
    known = {flow.cookie for flow in made.wire.flows()}
    rules = {one for one in known if one >> 40 & 0xFF == 12}
    assert rules
    made.wire.program(flow for flow in made.wire.flows() if flow.cookie not in rules)
    assert made.sends(one, f.udp(ends(one, two), (1000, 53))) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_the_router_answers_whatever_an_acl_says(lan: Setting, version: int) -> None:
    made, one, two, _ = between(lan, on=WEB)
    gateway = {4: "10.0.1.1", 6: "fd00:1::1"}[version]
    way = dataclasses.replace(
        ends(one, two, version),
        eth=(text(one.mac), ROUTER_MAC),
        ip=(ends(one, two, version).ip[0], gateway),
    )
    assert made.sends(one, f.icmp(way, 8 if version == 4 else 128)) == {1}
    assert made.sends(one, f.udp(ends(one, two, version), (1000, 53))) == set()


@pytest.mark.parametrize("version", FAMILIES)
def test_later_fragments_are_refused_with_any_port_that_is(lan: Setting, version: int) -> None:
    free = line(30, "ingress", "allow", ANY[version])
    only = line(10, "ingress", "allow", ANY[version], protocol=17, ports=(0, 65535))
    refuse = line(20, "ingress", "deny", ANY[version], protocol=17, ports=(54, 54))
    made, one, two, _ = between(lan, refuse, free)
    way = ends(one, two, version)
    pieces = list(f.fragments(way, f.UDP, f.udp_payload(way, (1000, 53), bytes(2000))))
    assert len(made.gets(one, *pieces).get(2, [])) == 1
    made.change(acl(1, VPC, free))
    assert len(made.gets(one, *pieces).get(2, [])) == 2
    made.change(acl(1, VPC, only))
    assert len(made.gets(one, *pieces).get(2, [])) == 1


@pytest.mark.parametrize("version", FAMILIES)
def test_icmp_by_type_and_code(lan: Setting, version: int) -> None:
    protocol, request = (1, 8) if version == 4 else (58, 128)
    made, one, two, _ = between(
        lan,
        line(10, "ingress", "deny", ANY[version], protocol=protocol, icmp_type=3, icmp_code=1),
        line(20, "ingress", "allow", ANY[version], protocol=protocol, icmp_type=3),
        line(30, "ingress", "allow", ANY[version], protocol=protocol, icmp_type=request),
    )
    way = ends(one, two, version)
    for kind, code, passes in ((request, 0, True), (3, 1, False), (3, 0, True), (11, 0, False)):
        assert made.sends(one, f.icmp(way, kind, code)) == ({2} if passes else set())


def test_what_an_acl_drops_is_counted_for_the_sender(lan: Setting) -> None:
    made, one, two, _ = between(lan, line(10, "egress", "allow", ANY[4]))
    made.sends(one, f.udp(ends(one, two), (1000, 53)))
    made.sends(two, f.udp(ends(two, one, 6), (1000, 53)))
    made.wire.settle()
    assert made.wire.counters(one.key)["acl-in-denied"] == 1
    assert made.wire.counters(two.key)["acl-out-denied"] == 1


def test_a_rule_that_makes_no_sense_lets_nothing_through(lan: Setting) -> None:
    made, one, two, _ = between(
        lan,
        line(10, "ingress", "allow", ANY[4], protocol=47, ports=(1, 2)),
        line(20, "ingress", "allow", ANY[4], protocol=58, icmp_type=128),
    )
    assert made.sends(one, f.ip(ends(one, two), 47, bytes(20))) == set()
    assert made.sends(one, f.ip(ends(one, two), 58, bytes(20))) == set()
