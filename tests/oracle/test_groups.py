"""Random groups, ACLs and connections: the flows must let through what the oracle lets through."""

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.oracle.oracle import Oracle, World
from tests.oracle.secured import changed, secured
from tests.oracle.talks import Question, spoken, spoken_besides
from tests.oracle.test_oracle import seen
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import gone, put
from tests.support.tracing import Entering, Fabric
from vpcctl.compile import Memory, plan_changes
from vpcctl.flows.flow import Flow, FlowKey
from vpcctl.model.changes import Change, ChangeBatch, Resource
from vpcctl.model.network import Network
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs]
WORLDS = int(os.environ.get("TEST_WORLDS", "1"))
"""How many times as many random worlds as usual; ``make test-worlds`` asks for a night's worth."""
_prefixes = (f"g{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


def resources(world: World, vpcs: tuple[Vpc, ...]) -> list[Resource]:
    """All that a world has, what others refer to first."""
    policies = (*world.address_groups, *world.groups, *world.acls)
    return [*world.hosts, *vpcs, *policies, *world.subnets, *world.ports, *world.locations]


def step(old: list[Resource], new: list[Resource]) -> tuple[Change, ...]:
    """The changes that lead from one world's resources to another's."""
    before = {(put(one).kind, put(one).id): one for one in old}
    after = {(put(one).kind, put(one).id): one for one in new}
    left = [gone(one) for key, one in before.items() if key not in after]
    return (*left, *(put(one) for key, one in after.items() if before.get(key) != one))


@dataclass
class Programs:
    """The hosts' programs, kept up by difference as the southbound does."""

    net: Network = field(default_factory=Network)
    memory: Memory = field(default_factory=Memory)
    flows: dict[str, dict[FlowKey, Flow]] = field(default_factory=dict)
    revision: int = 0

    def take(self, changes: tuple[Change, ...]) -> None:
        self.revision += 1
        batch = ChangeBatch(self.revision, changes)
        transition = plan_changes(self.net, batch, memory=self.memory)
        for host_id, change in transition.hosts.items():
            program = self.flows.setdefault(host_id, {})
            departed = set(change.departed)
            for key in [key for key, flow in program.items() if flow.cookie in departed]:
                del program[key]
            for flows in change.removed:
                for flow in flows:
                    program.pop(flow.key, None)
            for flows in (*change.written, *change.program()):
                program.update((flow.key, flow) for flow in flows)


def questions(world: World, random: Random, each: int) -> Iterator[Question]:
    """Yield all that ports may say to each other, and *each* of much else.

    Of the latter what filters may stop is asked, and some that goes nowhere anyway.
    """
    yield from spoken(world)
    unfiltered = replace(
        world,
        ports=tuple(replace(one, groups=None) for one in world.ports),
        subnets=tuple(replace(one, acl_id=None) for one in world.subnets),
    )
    anyway = Oracle(unfiltered)
    for asked in spoken_besides(world, random, each):
        source = replace(asked.source, groups=None)
        arrivals = anyway.arrivals(source, dict(asked.packet), asked.stage)
        if arrivals or asked.is_misrouted or random.random() < 0.05:
            yield asked


def differences(fabric: Fabric, world: World, asked: Sequence[Question]) -> Iterator[str]:
    """Yield how flows and oracle differ about packets."""
    oracle, places = Oracle(world), {one.port_id: one for one in world.locations}
    entering = [
        Entering(place.host_id, place.ofport, dict(one.packet), one.tracked)
        for one in asked
        for place in (places[one.source.id],)
    ]
    for one, came, delivered in zip(asked, entering, fabric.inject_all(entering), strict=True):
        expected = Counter(oracle.arrivals(one.source, came.packet, one.stage))
        actual = seen(delivered)
        if expected == actual:
            continue
        lines = [f"{one.source}", f"sends {came.packet}", f"as {one.stage}"]
        lines += [f"missing {expected - actual}", f"unexpected {actual - expected}"]
        lines += [f"{one}" for one in resources(world, ())]
        whole = {"in_port": str(came.ofport), **came.packet}
        yield "\n".join((*lines, fabric.explain(came.host_id, whole, one.tracked)))


def check(ovs: DummyOvs, data: st.DataObject, *, each: int, changes: int) -> None:
    """Compare flows and oracle about a random world, and again after each of some changes."""
    world, vpcs = data.draw(secured())
    random = Random(data.draw(st.integers(0, 1 << 32)))
    programs = Programs()
    programs.take(tuple(put(one) for one in resources(world, vpcs)))
    ofports = range(101, 101 + 7)
    fabric = Fabric(ovs, programs.net, next(_prefixes), ofports)
    try:
        for nth in range(changes + 1):
            if nth:
                new = data.draw(changed(world, vpcs))
                programs.take(step(resources(world, vpcs), resources(new, vpcs)))
                world = new
            fabric.program({key: list(flows.values()) for key, flows in programs.flows.items()})
            difference = next(differences(fabric, world, [*questions(world, random, each)]), None)
            assert difference is None, difference
    finally:
        fabric.close()


def varied(examples: int) -> settings:
    """Random worlds, the same in every run; see ``WORLDS`` for more of them."""
    return settings(
        max_examples=examples * WORLDS,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(600 * WORLDS)
@varied(6)
@given(st.data())
def test_what_passes_is_what_the_rules_allow(ovs: DummyOvs, data: st.DataObject) -> None:
    check(ovs, data, each=2, changes=2)
