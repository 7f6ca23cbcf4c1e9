import contextlib
import dataclasses
import select
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.problems import Conflict, Unavailable
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.services.security_views import (
    AclEntry,
    AddressGroupChange,
    AddressGroupCreate,
    NetworkAclChange,
    NetworkAclCreate,
    RuleCreate,
    SecurityGroupCreate,
    SecurityGroupView,
)
from vpcctl.services.views import (
    Actor,
    Listing,
    PortChange,
    PortCreate,
    PortView,
    SubnetChange,
    SubnetView,
    VpcChange,
)
from vpcctl.store.feed import KINDS
from vpcctl.store.units import Unit, Units
from vpcctl.store.wake import NotifyRelay, WakeListener, Waker


def apply(held: dict, batch: ChangeBatch | None) -> None:
    assert batch is not None
    ranks = [KINDS.index(change.kind) for change in batch.changes]
    assert ranks == sorted(ranks)
    keys = [(change.kind, change.id) for change in batch.changes]
    assert len(keys) == len(set(keys))
    for change in batch.changes:
        if change.resource is None:
            held.pop((change.kind, change.id), None)
        else:
            held[change.kind, change.id] = change.resource


def whole(world: World) -> dict:
    held: dict = {}
    apply(held, world.feed.load())
    return held


class Filters:
    """Groups, an address group and an ACL that change at random."""

    def __init__(self, world: World, subnet: SubnetView) -> None:
        self.services, self.subnet_id = world.services, subnet.meta.id
        self.group = self._group(subnet.vpc_id)
        values = AddressGroupCreate(("192.0.2.0/24",), tenant_id="red")
        self.addresses = self.services.address_groups.create(ADMIN, values)
        self.acl = self.services.network_acls.create(ADMIN, NetworkAclCreate(subnet.vpc_id))
        self.vpc_id = subnet.vpc_id

    def _group(self, vpc_id: str) -> SecurityGroupView:
        return self.services.security_groups.create(ADMIN, SecurityGroupCreate(vpc_id))

    def step(self, action: str, number: int) -> None:
        group_id, services = self.group.meta.id, self.services
        rules = services.group_rules.list(ADMIN, group_id, Listing()).items
        if action == "x" and rules:
            services.group_rules.delete(ADMIN, group_id, rules[number % len(rules)].id)
        elif action == "x":
            # Its rules are gone: so can the group be, where no port is in it.
            with contextlib.suppress(Conflict):
                services.security_groups.delete(ADMIN, group_id)
                self.group = self._group(self.vpc_id)
        elif action == "g":
            rule = RuleCreate("egress", family=4, protocol=number)
            with contextlib.suppress(Conflict):
                services.group_rules.add(ADMIN, group_id, [rule])
        elif action == "a":
            cidrs = tuple(f"10.{n}.0.0/16" for n in range(number))
            change = AddressGroupChange(cidrs=cidrs)
            services.address_groups.change(ADMIN, self.addresses.meta.id, change)
        else:
            entry = AclEntry(number + 1, "ingress", "allow", "0.0.0.0/0")
            services.network_acls.change(ADMIN, self.acl.meta.id, NetworkAclChange(put=entry))
            used = SubnetChange(network_acl_id=self.acl.meta.id if number % 2 else None)
            services.subnets.change(ADMIN, self.subnet_id, used)

    def join(self, port: PortView, number: int, look: bool) -> None:
        ids = (self.group.meta.id,) if look else ()
        change = PortChange(port_security=True, security_groups=ids)
        if number == 0:
            change = PortChange(port_security=False)
        self.services.ports.change(ADMIN, port.meta.id, change)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("cdmrgjaxn"), st.integers(0, 5), st.booleans()), max_size=15
    )
)
def test_changes_added_up_are_the_whole(world: World, steps) -> None:
    subnet = world.subnet()
    agent = Agent(world, world.host())
    agent.facts = agent.facts.model_copy(
        update={"vtep_address": f"198.18.{agent.host.key // 250}.{agent.host.key % 250 + 1}"}
    )
    held = whole(world)
    revision = world.feed.load().revision
    ports = []
    filters = Filters(world, subnet)
    for action, number, look in steps:
        port = ports[number % len(ports)] if ports else None
        if action in "gxan":
            filters.step(action, number)
        elif action == "c" or port is None:
            ports.append(world.port(subnet))
        elif action == "d":
            ports.remove(port)
            world.services.ports.delete(ADMIN, port.meta.id)
        elif action == "j":
            filters.join(port, number, look)
        elif action == "m":
            world.services.ports.change(ADMIN, port.meta.id, PortChange(admin_up=look))
        else:
            agent.report(*(link(one, n + 1) for n, one in enumerate(ports[: number + 1])))
        if look:
            batch = world.feed.changes(revision)
            apply(held, batch)
            revision = batch.revision if batch else 0
            assert held == whole(world)
    apply(held, world.feed.changes(revision))
    assert held == whole(world)


def test_an_up_to_date_reader_gets_nothing(world: World) -> None:
    world.subnet()
    revision = world.feed.load().revision
    assert world.feed.changes(revision) == ChangeBatch(revision, ())


def test_a_pruned_or_unknown_past_means_load_again(world: World, clock) -> None:
    settings = ServiceSettings(event_keep=3)
    services = Services(world.database, settings=settings, clock=clock)
    vpc = world.vpc()
    for number in range(10):
        services.vpcs.change(ADMIN, vpc.meta.id, VpcChange(name=f"n{number}"))
    services.maintain()
    services.maintain()
    revision = world.feed.load().revision
    assert world.feed.changes(revision - 3) is not None
    assert world.feed.changes(revision - 4) is None
    assert world.feed.changes(revision + 1) is None
    assert services.events.pruned() == revision - 3
    kept = services.events.since(ADMIN, (0, 0))
    assert kept
    assert all(event.revision > revision - 3 for event in kept)


def test_old_events_go_by_age(world: World, clock) -> None:
    world.vpc()
    clock.forward(8 * 86_400)
    world.vpc()
    world.services.maintain()
    kept = world.services.events.since(ADMIN, (0, 0))
    assert [event.kind for event in kept] == ["vpc", "sg", "rtb"]  # with what comes with it


def test_the_whole_network_takes_few_statements(world: World) -> None:
    subnet = world.subnet("10.0.0.0/20")
    for _ in range(30):
        world.port(subnet)
    count = [0]

    def note(*_: object) -> None:
        count[0] += 1

    event.listen(world.database.engine, "before_cursor_execute", note)
    world.feed.load()
    assert count[0] <= 26


def test_a_port_that_came_somewhere_takes_two_statements(world: World) -> None:
    subnet = world.subnet()
    port, agent = world.port(subnet), Agent(world, world.host())
    agent.report()
    before = world.feed.load().revision
    agent.report(link(port))
    count = [0]

    def note(*_: object) -> None:
        count[0] += 1

    event.listen(world.database.engine, "before_cursor_execute", note)
    batch = world.feed.changes(before)
    assert batch is not None
    assert [change.kind for change in batch.changes] == ["location"]
    assert count[0] == 2


def test_a_page_of_ports_takes_few_statements(world: World) -> None:
    subnet = world.subnet("10.0.0.0/20")
    for _ in range(30):
        world.port(subnet)
    count = [0]

    def note(*_: object) -> None:
        count[0] += 1

    event.listen(world.database.engine, "before_cursor_execute", note)
    assert len(world.services.ports.list(ADMIN, Listing()).items) == 30
    assert count[0] <= 9


def woken(listener: WakeListener, seconds: float = 5.0) -> bool:
    ready, _, _ = select.select([listener], [], [], seconds)
    return bool(ready) and listener.drain()


def test_a_write_wakes_who_listens(world: World, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    waker = Waker(deep)
    network, realised = WakeListener(deep, "network"), WakeListener(deep, "realised")
    services = Services(world.database, waker=waker)
    subnet = world.subnet()
    assert not woken(network, 0)
    services.ports.create(ADMIN, PortCreate(subnet_id=subnet.meta.id))
    assert woken(network)
    assert not woken(network, 0)
    assert not woken(realised, 0)
    for _ in range(2000):
        waker.wake("network")  # a full queue does not block
    assert woken(network)
    network.close()
    waker.wake("network")
    realised.close()
    waker.close()


def test_who_is_to_act_on_a_write_is_awake_when_it_is_committed(
    world: World, tmp_path: Path
) -> None:
    units = Units(world.database, Waker(tmp_path))
    network = WakeListener(tmp_path, "network")

    def refused(_unit: Unit) -> None:
        # What reads another process's database would be in the way of the write.
        assert woken(network, 0) == world.database.is_embedded
        raise Unavailable("not now")

    with pytest.raises(Unavailable):
        units.write(refused)
    assert not woken(network, 0)  # nothing came of it
    network.close()


def test_a_dead_listeners_socket_is_removed(tmp_path: Path) -> None:
    listener = WakeListener(tmp_path, "network")
    listener._socket.close()  # as a killed process leaves it
    waker = Waker(tmp_path)
    assert list((tmp_path / "wake").iterdir())
    waker.wake("network")
    assert not list((tmp_path / "wake").iterdir())


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_postgresql_carries_wake_ups_to_other_machines(world: World, tmp_path: Path) -> None:
    listener = WakeListener(tmp_path, "network")
    relay = NotifyRelay(world.database.url, tmp_path)
    relay.start()
    assert relay.listening.wait(10)
    assert woken(listener)
    world.subnet()
    assert woken(listener)
    relay.stop()
    listener.close()


def test_events_page_and_belong_to_tenants(world: World) -> None:
    red, blue = world.vpc(tenant="red"), world.vpc(tenant="blue")
    since: Callable = world.services.events.since
    everything = since(ADMIN, (0, 0))
    vpcs = [e.resource_id for e in everything if e.kind == "vpc"]
    assert vpcs == [red.meta.id, blue.meta.id]
    ours = since(Actor("tenant", "blue"), (0, 0))
    assert [e.kind for e in ours] == ["vpc", "sg", "rtb"]
    assert ours[0].resource_id == blue.meta.id
    assert since(ADMIN, (everything[0].revision, everything[0].sequence)) == everything[1:]
    assert since(ADMIN, (0, 0), limit=1) == everything[:1]
    assert world.services.events.latest() == (blue.meta.revision, 2)
    world.realisation.event("vpc", red.meta.id, "look at this")
    told = since(Actor("tenant", "red"), (0, 0))[-1]
    assert dataclasses.astuple(told)[3:] == ("vpc", "warning", red.meta.id, "red", "look at this")
