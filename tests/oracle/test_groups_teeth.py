"""The oracle must notice when the flows of groups and ACLs are wrong."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.oracle.memory import Memory, Remembering
from tests.oracle.oracle import ROUTER_MAC, Oracle, World, eui64, policies, text
from tests.oracle.talks import said
from tests.oracle.test_conversations import Said, error, framed, in_fragments
from tests.oracle.test_groups import resources
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import allow, network
from tests.support.wire import Wire
from vpcctl.flows import fields as f
from vpcctl.flows import tables as t
from vpcctl.flows.actions import Commit, Load
from vpcctl.flows.flow import Flow
from vpcctl.model.port import Port
from vpcctl.model.security_group import SecurityGroup
from vpcctl.pipeline.terms import BASE

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(900)]
HOST, VPC = n.host(1), n.vpc(1)
ACL = n.acl(
    1,
    VPC,
    n.line(10, "ingress", "deny", "10.0.1.0/24", protocol=17, ports=(55, 55)),
    n.line(20, "ingress", "allow", "10.0.1.8/30"),
    n.line(30, "ingress", "allow", "fd00:1::/64"),
    n.line(10, "egress", "deny", "10.0.1.12/32", protocol=17),
    n.line(20, "egress", "allow", "10.0.1.8/30"),
    n.line(30, "egress", "allow", "fd00:1::8/125"),
)
NEAR = n.subnet(1, VPC, "10.0.1.0/24", "fd00:1::/64")
FAR = replace(n.subnet(2, VPC, "10.0.2.0/24", "fd00:2::/64"), acl_id=ACL.id)
TALKS = n.address_group(5, "10.0.1.12/32", "fd00:1::c/128")
AFAR = n.address_group(6, "10.0.2.15/32", "fd00:2::f/128")
_ANY_ICMP = {4: {"protocol": 1}, 6: {"protocol": 58}}
_PING = {4: {"protocol": 1, "icmp_type": 8}, 6: {"protocol": 58, "icmp_type": 128}}


def _both(direction: str, remote: object = None, **what: object) -> list:
    return [allow(direction, remote, family, **what) for family in (4, 6)]  # type: ignore[arg-type]


CLIENTS = n.group(11, VPC, *_both("egress"))
SERVERS = n.group(
    12,
    VPC,
    *_both("ingress", n.group_id(11), protocol=17, ports=(53, 60)),
    *(allow("ingress", n.group_id(11), family, **_PING[family]) for family in (4, 6)),
    *_both("ingress", TALKS, protocol=47),
    allow("ingress", "10.0.1.0/24", 4, protocol=0),
    *(allow("ingress", block, 4, protocol=132, ports=(53, 53)) for block in ("10.0.0.0/16",)),
    *_both("ingress", AFAR, protocol=17),
    allow("ingress", "10.0.1.10/32", 4, protocol=17, ports=(90, 90)),
    allow("ingress", "fd00:1::a/128", 6, protocol=17, ports=(90, 90)),
)
PLAIN = n.group(
    13,
    VPC,
    *_both("ingress", protocol=17, ports=(53, 53)),
    *(allow("ingress", None, family, **_ANY_ICMP[family]) for family in (4, 6)),
    stateful=False,
)
KEEPS = n.group(14, VPC, *_both("ingress", protocol=17, ports=(70, 71)), keep_established=True)


def _port(number: int, home, *groups, **other: object) -> Port:
    which = None if groups == (None,) else tuple(sorted(one.id for one in groups))
    block = f"{home.vni}"
    ips = (f"10.0.{block}.{number}", f"fd00:{block}::{number:x}")
    return n.port(number, home, f"0e:00:00:00:00:{number:02x}", *ips, groups=which, **other)


OUTGOING = n.group(15, VPC, *_both("egress"))
CLIENT, SERVER = _port(10, NEAR, CLIENTS), _port(11, NEAR, SERVERS, KEEPS)
OPEN, STATELESS = _port(12, NEAR, None), _port(13, NEAR, PLAIN)
CLOSED, AWAY = _port(14, NEAR), _port(15, FAR, SERVERS, OUTGOING)
MIXED = _port(16, NEAR, SERVERS, PLAIN)
PORTS = (CLIENT, SERVER, OPEN, STATELESS, CLOSED, AWAY, MIXED)
WORLD = World(
    (HOST,),
    (NEAR, FAR),
    PORTS,
    tuple(n.at(one, HOST, one.key) for one in PORTS),
    (CLIENTS, SERVERS, PLAIN, KEEPS, OUTGOING),
    (TALKS, AFAR),
    (ACL,),
)
BEFORE, REVOKED = replace(KEEPS, keep_established=False), replace(KEEPS, rules=())


def _pair(one: Port, other: Port, family: int) -> tuple[tuple[str, str], tuple[str, str]]:
    at = 0 if family == 4 else 1
    near = one.subnet_id == other.subnet_id
    return (text(one.mac), text(other.mac) if near else ROUTER_MAC), (
        str(one.ips[at]),
        str(other.ips[at]),
    )


TOLD = (
    (CLIENT, SERVER, ("udp 53", "udp 54", "udp 57", "udp 60", "udp 61", "udp 90", "echo")),
    (OPEN, SERVER, ("udp 70", "gre", "zero", "sctp 53")),
    (CLIENT, AWAY, ("udp 53", "udp 55")),
    (AWAY, OPEN, ("udp 53", "sctp 53")),
    (AWAY, SERVER, ("sctp 53", "udp 90", "udp 91")),
    (AWAY, STATELESS, ("udp 53",)),
    (OPEN, AWAY, ("gre",)),
    (OPEN, STATELESS, ("udp 53", "udp 61")),
    (OPEN, MIXED, ("udp 53", "udp 61")),
    *((MIXED, OPEN, (shape,)) for shape in ("udp 53", "echo")),
    (OPEN, MIXED, ("echo", "odd icmp")),
    (CLIENT, MIXED, ("udp 54",)),
    (CLIENT, OPEN, ("sctp 53",)),
    *((one, other, ("udp 53",)) for one, other in ((CLIENT, CLOSED), (CLOSED, OPEN))),
    *((one, other, ("udp 53",)) for one, other in ((OPEN, CLIENT), (OPEN, AWAY))),
)


def _talk(one: Port, other: Port, family: int, shape: str) -> Iterator[Said]:
    """A question, its answer, the errors about both, and the question once more."""
    there, here = _pair(one, other, family), _pair(other, one, family)
    question, answer = said(shape, *there), said(shape, *here, back=True)
    yield Said(other, answer, (framed(answer),))
    yield Said(one, question, (framed(question),))
    yield Said(other, answer, (framed(answer),))
    if shape.startswith(("udp", "echo")):
        yield error(other, *here, question)
    yield Said(one, question, (framed(question),))
    if shape == "udp 53" and other is not STATELESS and AWAY not in (one, other):
        yield Said(one, question, in_fragments(question))


def _on_link() -> Iterator[Said]:
    """From link to link, and to the gateways."""
    eth, _ = _pair(CLIENT, SERVER, 6)
    packet = packets.udp(eth, (eui64(CLIENT.mac), eui64(SERVER.mac)), (40000, 53))
    yield Said(CLIENT, packet, (framed(packet),))
    for family in (4, 6):
        for subnet in (NEAR, FAR):
            gateway = str(subnet.gateway if family == 4 else subnet.ipv6_gateway)
            (mac, _), (own, _) = _pair(AWAY, CLIENT, family)
            packet = said("echo", (mac, ROUTER_MAC), (own, gateway))
            yield Said(AWAY, packet, (framed(packet),))


def script() -> Iterator[Said]:
    """What is said before the change."""
    yield from _on_link()
    for family in (4, 6):  # a question alone: its answer would have the connection kept, too
        question = said("udp 71", *_pair(OPEN, SERVER, family))
        yield Said(OPEN, question, (framed(question),))
    for one, other, shapes in TOLD:
        for shape in shapes:
            for family in (4, 6):
                yield from _talk(one, other, family, shape)
    for source in (CLIENT, CLOSED):
        ip = "224.0.0.251"
        eth = text(source.mac), packets.multicast_mac(ip)
        packet = packets.udp(eth, (str(source.ips[0]), ip))
        yield Said(source, packet, (framed(packet),))
        local = str(source.ips[1])
        for kind in (130, 143):
            eth = text(source.mac), packets.multicast_mac("ff02::1")
            packet = packets.icmp6(kind, eth, (local, "ff02::1"))
            yield Said(source, packet, (framed(packet),))


Steps = list[tuple[Said, Counter[int]]]


def expected(world: World, memory: Memory, steps: Iterator[Said]) -> Steps:
    found = []
    for one in steps:
        judge = Remembering(*policies(world))
        judge.memory, judge.about = memory, one.about
        arrivals = Oracle(world, judge).arrivals(one.source, one.packet)
        found.append((one, Counter(place.ofport for place in arrivals for _ in one.frames)))
    return found


class Fixed:
    """The host and what must come of everything that is said on it."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.flows = wire, wire.flows()
        wire.net.apply([n.put(BEFORE)])
        self._early_flows = wire.flows()
        self._revoked = [one for one in self.flows if one.cookie & 0xFFFF_FFFF in self._rules()]
        memory = Memory()
        # One is open when the group begins to keep what it lets in, another one is opened then.
        self._early = expected(self._with(BEFORE), memory, self._kept("udp 71"))
        self._before = expected(WORLD, memory, script())
        self._after = expected(self._with(REVOKED), memory, self._kept("udp 70", "udp 71"))

    @staticmethod
    def _with(group: SecurityGroup) -> World:
        return replace(WORLD, groups=(CLIENTS, SERVERS, PLAIN, group, OUTGOING))

    @staticmethod
    def _kept(*shapes: str) -> Iterator[Said]:
        for shape in shapes:
            for family in (4, 6):
                yield from _talk(OPEN, SERVER, family, shape)

    @staticmethod
    def _rules() -> set[int]:
        return {rule.key for rule in KEEPS.rules}

    def notices(self, flows: list[Flow]) -> bool:
        """Whether something comes of what is said that should not, or does not that should."""
        self.wire.forget()
        missing, more = set(self.flows) - set(flows), set(flows) - set(self.flows)
        early = [one for one in self._early_flows if one not in missing]
        self.wire.program([*early, *more])
        if self._differs(self._early):
            return True
        self.wire.program(flows)
        if self._differs(self._before):
            return True
        self.wire.program([one for one in flows if one not in self._revoked])
        return self._differs(self._after)

    def _differs(self, steps: Steps) -> bool:
        for one, wanted in steps:
            got = self.wire.send(one.source.key, *one.frames)
            if Counter({port: len(some) for port, some in got.items()}) != wanted:
                return True
        return False


@pytest.fixture(scope="module")
def fixed() -> Iterator[Fixed]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as ovs:
        net = network(*resources(WORLD, (VPC,)))
        yield Fixed(Wire(ovs, net, HOST, "teeth"))


OURS = (
    *(t.SUBNET_OUT, t.SUBNET_IN, t.EGRESS_ACL, t.EGRESS_STATE, t.EGRESS_VERDICT),
    *(t.INGRESS_ACL, t.INGRESS_STATE, t.INGRESS_VERDICT, t.GROUPS, t.SERVICE, t.REMOTE),
)
AFTER = {
    t.SUBNET_OUT: t.EGRESS_ACL,
    t.SUBNET_IN: t.NEIGHBOUR,
    t.EGRESS_ACL: t.ROUTE,
    t.EGRESS_VERDICT: t.ROUTE,
    t.INGRESS_ACL: t.OUTPUT,
    t.INGRESS_VERDICT: t.OUTPUT,
}


def makes_no_difference(flow: Flow) -> bool:
    """Whether a flow does what happens without it too, or is for what a test cannot bring about."""
    if flow.table in (t.EGRESS_ACL, t.INGRESS_ACL):
        # Nothing goes out where it came in; who is not filtered is as if unknown.
        return flow.priority >= 300 or (not flow.actions and flow.goto in (t.ROUTE, t.OUTPUT))
    return flow.table in (t.EGRESS_VERDICT, t.INGRESS_VERDICT) and flow.priority == 260


def test_the_flows_as_compiled_raise_nothing(fixed: Fixed) -> None:
    assert not fixed.notices(fixed.flows)


def test_a_missing_flow_of_a_port_group_or_acl_is_noticed(fixed: Fixed) -> None:
    mine = [one for one in fixed.flows if one.table in OURS and one.goto is not t.DROP]
    unnoticed = [
        str(flow)
        for flow in mine
        if flow.cookie != BASE
        and not makes_no_difference(flow)
        and not fixed.notices([one for one in fixed.flows if one != flow])
    ]
    assert not unnoticed, "\n".join(unnoticed)


def opened(flow: Flow) -> Flow | None:
    """*flow* letting through what it drops."""
    after = AFTER.get(flow.table)
    if flow.goto is not t.DROP or after is None or flow.priority in (250, 300, 310):
        return None  # invalid, or its own: nothing goes out where it came in
    if any(field is f.IP_FRAG for field, _, _ in flow.match):
        return None
    return flow._replace(actions=(), goto=after)


def confused(flow: Flow) -> Flow | None:
    """*flow* asking the rules of the other direction."""
    if flow.table not in (t.EGRESS_STATE, t.INGRESS_STATE) or flow.priority != 220:
        return None
    first, *rest = flow.actions
    assert isinstance(first, Load)
    return flow._replace(actions=(Load(first.bits, first.value ^ 1), *rest))


def forgetful(flow: Flow) -> Flow | None:
    """*flow* letting through what opens a connection, without a trace of it."""
    marks = [one.mark for one in flow.actions if isinstance(one, Commit) and one.mark]
    if not marks or (flow.table is t.EGRESS_VERDICT and marks[0] & f.KEPT_MARK.mask):
        return None  # what is kept has been let in here, not out
    return flow._replace(actions=(), goto=AFTER[flow.table])


@pytest.mark.parametrize("mutate", [opened, confused, forgetful])
def test_a_changed_flow_is_noticed(mutate: Callable[[Flow], Flow | None], fixed: Fixed) -> None:
    tried, unnoticed = 0, []
    for at, flow in enumerate(fixed.flows):
        mutant = mutate(flow)
        if mutant is None:
            continue
        tried += 1
        if not fixed.notices([*fixed.flows[:at], mutant, *fixed.flows[at + 1 :]]):
            unnoticed.append(str(mutant))
    assert tried
    assert not unnoticed, "\n".join(unnoticed)
