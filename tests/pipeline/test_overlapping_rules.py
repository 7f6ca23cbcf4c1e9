"""Wide and narrow rules of one group, and ranges that overlap: none of them hides another."""

import ipaddress
from collections.abc import Callable, Iterator

import pytest

from tests.pipeline.filtering import DATA, VPC, WEB, Lan, ends, guest
from tests.support import frames as f
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import address_group, allow, group, group_id
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.changes import Resource
from vpcctl.model.port import Port
from vpcctl.model.security_group import Direction, Rule, SecurityGroup

pytestmark = pytest.mark.ovs
FAMILIES = (4, 6)
FRIENDS, PEERS, SERVER, PLAIN = group(3, VPC), group(4, VPC), 2, 5
TARGET = guest(2, WEB, group_id(SERVER))
FRIEND, PEER = guest(3, WEB, FRIENDS.id), guest(4, WEB, PEERS.id)
NEAR, CLOSE, LISTED, STRANGER = (guest(number) for number in (5, 6, 7, 8))
EVERYBODY = (FRIEND, PEER, NEAR, CLOSE, LISTED, STRANGER)
LIST = address_group(1, *(str(ipaddress.ip_network(ip)) for ip in LISTED.ips))
Sends = Callable[[Port], bytes]


def alone(one: Port, family: int) -> str:
    """A guest's address as a block."""
    return next(str(ipaddress.ip_network(ip)) for ip in one.ips if ip.version == family)


@pytest.fixture
def lan(ovs: DummyOvs) -> Iterator[Callable[..., Lan]]:
    made: list[Lan] = []

    def make(*resources: Resource) -> Lan:
        # All others may do what they like, so that it is the target's rules that decide.
        opened = (_open(one) for one in (FRIENDS, PEERS))
        made.append(Lan(ovs, LIST, TARGET, *EVERYBODY, *opened, *resources))
        return made[-1]

    yield make
    for one in made:
        one.close()


def _open(some: SecurityGroup) -> SecurityGroup:
    directions: tuple[Direction, ...] = ("ingress", "egress")
    rules = (allow(direction, None, family) for direction in directions for family in FAMILIES)
    return group(some.key, VPC, *rules, stateful=False)


def passes(made: Lan, packet: Sends) -> set[Port]:
    """Whose packet gets to the target."""
    return {one for one in EVERYBODY if made.sends(one, packet(one)) == {2}}


def udp(family: int, port: int) -> Sends:
    return lambda one: f.udp(ends(one, TARGET, family), (1000, port))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stateful", [True, False])
def test_wide_rules_count_in_narrow_cells_too(lan, family: int, stateful: bool) -> None:
    wide = (
        allow("ingress", FRIENDS, family),
        allow("ingress", alone(NEAR, family), family, protocol=17),
    )
    narrow = (
        allow("ingress", alone(CLOSE, family), family, protocol=17, ports=(53, 53)),
        allow("ingress", LIST, family, protocol=17, ports=(50, 60)),
        allow("ingress", PEERS, family, protocol=17, ports=(53, 54)),
    )
    made = lan(group(SERVER, VPC, *wide, *narrow, stateful=stateful))
    assert passes(made, udp(family, 52)) == {FRIEND, NEAR, LISTED}
    assert passes(made, udp(family, 53)) == {FRIEND, NEAR, LISTED, CLOSE, PEER}
    assert passes(made, udp(family, 54)) == {FRIEND, NEAR, LISTED, PEER}
    assert passes(made, udp(family, 61)) == {FRIEND, NEAR}
    assert passes(made, lambda one: f.tcp(ends(one, TARGET, family), (1000, 53))) == {FRIEND}
    made.change(group(SERVER, VPC, *narrow, stateful=stateful))
    assert passes(made, udp(family, 53)) == {LISTED, CLOSE, PEER}
    made.change(group(SERVER, VPC, *wide, stateful=stateful))
    assert passes(made, udp(family, 53)) == {FRIEND, NEAR}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stateful", [True, False])
def test_types_and_codes_are_asked_from_the_narrowest_on(lan, family: int, stateful: bool) -> None:
    icmp, echo, odd, other = (1, 8, 17, 13) if family == 4 else (58, 128, 160, 161)
    rules = (
        *(
            allow("ingress", alone(CLOSE, family), family, **_icmp(icmp, kind, code))
            for kind, code in ((echo, 0), (odd, 1))
        ),
        *(allow("ingress", PEERS, family, **_icmp(icmp, kind)) for kind in (echo, odd)),
        allow("ingress", alone(NEAR, family), family, protocol=icmp),
        allow("ingress", FRIENDS, family),
    )
    made = lan(group(SERVER, VPC, *rules, stateful=stateful))

    def message(kind: int, code: int) -> Sends:
        return lambda one: f.icmp(ends(one, TARGET, family), kind, code)

    assert passes(made, message(echo, 0)) == {FRIEND, NEAR, PEER, CLOSE}
    assert passes(made, message(odd, 1)) == {FRIEND, NEAR, PEER, CLOSE}
    assert passes(made, message(odd, 0)) == {FRIEND, NEAR, PEER}
    assert passes(made, message(other, 0)) == {FRIEND, NEAR}
    assert passes(made, udp(family, 53)) == {FRIEND}


def _icmp(protocol: int, kind: int, code: int | None = None) -> dict[str, int | None]:
    return {"protocol": protocol, "icmp_type": kind, "icmp_code": code}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stateful", [True, False])
def test_ranges_that_overlap_do_not_hide_each_other(lan, family: int, stateful: bool) -> None:
    """Ends of some cut others into more cells than these have masks."""
    cuts = [
        allow("ingress", alone(CLOSE, family), family, protocol=17, ports=(at, at))
        for at in (*range(1024, 1064, 2), 2000)
    ]
    rules = (
        allow("ingress", PEERS, family, protocol=17, ports=(1000, 1999)),
        allow("ingress", alone(NEAR, family), family, protocol=17, ports=(1030, 3000)),
        allow("ingress", LIST, family, protocol=17, ports=(1040, 2500)),
        allow("ingress", FRIENDS, family, protocol=17, ports=(0, 65535)),
    )
    made = lan(group(SERVER, VPC, *rules, *cuts, stateful=stateful))
    for port, expected in (
        (999, {FRIEND}),
        (1000, {FRIEND, PEER}),
        (1030, {FRIEND, PEER, NEAR, CLOSE}),
        (1039, {FRIEND, PEER, NEAR}),
        (1041, {FRIEND, PEER, NEAR, LISTED}),
        (1999, {FRIEND, PEER, NEAR, LISTED}),
        (2000, {FRIEND, NEAR, LISTED, CLOSE}),
        (2501, {FRIEND, NEAR}),
        (3001, {FRIEND}),
    ):
        assert passes(made, udp(family, port)) == expected, port


def test_a_later_fragment_is_held_against_wide_rules_alone(lan) -> None:
    rules: list[Rule] = [
        allow("ingress", PEERS, protocol=17, ports=(53, 53)),
        allow("ingress", alone(CLOSE, 4), protocol=17, ports=(0, 65535)),
        allow("ingress", FRIENDS, protocol=17),
        allow("ingress", alone(NEAR, 4)),
    ]
    made = lan(group(SERVER, VPC, *rules, stateful=False))

    def later(one: Port) -> bytes:
        whole = f.udp_payload(ends(one, TARGET), (1000, 53), bytes(2000))
        return list(f.fragments(ends(one, TARGET), f.UDP, whole))[1]

    assert passes(made, later) == {FRIEND, NEAR}


def test_what_a_wide_rule_lets_in_is_kept_as_its_group_keeps_it_and_counts_for_it(lan) -> None:
    wide = allow("ingress", FRIENDS)
    narrow = allow("ingress", alone(CLOSE, 4), protocol=6, ports=(80, 80))
    made = lan(group(SERVER, VPC, wide, narrow, keep_established=True))
    there, back = ends(FRIEND, TARGET), ends(TARGET, FRIEND)
    for one in (FRIEND, CLOSE):
        assert made.sends(one, f.tcp(ends(one, TARGET), (1000, 80))) == {2}
    keys = [SERVER * 1000 + number for number in (1, 2)]
    assert [made.wire.packets(cookie(Feature.RULE, key)) for key in keys] == [1, 1]
    assert made.sends(TARGET, f.tcp(back, (80, 1000), f.SYN_ACK, (50, 2))) == {3}
    made.change(group(SERVER, VPC, narrow, keep_established=True))
    assert made.sends(FRIEND, f.tcp(there, (1000, 80), f.ACK, (2, 51))) == {2}
    assert made.sends(FRIEND, f.tcp(there, (1001, 80))) == set()


def test_no_address_counts_but_the_one_that_was_looked_up_to_ask_the_rules(lan) -> None:
    """What is routed comes with its target looked up, which is in the group that is named here."""
    udp53 = {"protocol": 17, "ports": (53, 53)}
    rules = (allow("ingress", alone(CLOSE, 4), **udp53), allow("ingress", group_id(SERVER)))
    other = group(PLAIN, VPC, allow("ingress", alone(NEAR, 4), **udp53))
    routed = guest(9, DATA)
    made = lan(group(SERVER, VPC, *rules), other, routed, guest(2, WEB, group_id(SERVER), other.id))
    assert made.sends(routed, udp(4, 53)(routed)) == set()
    assert passes(made, udp(4, 53)) == {CLOSE, NEAR}
    assert passes(made, udp(4, 54)) == set()
