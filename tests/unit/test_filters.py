"""What changes of groups cost, what comes first, and what conjunctions must keep to."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.universe import changes, full_start
from tests.support.networks import (
    acl,
    address_group,
    allow,
    at,
    batch,
    gone,
    group,
    group_id,
    host,
    line,
    network,
    pair,
    port,
    put,
    subnet,
    vpc,
)
from vpcctl.compile import compile_host, plan_changes
from vpcctl.flows import fields as f
from vpcctl.flows import tables as t
from vpcctl.flows.actions import Commit, Conjunction, Move, Resubmit, SetField
from vpcctl.flows.contract import MAX_FLOW_MOD, check, encoded_length
from vpcctl.flows.cookie import Feature, cookie, split
from vpcctl.flows.flow import Flow
from vpcctl.model.network import Network
from vpcctl.pipeline import service
from vpcctl.pipeline.pieces import (
    AclPiece,
    EdgePiece,
    GroupPiece,
    MemberPiece,
    OnLinkMemberPiece,
    SubnetPiece,
)

HOSTS = [host(n) for n in (1, 2)]
VPC = vpc(1)
WEB = subnet(1, VPC, "10.0.1.0/24", "fd00:1::/64")
SELF = [allow("ingress", group_id(1), one) for one in (4, 6)]
OUT = [allow("egress", None, one) for one in (4, 6)]
DEFAULT = group(1, VPC, *SELF, *OUT)
SSH = allow("ingress", protocol=6, ports=(22, 22))


def guest(number: int, *groups: str, **other: object):
    mac, ips = f"0e:00:00:00:00:{number:02x}", (f"10.0.1.{10 + number}", f"fd00:1::{10 + number}")
    return port(number, WEB, mac, *ips, groups=groups, **other)


def start(*resources: object, members: int = 3) -> Network:
    guests = [guest(n, DEFAULT.id) for n in range(1, members + 1)]
    places = [at(one, HOSTS[n % 2], 10 + n) for n, one in enumerate(guests)]
    return network(*HOSTS, VPC, DEFAULT, WEB, *guests, *places, *resources)  # type: ignore[arg-type]


def kinds(pieces) -> set[type]:
    return {type(piece) for piece in pieces}


def written(transition) -> list[Flow]:
    return [flow for one in transition.hosts.values() for part in one.written for flow in part]


# --- costs ----------------------------------------------------------------------------------------


def test_a_rule_costs_its_own_group_only() -> None:
    net = start(members=20)
    more = group(1, VPC, *SELF, *OUT, SSH)
    transition = plan_changes(net, batch(put(more)))
    assert transition.touched == (GroupPiece(DEFAULT.id),)
    assert len(written(transition)) == len(HOSTS)
    transition = plan_changes(net, batch(put(DEFAULT)))
    assert transition.touched == (GroupPiece(DEFAULT.id),)
    assert not written(transition)


def test_a_second_rule_that_names_a_group_leaves_its_members_alone() -> None:
    net = start(group(2, VPC, allow("ingress", DEFAULT)))
    more = group(2, VPC, allow("ingress", DEFAULT), allow("egress", DEFAULT, protocol=6))
    assert plan_changes(net, batch(put(more))).touched == (GroupPiece(more.id),)
    other = group(3, VPC, allow("egress", DEFAULT))
    assert plan_changes(net, batch(put(other))).touched == (GroupPiece(other.id),)


def test_the_first_rule_that_names_a_group_makes_its_members_known_and_the_last_forgets() -> None:
    net = start(group(2, VPC), guest(9, group_id(2)))
    naming = group(3, VPC, allow("ingress", group_id(2)))
    transition = plan_changes(net, batch(put(naming)))
    assert kinds(transition.touched) == {GroupPiece, MemberPiece}
    made = [flow for flow in written(transition) if split(flow.cookie).feature == Feature.MEMBER]
    assert len(made) == len(HOSTS)
    gone_again = plan_changes(net, batch(put(group(3, VPC))))
    dropped = [flow for one in gone_again.hosts.values() for some in one.removed for flow in some]
    assert set(made) <= set(dropped)


def test_a_member_that_joins_or_leaves_costs_one_flow_an_address() -> None:
    net = start(group(2, VPC, allow("ingress", DEFAULT, 6), allow("egress", DEFAULT)), members=30)
    late = guest(40, DEFAULT.id)
    transition = plan_changes(net, batch(put(late)))
    addresses = [flow for flow in written(transition) if flow.table is t.REMOTE]
    assert len(addresses) == len(HOSTS) * 3  # IPv4, IPv6 and link-local
    assert {split(flow.cookie).feature for flow in written(transition)} == {Feature.MEMBER}
    transition = plan_changes(net, batch(gone(late)))
    removed = [flow for one in transition.hosts.values() for some in one.removed for flow in some]
    assert sorted(removed, key=hash) == sorted(addresses, key=hash)


def test_a_member_that_moves_costs_no_flow_of_an_address() -> None:
    net = start()
    transition = plan_changes(net, batch(put(at(guest(1, DEFAULT.id), HOSTS[1], 77))))
    assert not kinds(transition.touched) & {MemberPiece, OnLinkMemberPiece, GroupPiece}


def test_a_group_that_opens_everything_touches_its_ports_own_filters() -> None:
    net = start(group(1, VPC, *SELF, *OUT, stateful=False))
    everything = [*SELF, *OUT, *(allow("ingress", None, one) for one in (4, 6))]
    transition = plan_changes(net, batch(put(group(1, VPC, *everything, stateful=False))))
    assert EdgePiece in kinds(transition.touched)
    filters = [
        flow
        for one in HOSTS
        for some in compile_host(net, one.id)
        for flow in some
        if flow.table in (t.EGRESS_ACL, t.INGRESS_ACL)
    ]
    assert filters
    assert not [flow for flow in filters if Resubmit(t.GROUPS) in flow.actions]


def test_a_block_of_an_address_group_costs_one_flow() -> None:
    named = address_group(1, "198.51.100.0/24", "203.0.113.0/24")
    net = start(named, group(2, VPC, allow("ingress", named), allow("egress", named)))
    more = address_group(1, "198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24")
    transition = plan_changes(net, batch(put(more)))
    assert [type(piece) for piece in transition.touched] == [MemberPiece]
    assert len(written(transition)) == len(HOSTS)


def test_an_acls_rules_cost_nothing_for_its_subnets() -> None:
    net = start(acl(1, VPC), dataclasses.replace(WEB, acl_id=acl(1, VPC).id))
    more = acl(1, VPC, line(10, "ingress", "allow", "10.0.0.0/8"))
    assert plan_changes(net, batch(put(more))).touched == (AclPiece(more.id),)
    transition = plan_changes(net, batch(gone(more)))
    assert SubnetPiece(WEB.id) in transition.touched


def mixed(count: int, **other: object):
    """A group with *count* rules, as many wide as narrow ones, of every kind of remote side."""
    rules = []
    for n in range(count):
        about: dict = {"protocol": (None, 6)[n // 2 % 2]}
        if n % 2:
            about = {"protocol": 6, "ports": (n, n + n // 200 % 2)}
        direction, family = (("ingress", 4), ("egress", 4), ("ingress", 6))[n // 4 % 3]
        block = f"10.{n // 256}.{n % 256}.0/24" if family == 4 else f"fd00:{n}::/64"
        everybody = None if n % 2 else block  # for much it would leave nothing to the others
        remote = (block, group_id(1000 + n), f"ag-{1000 + n:017x}", everybody)[n // 12 % 4]
        rules.append(allow(direction, remote, family, **about))
    return group(2, VPC, *rules, **other)


def named_by(rules) -> list[object]:
    """All groups and address groups that a mixed group may name."""
    every = range(1000, 1000 + len(rules) + 1)
    return [*(group(n, VPC) for n in every), *(address_group(n, "10.0.0.0/8") for n in every)]


@pytest.mark.parametrize("count", [200, 1000])
@pytest.mark.parametrize("other", [{}, {"keep_established": True}, {"stateful": False}])
def test_flows_grow_as_rules_do_however_these_overlap(count: int, other: dict) -> None:
    some = mixed(count, **other)
    net = network(HOSTS[0], VPC, WEB, some, *named_by(some.rules), guest(1, some.id))
    flows = list(service.group(net, some))
    assert len(flows) <= 3 * count + 20
    for flow in flows:
        check(flow)


@pytest.mark.parametrize("remote", ["10.99.0.0/16", group_id(1200), f"ag-{1200:017x}"])
@pytest.mark.parametrize("protocol", [None, 6])
def test_one_more_wide_rule_writes_its_own_flows_only(remote: str, protocol: int | None) -> None:
    some, one = mixed(200), guest(1, group_id(2))
    net = network(*HOSTS, VPC, WEB, some, *named_by(some.rules), one, at(one, HOSTS[0], 10))
    wide = allow("ingress", remote, protocol=protocol)
    transition = plan_changes(net, batch(put(group(2, VPC, *some.rules, wide))))
    assert 1 <= len([one for one in written(transition) if one.table is not t.GROUPS]) <= 6
    removed = [flow for one in transition.hosts.values() for some in one.removed for flow in some]
    assert not removed
    back = plan_changes(net, batch(put(some)))
    assert len(written(back)) <= 4


def test_stateless_rules_are_asked_about_connections_while_a_port_has_both_kinds_only() -> None:
    plain, net = group(2, VPC, SSH, stateful=False), start()
    net.apply([put(plain)])

    def asked() -> int:
        return len(list(service.group(net, plain)))

    def touched(*changed: object) -> bool:
        transition = plan_changes(net, batch(*map(put, changed)))
        net.apply([put(one) for one in changed])
        return GroupPiece(plain.id) in transition.touched

    alone = asked()
    assert not touched(guest(40, plain.id))
    assert touched(guest(41, plain.id, DEFAULT.id))
    assert asked() == 2 * alone
    net.apply([put(guest(42, plain.id, DEFAULT.id))])
    assert not touched(guest(43, plain.id, DEFAULT.id))
    assert touched(group(1, VPC, *SELF, *OUT, stateful=False))
    assert asked() == alone


# --- arriving and leaving -------------------------------------------------------------------------


def test_an_arriving_ports_groups_and_acl_come_first_and_then_whom_they_name() -> None:
    rules = acl(1, VPC, line(10, "ingress", "allow", "10.0.0.0/8"))
    others = group(2, VPC, SSH)
    net = start(rules, others, dataclasses.replace(WEB, acl_id=rules.id), host(3))
    late = guest(50, DEFAULT.id)
    transition = plan_changes(net, batch(put(late), put(at(late, host(3), 12))))
    change = transition.hosts[host(3).id]
    early = [split(flow.cookie) for part in change.written for flow in part]
    assert (Feature.ACL, rules.key) in early
    assert any(one.feature == Feature.RULE for one in early)
    assert (Feature.GROUP, DEFAULT.key) in early
    assert (Feature.EDGE, late.key) in early
    assert (Feature.RULE, others.rules[0].key) not in early
    program = [split(part[0].cookie).feature for part in change.program()]
    members = [n for n, feature in enumerate(program) if feature == Feature.MEMBER]
    assert members == list(range(len(members)))
    assert members


def test_a_vpc_that_leaves_takes_its_groups_and_acls_along() -> None:
    rules = acl(1, VPC, line(10, "ingress", "allow", "10.0.0.0/8"))
    net = start(rules, members=2)
    transition = plan_changes(net, batch(gone(at(guest(1, DEFAULT.id), HOSTS[0], 10))))
    departed = set(transition.hosts[HOSTS[0].id].departed)
    assert {
        cookie(Feature.MEMBER, VPC.key),
        cookie(Feature.GROUP, DEFAULT.key),
        cookie(Feature.ACL, rules.key),
        *(cookie(Feature.RULE, rule.key) for rule in DEFAULT.rules),
    } <= departed


# --- conjunctions ---------------------------------------------------------------------------------


def overlap(one: Flow, other: Flow) -> bool:
    """Whether some packet meets both matches."""
    terms = {field: (value, mask) for field, value, mask in one.match}
    for field, value, mask in other.match:
        if field in terms:
            had, bits = terms[field]
            both = (field.ones if mask is None else mask) & (field.ones if bits is None else bits)
            if (value ^ had) & both:
                return False
    return True


@settings(max_examples=60, deadline=None, derandomize=True)
@given(full_start(), st.lists(changes, max_size=12))
def test_conjunctions_are_sound_whatever_the_network_is(start: list, later: list) -> None:
    net = Network()
    net.apply([*start, *later])
    for host_id in net.hosts:
        flows = [flow for some in compile_host(net, host_id) for flow in some]
        remote = [flow for flow in flows if flow.table is t.REMOTE]
        parts = [flow for flow in remote if isinstance(flow.actions[0], Conjunction)]
        done = {flow.match[0][1] for flow in remote if flow.match[0][0] is f.CONJ_ID}
        assert {one.id for flow in parts for one in flow.actions if one.dimension == 2} == done
        assert {flow.priority for flow in parts} <= {100}
        for one, other in itertools.combinations(parts, 2):
            shared = set(one.actions) & set(other.actions)
            assert not (shared and overlap(one, other)), "one dimension of one id overlaps"
        answers = {
            (flow.match[1:], flow.actions) for flow in remote if flow.match[0][0] is f.CONJ_ID
        }
        assert len(answers) == len({scope for scope, _ in answers}), "two ids, two effects"


@pytest.mark.parametrize("stateful", [True, False])
def test_who_is_in_a_group_is_asked_with_an_address_that_was_copied_for_it(stateful: bool) -> None:
    some, bit = mixed(200, stateful=stateful), f.BLOCKS_ONLY.mask
    net = network(HOSTS[0], VPC, WEB, some, *named_by(some.rules))
    for flow in service.group(net, some):
        copies = any(isinstance(action, Move) for action in flow.actions)
        asks = [one for one in flow.actions if isinstance(one, SetField) and one.field is f.CELL]
        assert all(copies != bool(one.value & bit) for one in asks)
        told = {field: (value, mask) for field, value, mask in flow.match}
        if isinstance(flow.actions[0], Conjunction) or f.CONJ_ID in told:
            value, mask = told[f.CELL]
            assert not value & bit
            assert mask is None or mask & bit


def test_ids_are_the_remote_sides_own_and_survive_everything_else() -> None:
    one, other = group(2, VPC, allow("ingress", DEFAULT)), group(3, VPC, allow("ingress", DEFAULT))
    first = {flow for some in compile_host(start(one), HOSTS[0].id) for flow in some}
    both = {flow for some in compile_host(start(other, one), HOSTS[0].id) for flow in some}
    assert first <= both
    ids = {flow.match[0][1] for flow in both if flow.match and flow.match[0][0] is f.CONJ_ID}
    assert ids == {DEFAULT.key}


def test_an_address_of_very_many_groups_still_fits_into_a_message() -> None:
    groups = [group(n, VPC) for n in range(10, 5010)]
    naming = group(1, VPC, *(allow("ingress", one) for one in groups))
    holders = [
        guest(
            n,
            *(one.id for one in groups[n * 500 : n * 500 + 500]),
            allowed_pairs=(pair("10.0.1.77/32"),),
        )
        for n in range(10)
    ]
    net = network(HOSTS[0], VPC, naming, *groups, WEB, *holders, at(holders[1], HOSTS[0], 9))
    remote = [
        flow for some in compile_host(net, HOSTS[0].id) for flow in some if flow.table is t.REMOTE
    ]
    longest = max(map(encoded_length, remote))
    assert 60_000 < longest <= MAX_FLOW_MOD
    for flow in remote:
        check(flow)


# --- conntrack ------------------------------------------------------------------------------------


def first_match(flows: list[Flow], table: t.Table, packet: dict[f.Field, int]) -> Flow:
    mine = sorted((one for one in flows if one.table is table), key=lambda one: -one.priority)
    return next(
        one
        for one in mine
        if all(
            packet.get(field, 0) & (field.ones if mask is None else mask) == value
            for field, value, mask in one.match
        )
    )


@pytest.mark.parametrize("table", [t.EGRESS_VERDICT, t.INGRESS_VERDICT])
def test_only_a_ports_own_fragments_leave_conntrack_with_its_packets(table: t.Table) -> None:
    flows = [flow for some in compile_host(start(), HOSTS[0].id) for flow in some]
    zone, known = 10, f.CT_TRK | f.CT_EST
    held = {f.JUDGED: zone | f.HELD.mask | f.ALLOWED.mask, f.ETH_TYPE: 0x0800}
    for fragment, ct_zone, state, passes in (
        (1, zone, known, True),
        (3, zone, known, True),
        (3, zone + 1, known, False),
        (0, zone, known, True),
        (3, zone, f.CT_TRK | f.CT_INV, False),
    ):
        packet = {**held, f.IP_FRAG: fragment, f.CT_ZONE: ct_zone, f.CT_STATE: state}
        assert (first_match(flows, table, packet).goto is not t.DROP) == passes


def test_what_is_committed_comes_back_to_its_table() -> None:
    flows = [flow for some in compile_host(start(), HOSTS[0].id) for flow in some]
    commits = [(flow, one) for flow in flows for one in flow.actions if isinstance(one, Commit)]
    assert commits
    assert all(one.table is flow.table for flow, one in commits)
