"""Targets of routes that are dead: what flows and users are told, and when they live again."""

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import outside
from tests.store.reporting import Agent, link
from tests.store.test_eips import confirm
from tests.store.test_route_tables import port_id, table
from tests.store.test_security_groups import held, vpc_of
from vpcctl.model.route_table import RouteTable
from vpcctl.services.routing_views import RouteWanted
from vpcctl.services.views import HostChange, PortChange


@ON_SQLITE
def test_it_is_said_which_targets_are_dead_and_why(world: World) -> None:
    outer = outside(world)
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    internet, nat = outer.internet(vpc), outer.nat(vpc)
    firewall, checked = (world.port(subnet, source_dest_check=check) for check in (False, True))
    ids = (internet.meta.id, nat.meta.id, port_id(firewall), port_id(checked))
    ours = table(world, vpc, RouteWanted("0.0.0.0/0", ids))

    def dead() -> dict[str, str]:
        (route,) = world.services.route_tables.get(ADMIN, ours.meta.id).routes or ()
        assert {one.id for one in route.states} == set(ids)
        return {one.id: one.dead for one in route.states if one.dead is not None}

    assert dead() == {
        internet.meta.id: f"no host reaches {outer.network.meta.id}",
        nat.meta.id: f"no host with the gateway label reaches {outer.network.meta.id}",
        port_id(firewall): "it is on no host",
        port_id(checked): "its source_dest_check is on, so it takes nothing that is not for itself",
    }
    outer.host("a")
    outer.agents["a"].report(link(firewall), link(checked, 6, "u2"))
    assert dead().keys() == {port_id(checked)}
    world.services.ports.change(ADMIN, port_id(firewall), PortChange(admin_up=False))
    assert dead()[port_id(firewall)] == "it is administratively down"
    world.services.ports.change(ADMIN, port_id(firewall), PortChange(admin_up=True))
    world.clock.forward(20)
    world.services.maintain()
    assert nat.meta.id not in dead()  # a late report says that an agent has ended, perhaps
    world.clock.forward(600)
    world.services.maintain()
    world.services.maintain()
    assert outer.id("a") in dead()[port_id(firewall)]
    assert dead()[nat.meta.id] == "none of its gateway hosts lives"


@ON_SQLITE
def test_ports_of_a_host_that_is_dead_leave_routes_until_it_is_back(world: World) -> None:
    agents = [Agent(world, world.host(name), f"192.0.2.{at}") for at, name in enumerate("abc", 1)]
    here = [one.host.meta.id for one in agents]
    subnet = world.subnet()
    walls = [world.port(subnet, source_dest_check=False) for _ in agents]
    for agent, wall in zip(agents, walls, strict=True):
        agent.report(link(wall))
    way = RouteWanted("0.0.0.0/0", tuple(map(port_id, walls[:2])))
    ours = table(world, vpc_of(world, subnet), way)

    def dead() -> tuple[str, ...]:
        whole: RouteTable = held(world, "rtb")[ours.meta.id]
        return whole.dead_hosts

    def passes(*living: Agent) -> None:
        world.clock.forward(600)
        for each in living:
            each.report()
        for _ in range(2):
            world.services.maintain()

    states = dict.fromkeys((id.replace("-", "_") for id in here), "in_sync")
    confirm(world, 1, **states)
    seen = world.feed.load().revision
    passes(agents[0])  # the others are silent, but their switches are connected
    assert dead() == ()
    confirm(world, 1, **{here[1].replace("-", "_"): "disconnected"})
    passes(agents[0])
    assert dead() == (here[1],)
    news = world.feed.changes(seen)
    assert news is not None
    assert ours.meta.id in [one.id for one in news.changes]
    confirm(world, 1, **{here[1].replace("-", "_"): "in_sync"})
    passes(agents[0])
    assert dead() == (here[1],)  # its agent is given time to report
    passes(agents[0])
    assert dead() == ()
    confirm(world, 1, **{here[1].replace("-", "_"): "disconnected"})
    passes(agents[0])
    assert dead() == (here[1],)
    passes(*agents[:2])
    assert dead() == ()


@ON_SQLITE
def test_a_nat_gateway_whose_hosts_are_lost_leaves_routes_until_one_is_back(world: World) -> None:
    outer = outside(world)
    first, second = outer.host("a"), outer.host("b")
    both = tuple(sorted((first, second)))
    for name in "cd":
        outer.host(name, gateway=False)
    subnet = world.subnet()
    vpc, wall = vpc_of(world, subnet), world.port(subnet, source_dest_check=False)
    nat = outer.nat(vpc)
    outer.agents["c"].report(link(wall))
    way = RouteWanted("0.0.0.0/0", (nat.meta.id, port_id(wall)))
    ours = table(world, vpc, way)

    def dead() -> tuple[tuple[str, ...], bool]:
        """Hosts that flows take to be dead, and whether the gateway is said to be so."""
        whole: RouteTable = held(world, "rtb")[ours.meta.id]
        (route,) = world.services.route_tables.get(ADMIN, ours.meta.id).routes or ()
        assert route.states[1].dead is None
        return whole.dead_hosts, route.states[0].dead is not None

    def tells(name: str, **lives: bool) -> bool:
        """Have a host say who lives; tell whether hosts hear of the table with that very report."""
        seen = world.feed.load().revision
        agent = outer.agents[name]
        agent.facts = agent.facts.model_copy(update={"watches": outer.watching(**lives)})
        agent.report(*([link(wall)] if name == "c" else []))
        news = world.feed.changes(seen)
        assert news is not None
        return ours.meta.id in [one.id for one in news.changes]

    def silent(*names: str) -> None:
        world.clock.forward(20)
        for name in outer.agents.keys() - set(names):
            outer.agents[name].report(full=False)
        world.services.maintain()

    assert (tells("c", a=True, b=True), dead()) == (False, ((), False))
    assert (tells("c", a=False, b=True), dead()) == (True, ((first,), False))
    assert (tells("c", a=False, b=False), dead()) == (True, (both, True))
    assert (tells("d", a=True, b=True), dead()) == (True, ((), False))  # one of two is not most
    silent("d")  # what it said does not count any more
    assert dead() == (both, True)
    silent()
    assert dead() == ((), False)
    assert (tells("c", a=True, b=True), dead()) == (False, ((), False))
    silent("a", "b")  # they may have lost the controller and nothing else
    assert dead() == ((), False)
    silent()
    assert tells("c", a=False, b=False) is False
    assert (tells("d", a=False, b=False), dead()) == (True, (both, True))
    assert (tells("c", a=False, b=True), dead()) == (True, ((first,), False))


@ON_SQLITE
def test_tables_hear_when_dead_hosts_stand_for_a_target_no_more(world: World) -> None:
    outer = outside(world)
    first = outer.host("a")
    outer.host("b")
    outer.host("c", gateway=False)
    vpc = world.vpc()
    nat = outer.nat(vpc)
    ours = table(world, vpc, RouteWanted("0.0.0.0/0", (nat.meta.id,)))
    outer.says("c", a=False, b=True)
    assert held(world, "rtb")[ours.meta.id].dead_hosts == (first,)
    seen = world.feed.load().revision
    world.services.hosts.change(ADMIN, first, HostChange(gateway=False))
    news = world.feed.changes(seen)
    assert news is not None
    assert {ours.meta.id: ()} == {
        one.id: one.resource.dead_hosts
        for one in news.changes
        if isinstance(one.resource, RouteTable)
    }


@ON_SQLITE
def test_a_port_that_leaves_a_dead_host_is_not_taken_to_be_on_it_when_it_returns(
    world: World,
) -> None:
    agents = [Agent(world, world.host(name), f"192.0.2.{at}") for at, name in enumerate("ab", 1)]
    subnet = world.subnet()
    wall = world.port(subnet, source_dest_check=False)
    agents[1].report(link(wall))
    ours = table(world, vpc_of(world, subnet), RouteWanted("0.0.0.0/0", (port_id(wall),)))
    world.clock.forward(600)
    for _ in range(2):
        agents[0].report()
        world.services.maintain()
    assert held(world, "rtb")[ours.meta.id].dead_hosts == (agents[1].host.meta.id,)
    seen = world.feed.load().revision
    agents[0].report(link(wall, uuid="u2"))
    news = world.feed.changes(seen)
    assert news is not None
    assert ours.meta.id in [one.id for one in news.changes]
    assert held(world, "rtb")[ours.meta.id].dead_hosts == ()


@ON_SQLITE
def test_a_port_on_a_host_that_is_lost_is_a_dead_target(world: World) -> None:
    outer = outside(world)
    lost = outer.host("a")
    outer.host("c", gateway=False)
    subnet = world.subnet()
    wall = world.port(subnet, source_dest_check=False)
    outer.agents["a"].report(link(wall))
    ours = table(world, vpc_of(world, subnet), RouteWanted("0.0.0.0/0", (port_id(wall),)))

    def dead() -> tuple[tuple[str, ...], str | None]:
        whole: RouteTable = held(world, "rtb")[ours.meta.id]
        (route,) = world.services.route_tables.get(ADMIN, ours.meta.id).routes or ()
        return whole.dead_hosts, route.states[0].dead

    outer.says("c", a=True)
    assert dead() == ((), None)
    outer.says("c", a=False)
    assert dead() == ((lost,), f"most hosts that watch its host {lost} do not see it")
    outer.says("c", a=True)
    assert dead() == ((), None)
