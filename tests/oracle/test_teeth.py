"""The oracle must notice when flows are wrong, or its silence says nothing."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracle.oracle import Arrival, Oracle, Packet
from tests.oracle.talks import ON_LINK
from tests.oracle.test_oracle import seen
from tests.oracle.worlds import misrouted, questions
from tests.support.dummy_ovs import DummyOvs
from tests.support.showcase import DATA_1, HOST_1, OTHER, OTHER_1, WEB_1, WORLD, showcase
from tests.support.tracing import Fabric
from vpcctl.flows import fields as f
from vpcctl.flows import tables as t
from vpcctl.flows.actions import OFPP_IN_PORT, DecTtl, Output, SetField
from vpcctl.flows.flow import Flow
from vpcctl.model.host import GUEST_SERVICE_OFPORT
from vpcctl.model.names import NAMES_OFPORT
from vpcctl.pipeline.guest_services import Question as GuestQuestion

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
Question = tuple[str, int, Packet, Counter[Arrival]]


@pytest.fixture(scope="module")
def fabric() -> Iterator[Fabric]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as ovs:
        yield Fabric(ovs, showcase(), "teeth")


@pytest.fixture(scope="module")
def answered() -> list[Question]:
    oracle = Oracle(WORLD)
    places = {one.port_id: one for one in WORLD.locations}
    return [
        (places[source.id].host_id, places[source.id].ofport, packet, Counter(arrivals))
        for source, packet in questions(WORLD)
        for arrivals in (oracle.arrivals(source, packet),)
    ]


_ALONE = ((f.VNI, OTHER.vni, None), (f.LOOKUP_IPV4, int(OTHER_1.ips[0]), None))
"""Nobody on the first host asks for the one port of its VPC there."""


def notices(fabric: Fabric, answered: list[Question]) -> bool:
    """Whether one of the questions is answered differently by the flows that are there now.

    The one that is goes to the front: what has noticed one thing is likely to notice the next.
    """
    for at, (host_id, ofport, packet, expected) in enumerate(answered):
        try:
            same = seen(fabric.inject(host_id, ofport, packet)) == expected
        except AssertionError:
            same = False
        if not same:
            answered.insert(0, answered.pop(at))
            return True
    return False


def matters(flow: Flow) -> bool:
    """Whether a flow decides where packets go, not only how their loss is counted."""
    if flow.table is t.DROP or (flow.goto is t.DROP and flow.table is not t.ARP_ND):
        return False
    if flow.goto is None and not flow.actions:
        return False
    if flow.table is t.FLOOD and _is_local(flow):
        return False
    if f.RELAYED in _flags(flow) or _asked_by_nobody(flow):
        return False
    if any((f.IN_PORT, one, None) in flow.match for one in (GUEST_SERVICE_OFPORT, NAMES_OFPORT)):
        return False  # no guest sends from there
    if flow.table is t.GUEST_ADDRESS and flow.goto is t.OUTPUT:  # nor gets answers
        return False
    if flow.table is t.NEIGHBOUR and set(_ALONE) <= set(flow.match):
        return False
    field_names = {field.name for field, _, _ in flow.match}
    link_local = any(
        field.name in ("ipv6_src", "nd_target") and value >> 112 == 0xFE80
        for field, value, _ in flow.match
    )
    return not link_local and "vlan_vid" not in field_names


def _flags(flow: Flow) -> set[f.Bits]:
    """The flags that a flow wants to be set."""
    wanted = next((value for field, value, _ in flow.match if field is f.FLAGS), 0)
    return {bits for bits in (f.FROM_TUNNEL, f.RELAYED) if wanted & bits.mask}


def _asked_by_nobody(flow: Flow) -> bool:
    """Whether a flow is about what no guest of the world asks.

    That is an address of a port that is alone in its VPC, as only it could ask, and what a port
    solicits in a subnet without IPv6.
    """
    if flow.table is t.GUEST_SERVICES:
        return _solicits_in_vain(flow)
    if flow.table is not t.NEIGHBOUR:
        return False
    vni = next((value for field, value, _ in flow.match if field is f.VNI), None)
    home = next((one for one in WORLD.subnets if one.vni == vni), None)
    if home is None:
        return False
    vpc = {one.id for one in WORLD.subnets if one.vpc_id == home.vpc_id}
    return sum(port.subnet_id in vpc for port in WORLD.ports) < 2


def _solicits_in_vain(flow: Flow) -> bool:
    values = {field: value for field, value, _ in flow.match}
    if values.get(f.QUESTION) != GuestQuestion.NEIGHBOUR:
        return False
    homes = {port.subnet_id for port in WORLD.ports if port.key == values.get(f.SOURCE_PORT)}
    return all(one.ipv6_cidr is None for one in WORLD.subnets if one.id in homes)


def deletions(flows: list[Flow]) -> Iterator[tuple[str, list[Flow]]]:
    for at, flow in enumerate(flows):
        if not matters(flow) or at % 3:
            continue
        if flow.table in (
            t.CLASSIFY,
            t.GUEST_SERVICES,
            t.GUEST_ADDRESS,
            t.NEIGHBOUR,
            t.SWITCH,
            t.OUTPUT,
            t.ROUTE,
            t.FLOOD,
            t.RESPOND,
        ):
            yield f"without {flow}", [*flows[:at], *flows[at + 1 :]]


def with_action(flow: Flow, wanted: type, change: object) -> Flow | None:
    """*flow* with the first action of a kind changed, or None when it has none such."""
    for at, action in enumerate(flow.actions):
        if isinstance(action, wanted) and (changed := change(action)) is not None:  # type: ignore[operator]
            actions = (*flow.actions[:at], *changed, *flow.actions[at + 1 :])
            return flow._replace(actions=actions)
    return None


def other_value(field: f.Field):
    return lambda one: (
        (SetField(field, one.value + 1),) if one.field is field and one.value else None
    )


MUTATIONS = {
    "another interface": (
        t.OUTPUT,
        Output,
        lambda one: (Output(11 if one.port != 11 else 12),) if one.port > 1 else None,
    ),
    "another VNI after routing": (t.ROUTE, SetField, other_value(f.VNI)),
    "another VNI at the port": (t.CLASSIFY, SetField, other_value(f.VNI)),
    "another VPC at the port": (t.CLASSIFY, SetField, other_value(f.VPC)),
    "another VTEP": (t.SWITCH, SetField, other_value(f.TUN_DST)),
    "another port": (t.SWITCH, SetField, other_value(f.DEST_PORT)),
    "another MAC": (t.NEIGHBOUR, SetField, other_value(f.FOUND_MAC)),
    "a TTL left as it was": (t.ROUTE, DecTtl, lambda _: ()),
    "another copy": (t.FLOOD, SetField, other_value(f.DEST_PORT)),
    "an answer to nobody": (
        t.RESPOND,
        Output,
        lambda one: (Output(12),) if one.port == OFPP_IN_PORT else None,
    ),
}

EQUIVALENT = {"another VTEP": True, "another port": False}
"""Mutations that change nothing for a destination that is local (True), or that is not (False)."""


def test_the_flows_as_compiled_raise_nothing(fabric: Fabric, answered: list[Question]) -> None:
    fabric.program()
    assert not notices(fabric, answered)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_action_is_noticed(name: str, fabric: Fabric, answered: list[Question]) -> None:
    table, wanted, change = MUTATIONS[name]
    flows = fabric.flows(HOST_1.id)
    tried = 0
    for at, flow in enumerate(flows):
        mutant = with_action(flow, wanted, change) if flow.table is table else None
        if mutant is None or f.RELAYED in _flags(flow):
            continue
        if name in EQUIVALENT and _is_local(flow) is EQUIVALENT[name]:
            continue
        tried += 1
        fabric.program({HOST_1.id: [*flows[:at], mutant, *flows[at + 1 :]]})
        assert notices(fabric, answered), f"{name}: {mutant}"
    fabric.program()
    assert tried


def _is_local(flow: Flow) -> bool:
    """Whether the VTEP that a flow writes is the host's own, which nothing is sent to."""
    own = int(HOST_1.vtep or 0)
    return any(isinstance(one, SetField) and one.value == own for one in flow.actions)


def test_a_missing_flow_is_noticed(fabric: Fabric, answered: list[Question]) -> None:
    unnoticed = []
    for name, flows in deletions(fabric.flows(HOST_1.id)):
        fabric.program({HOST_1.id: flows})
        if not notices(fabric, answered):
            unnoticed.append(name)
    fabric.program()
    assert not unnoticed, "\n".join(unnoticed)


def test_a_router_that_carries_what_stays_on_its_link_is_noticed(fabric: Fabric) -> None:
    flows, oracle = fabric.flows(HOST_1.id), Oracle(WORLD)
    place = {one.port_id: one.ofport for one in WORLD.locations}[WEB_1.id]
    for nth, kind in enumerate(ON_LINK):
        packet = misrouted(WEB_1, str(WEB_1.ips[1]), str(DATA_1.ips[1]), nth)
        asked = [(HOST_1.id, place, packet, Counter(oracle.arrivals(WEB_1, packet)))]
        without = [one for one in flows if not _stops(one, kind)]
        fabric.program({HOST_1.id: without})
        assert notices(fabric, asked), kind
        fabric.program()
        assert not notices(fabric, asked), kind


def _stops(flow: Flow, kind: int) -> bool:
    """Whether a flow drops a type of ICMPv6: on its way to a router, or said by a guest at all."""
    own = flow.table in (t.ROUTE, t.SPOOF_GUARD, t.ND_GUARD)
    return own and flow.goto is t.DROP and (f.ICMP6_TYPE, kind, None) in flow.match


def test_a_guard_that_lets_everything_through_is_noticed(
    fabric: Fabric, answered: list[Question]
) -> None:
    flows = fabric.flows(HOST_1.id)
    for at, flow in enumerate(flows):
        if flow.table in (t.SPOOF_GUARD, t.ND_GUARD) and flow.goto is t.DROP:
            opened = flow._replace(actions=(), goto=t.ARP_ND)
            if flow.priority not in (10, 50):
                continue
            fabric.program({HOST_1.id: [*flows[:at], opened, *flows[at + 1 :]]})
            assert notices(fabric, answered), opened
    fabric.program()
