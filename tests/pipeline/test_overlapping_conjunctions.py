"""One packet that completes several conjunctions is allowed by any of them, and by them alone.

See docs/security-groups.md, "Remote groups are conjunctions": Open vSwitch takes one of them, and
which one depends on how its classifier is built up.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest

from tests.pipeline.filtering import VPC, WEB, Lan, ends, guest
from tests.support import frames as f
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import address_group, allow, group, group_id, put
from vpcctl.flows import fields
from vpcctl.flows.actions import Conjunction
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.tables import REMOTE
from vpcctl.model.changes import Resource
from vpcctl.model.security_group import Rule, SecurityGroup

pytestmark = pytest.mark.ovs
FRIENDS = group(3, VPC)
SIDES = (
    (address_group(1, "10.0.1.0/24", "fd00:1::/64"), {}),
    (address_group(2, "10.0.0.0/16", "fd00::/16"), {"protocol": 17}),
    (FRIENDS, {"protocol": 17, "ports": (40, 60)}),
    (address_group(4, "10.0.1.8/29", "fd00:1::/112"), {"protocol": 17, "ports": (53, 53)}),
)
"""Remote sides in subtables of their own, named by rules in others: wide ones and narrow ones."""
NOBODY = address_group(9)
AT = range(len(SIDES))
SERVER = 2


def servers(version: int, *named: int, stateful: bool = True) -> SecurityGroup:
    """A group with the rules of some of the sides; a rule is the same whatever others there are."""
    made = group(SERVER, VPC, *_rules(version), stateful=stateful)
    return dataclasses.replace(made, rules=tuple(made.rules[at] for at in named))


def _rules(version: int) -> Iterator[Rule]:
    for side, what in SIDES:
        yield allow("ingress", side, version, **what)


class Overlapping:
    """A client that is in all of the sides, and a server that lets all of them in."""

    def __init__(self, ovs: DummyOvs, version: int, *, stateful: bool) -> None:
        self._ovs, self.version, self.stateful = ovs, version, stateful
        self.client = guest(1, WEB, FRIENDS.id, group_id(4))
        self.server = guest(2, WEB, group_id(SERVER))
        talks = group(4, VPC, allow("egress", None, version))
        sides = [side for side, _ in SIDES]
        mine = servers(version, *AT, stateful=stateful)
        self.lan = Lan(ovs, *sides, NOBODY, talks, mine, self.client, self.server)
        self._source = itertools.count(1000)

    def passes(self) -> bool:
        """Send a datagram of a new connection."""
        ports = next(self._source), 53
        way = ends(self.client, self.server, self.version)
        got = self.lan.sends(self.client, f.udp(way, ports))
        assert got in ({2}, set())
        return bool(got)

    def tell(self) -> None:
        """Give the switch the flows that are new and take away those that are gone."""
        self.lan.wire.program()

    def build(self, *, backwards: bool) -> None:
        """Fill the switch from nothing, in one order or the other."""
        flows = sorted(self.lan.wire.flows(), key=str, reverse=backwards)
        self._ovs.ofctl("del-flows", "br-lan")
        self.lan.wire.program(flows)

    def name(self, *named: int) -> None:
        """Let the server's group have the rules of these sides alone, once it is told."""
        self._put(servers(self.version, *named, stateful=self.stateful))

    def belong(self, *those: int) -> None:
        """Let the client be in these sides alone, once it is told."""
        sides = [
            side if at in those else dataclasses.replace(side, cidrs=())
            for at, (side, _) in enumerate(SIDES)
            if side is not FRIENDS
        ]
        at = next(at for at, (side, _) in enumerate(SIDES) if side is FRIENDS)
        more = (FRIENDS.id,) if at in those else ()
        self.client = guest(1, WEB, *sorted((*more, group_id(4))))
        self._put(*sides, self.client)

    def _put(self, *resources: Resource) -> None:
        self.lan.wire.net.apply([put(one) for one in resources])


@pytest.fixture(params=[(4, True), (6, False)], ids=["IPv4, stateful", "IPv6, stateless"])
def net(ovs: DummyOvs, request: pytest.FixtureRequest) -> Iterator[Overlapping]:
    version, stateful = request.param
    made = Overlapping(ovs, version, stateful=stateful)
    yield made
    made.lan.close()


def subsets() -> Iterator[tuple[int, ...]]:
    """All of the sides, all but one, one, and none."""
    for count in (0, 1, len(SIDES) - 1, len(SIDES)):
        yield from itertools.combinations(AT, count)


def conjunctive(flows: list[Flow]) -> list[Flow]:
    return [one for one in flows if one.table is REMOTE and one.priority == 100]


def test_the_sides_and_the_rules_are_in_subtables_of_their_own(net: Overlapping) -> None:
    """So that the others test what they are to test."""
    found = {1: set(), 2: set()}
    for flow in conjunctive(net.lan.wire.flows()):
        for action in flow.actions:
            if isinstance(action, Conjunction):
                masks = tuple((field, mask) for field, _, mask in flow.match)
                found[action.dimension].add(masks)
    assert len(found[1]) >= len(SIDES)
    assert len(found[2]) >= 3


def test_a_second_dimension_matches_what_its_conj_id_flows_match(net: Overlapping) -> None:
    flows = conjunctive(net.lan.wire.flows())
    done = {
        (value, tuple(term for term in flow.match if term[0] is not fields.CONJ_ID)): flow.actions
        for flow in flows
        for field, value, _ in flow.match
        if field is fields.CONJ_ID
    }
    seconds = [
        (action.id, flow.match)
        for flow in flows
        for action in flow.actions
        if isinstance(action, Conjunction) and action.dimension == 2
    ]
    assert {(number, tuple(match)) for number, match in seconds} == done.keys()
    assert len(set(done.values())) == 1, "all have the same effect"


@pytest.mark.parametrize("backwards", [False, True])
def test_each_side_that_goes_leaves_the_others(net: Overlapping, backwards: bool) -> None:
    for named in subsets():
        net.name(*named)
        net.build(backwards=backwards)
        assert net.passes() == bool(named), named
    net.name(*AT)
    for those in subsets():
        net.belong(*those)
        net.build(backwards=backwards)
        assert net.passes() == bool(those), those


@pytest.mark.parametrize("order", [AT, AT[::-1]])
def test_sides_come_and_go_one_by_one(net: Overlapping, order: tuple[int, ...]) -> None:
    """Flows are added to what the switch has, so its classifier is another one each time."""
    left = list(order)
    for at in order:
        assert net.passes()
        left.remove(at)
        net.name(*sorted(left))
        net.tell()
    assert not net.passes()
    for at in order:
        left.append(at)
        net.name(*sorted(left))
        net.tell()
        assert net.passes()
    steps = [(*(one for one in AT if one != at),) for at in order] + [(at,) for at in order]
    for those in (*steps, ()):
        net.belong(*those)
        net.tell()
        assert net.passes() == bool(those), those


def test_one_rule_counts_each_packet(net: Overlapping) -> None:
    net.build(backwards=False)
    for _ in range(5):
        assert net.passes()
    rules = servers(net.version, *AT, stateful=net.stateful).rules
    counted = [net.lan.wire.packets(cookie(Feature.RULE, rule.key)) for rule in rules]
    assert sum(counted) == 5, counted
