"""Route tables: their routes, the subnets that have them, and what would lead nowhere."""

from ipaddress import ip_network
from typing import Any

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import outside
from tests.store.reporting import Agent, link
from tests.store.test_eips import confirm
from tests.store.test_security_groups import at_once, held, vpc_of
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound, Problem, Stale
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.routing_views import (
    RouteTableChange,
    RouteTableCreate,
    RouteTableView,
    RouteWanted,
)
from vpcctl.services.views import (
    Actor,
    HostChange,
    Listing,
    PortChange,
    PortView,
    SubnetChange,
    VpcChange,
    VpcView,
)


def table(world: World, vpc: VpcView, *routes: RouteWanted) -> RouteTableView:
    return world.services.route_tables.create(ADMIN, RouteTableCreate(vpc.meta.id, routes))


def main(world: World, vpc: VpcView) -> RouteTableView:
    listing = Listing(filters={"vpc_id": vpc.meta.id, "name": "main"})
    (found,) = world.services.route_tables.list(ADMIN, listing).items
    return world.services.route_tables.get(ADMIN, found.meta.id)


def change(world: World, of: RouteTableView, **values: Any) -> dict[str, tuple[str, ...]]:
    """Change a table; return its routes, which the feed has alike."""
    service = world.services.route_tables
    changed = service.change(ADMIN, of.meta.id, RouteTableChange(**values))
    found = {str(route.destination): route.targets for route in changed.routes or ()}
    assert {str(r.destination): tuple(t.id for t in r.targets) for r in _held(world, of)} == {
        destination: tuple(sorted(targets)) for destination, targets in found.items()
    }
    return found


def _held(world: World, of: RouteTableView) -> tuple[Route, ...]:
    return held(world, "rtb")[of.meta.id].routes


def port_id(port: PortView) -> str:
    return port.meta.id


def test_a_vpc_comes_and_goes_with_its_main_table(world: World) -> None:
    vpc = world.vpc()
    ours = main(world, vpc)
    assert (ours.main, ours.routes, ours.subnet_count) == (True, (), 0)
    model = held(world, "rtb")[ours.meta.id]
    assert (model.vpc_id, model.key, model.is_main, model.routes) == (
        vpc.meta.id,
        ours.key,
        True,
        (),
    )
    with pytest.raises(Conflict) as caught:
        world.services.route_tables.delete(ADMIN, ours.meta.id)
    assert [blocker.id for blocker in caught.value.blockers] == [vpc.meta.id]
    other = table(world, vpc)
    with pytest.raises(Conflict) as caught:
        world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert [blocker.id for blocker in caught.value.blockers] == [other.meta.id]
    world.services.route_tables.delete(ADMIN, other.meta.id)
    world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert held(world, "rtb") == {}


def test_routes_are_added_replaced_and_removed_whole(world: World) -> None:
    vpc = world.vpc()
    subnet = world.subnet("10.0.1.0/24", vpc)
    one, two = (port_id(world.port(subnet)) for _ in range(2))
    ours = table(world, vpc, RouteWanted("192.0.2.0/24", (one,), "to the office"))
    assert ours.routes is not None
    assert (ours.routes[0].description, ours.route_count) == ("to the office", 1)
    added = change(world, ours, add=(RouteWanted("::/0"), RouteWanted("10.0.0.0/8", (two, one))))
    assert added == {
        "10.0.0.0/8": tuple(sorted((one, two))),
        "192.0.2.0/24": (one,),
        "::/0": (),
    }
    with pytest.raises(Conflict) as caught:
        change(world, ours, add=(RouteWanted("1.0.0.0/8", at="0"), RouteWanted("::/0", at="1")))
    assert caught.value.field == "1.destination"
    put = change(world, ours, put=(RouteWanted("::/0", (two,)), RouteWanted("1.0.0.0/8", (one,))))
    assert put == {**added, "::/0": (two,), "1.0.0.0/8": (one,)}
    with pytest.raises(NotFound):
        change(world, ours, remove=("::/0", "2.0.0.0/8"))
    assert list(change(world, ours, remove=("::/0", "1.0.0.0/8"))) == ["10.0.0.0/8", "192.0.2.0/24"]
    assert change(world, ours, routes=(RouteWanted("198.51.100.0/24"),), name="edge") == {
        "198.51.100.0/24": ()
    }
    with pytest.raises(Stale):
        world.services.route_tables.change(ADMIN, ours.meta.id, RouteTableChange(routes=()), 1)
    (listed,) = world.services.route_tables.list(ADMIN, Listing(filters={"name": "edge"})).items
    assert (listed.routes, listed.route_count) == (None, 1)
    world.services.route_tables.delete(ADMIN, ours.meta.id)
    assert ours.meta.id not in held(world, "rtb")


def test_the_feed_has_routes_in_order(world: World) -> None:
    vpc = world.vpc()
    texts = ("fd00::/8", "9.0.0.0/8", "0.0.0.0/0")
    ours = table(world, vpc, *map(RouteWanted, texts))
    assert _held(world, ours) == tuple(
        Route(ip_network(text)) for text in ("0.0.0.0/0", "9.0.0.0/8", "fd00::/8")
    )
    port = world.port(world.subnet("10.0.1.0/24", vpc))
    since = world.feed.load().revision
    change(world, ours, put=(RouteWanted("9.0.0.0/8", (port_id(port),)),))
    batch = world.feed.changes(since)
    assert batch is not None
    (only,) = batch.changes
    assert (only.kind, only.id) == ("rtb", ours.meta.id)
    assert only.resource.routes[1].targets == (Target("port", port_id(port)),)  # type: ignore[union-attr]


@ON_SQLITE
def test_a_target_is_of_the_tables_vpc(world: World) -> None:
    vpc = world.vpc()
    ours = table(world, vpc)
    foreign = world.port(world.subnet("10.0.1.0/24", world.vpc()))
    for id in (port_id(foreign), *(f"{kind}-{'0' * 17}" for kind in ("port", "igw", "nat"))):
        with pytest.raises(Invalid) as caught:
            change(world, ours, add=(RouteWanted("1.0.0.0/8", (id,), at="3"),))
        assert (caught.value.field, caught.value.accepted is not None) == ("3.targets.0", True)
        with pytest.raises(Invalid):
            table(world, vpc, RouteWanted("1.0.0.0/8", (id,)))
    assert _held(world, ours) == ()


@ON_SQLITE
def test_what_is_local_is_not_routed(world: World) -> None:
    vpc = world.vpc("10.0.0.0/16")
    ours = table(world, vpc, RouteWanted("10.0.0.0/8"))
    for text in ("10.0.0.0/16", "10.0.9.0/24"):
        with pytest.raises(Invalid) as caught:
            change(world, ours, add=(RouteWanted(text),))
        assert caught.value.field == "destination"
    change(world, ours, add=(RouteWanted("10.1.0.0/24"),))
    with pytest.raises(Conflict) as caught_conflict:
        world.services.vpcs.change(
            ADMIN, vpc.meta.id, VpcChange(cidrs=("10.0.0.0/16", "10.1.0.0/16"))
        )
    assert [blocker.id for blocker in caught_conflict.value.blockers] == [ours.meta.id]
    change(world, ours, remove=("10.1.0.0/24",))
    world.services.vpcs.change(ADMIN, vpc.meta.id, VpcChange(cidrs=("10.0.0.0/16", "10.1.0.0/16")))


@ON_SQLITE
def test_a_default_route_does_not_lead_in_a_circle(world: World) -> None:
    front = world.subnet("10.0.1.0/24")
    vpc = vpc_of(world, front)
    firewall = port_id(world.port(front))
    default = RouteWanted("0.0.0.0/0", (firewall,), at="0")
    with pytest.raises(Invalid) as caught:
        change(world, main(world, vpc), put=(default,))
    assert caught.value.field == "0.targets"
    assert firewall in caught.value.detail
    # What is not everything may lead to where the table is in force: a VPN's port, for one.
    change(world, main(world, vpc), put=(RouteWanted("192.0.2.0/24", (firewall,)),))
    private = table(world, vpc, default)
    subnets = world.services.subnets
    to_private = SubnetChange(route_table_id=private.meta.id)
    with pytest.raises(Invalid) as caught:
        subnets.change(ADMIN, front.meta.id, to_private)
    assert caught.value.field == "route_table_id"
    back = world.subnet("10.0.2.0/24", vpc, route_table_id=private.meta.id)
    behind = port_id(world.port(back))
    with pytest.raises(Invalid) as caught:
        change(world, main(world, vpc), put=(RouteWanted("0.0.0.0/0", (behind,)),))
    assert caught.value.detail.count("port-") == 2
    assert change(world, main(world, vpc), put=(RouteWanted("::/0", (behind,)),))


@ON_SQLITE
def test_a_subnet_has_a_table_of_its_vpc(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    ours, foreign = table(world, vpc), table(world, world.vpc())
    subnets = world.services.subnets

    def give(id: str | None) -> str | None:
        changed = subnets.change(ADMIN, subnet.meta.id, SubnetChange(route_table_id=id))
        assert held(world, "subnet")[subnet.meta.id].route_table_id == changed.route_table_id
        return changed.route_table_id

    assert subnet.route_table_id is None
    assert give(ours.meta.id) == ours.meta.id
    for id in (foreign.meta.id, "rtb-00000000000000000", "main"):
        with pytest.raises(Invalid) as caught:
            give(id)
        assert caught.value.field == "route_table_id"
        with pytest.raises(Invalid):
            world.subnet("10.0.2.0/24", vpc, route_table_id=id)
    with pytest.raises(Conflict) as caught_conflict:
        world.services.route_tables.delete(ADMIN, ours.meta.id)
    assert [b.id for b in caught_conflict.value.blockers] == [subnet.meta.id]
    assert world.services.route_tables.get(ADMIN, ours.meta.id).subnet_count == 1
    listing = Listing(filters={"route_table_id": ours.meta.id})
    assert [s.meta.id for s in subnets.list(ADMIN, listing).items] == [subnet.meta.id]
    assert give(None) is None
    world.services.route_tables.delete(ADMIN, ours.meta.id)


def test_a_subnet_gets_the_table_or_it_goes(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    for _ in range(4):
        ours = table(world, vpc)
        wanted = SubnetChange(route_table_id=ours.meta.id)
        give, drop = at_once(
            lambda w=wanted: world.services.subnets.change(ADMIN, subnet.meta.id, w),
            lambda t=ours: world.services.route_tables.delete(ADMIN, t.meta.id),
        )
        assert (give is None) != (drop is None)
        world.services.subnets.change(ADMIN, subnet.meta.id, SubnetChange(route_table_id=None))


def test_a_port_goes_when_no_route_leads_to_it(world: World) -> None:
    subnet = world.subnet()
    ours, port = table(world, vpc_of(world, subnet)), world.port(subnet)
    wanted = RouteTableChange(put=(RouteWanted("1.0.0.0/8", (port_id(port),)),))
    change(world, ours, put=wanted.put)
    with pytest.raises(Conflict) as caught:
        world.services.ports.delete(ADMIN, port_id(port))
    assert [b.id for b in caught.value.blockers] == [ours.meta.id]
    change(world, ours, routes=())
    for _ in range(4):
        late = world.port(subnet)
        wanted = RouteTableChange(put=(RouteWanted("1.0.0.0/8", (port_id(late),)),))
        give, drop = at_once(
            lambda w=wanted: world.services.route_tables.change(ADMIN, ours.meta.id, w),
            lambda p=late: world.services.ports.delete(ADMIN, port_id(p)),
        )
        assert (give is None) != (drop is None)


@ON_SQLITE
def test_quotas_bound_tables_and_routes(world: World) -> None:
    quotas = Quotas(route_tables=1, routes=2)
    world.services = Services(world.database, settings=ServiceSettings(quotas=quotas))
    vpc = world.vpc()
    three = tuple(RouteWanted(f"{n}.0.0.0/8") for n in (1, 2, 3))
    with pytest.raises(Exhausted, match="3 routes"):
        table(world, vpc, *three)
    ours = table(world, vpc, *three[:2])
    with pytest.raises(Exhausted, match="1 route tables"):
        table(world, vpc)
    with pytest.raises(Exhausted):
        change(world, ours, add=three[2:])
    assert len(change(world, ours, put=three[:2])) == 2
    world.services.route_tables.delete(ADMIN, ours.meta.id)
    table(world, world.vpc())


@ON_SQLITE
def test_tables_are_their_tenants(world: World) -> None:
    ours, blue = table(world, world.vpc(tenant="red")), Actor("tenant", "blue")
    assert world.services.route_tables.list(blue, Listing()).items == ()
    for call in (world.services.route_tables.get, world.services.route_tables.delete):
        with pytest.raises(NotFound):
            call(blue, ours.meta.id)
    with pytest.raises(Problem):
        world.services.route_tables.create(blue, RouteTableCreate(ours.vpc_id))


def test_another_table_becomes_main_in_one_step(world: World) -> None:
    vpc = world.vpc()
    old, new = main(world, vpc), table(world, vpc, RouteWanted("192.0.2.0/24"))
    service = world.services.route_tables
    made = service.change(ADMIN, new.meta.id, RouteTableChange(main=True, name="out"))
    assert (made.main, made.meta.name) == (True, "out")
    assert not service.get(ADMIN, old.meta.id).main
    assert {id: one.is_main for id, one in held(world, "rtb").items()} == {
        old.meta.id: False,
        new.meta.id: True,
    }
    again = service.change(ADMIN, new.meta.id, RouteTableChange(main=True))
    assert again.main
    with pytest.raises(Invalid) as caught:
        service.change(ADMIN, new.meta.id, RouteTableChange(main=False))
    assert caught.value.field == "main"
    service.delete(ADMIN, old.meta.id)
    world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert held(world, "rtb") == {}


def test_of_two_that_become_main_at_once_one_is(world: World) -> None:
    vpc = world.vpc()
    tables = [table(world, vpc) for _ in range(3)]
    wanted, service = RouteTableChange(main=True), world.services.route_tables
    at_once(*(lambda t=one: service.change(ADMIN, t.meta.id, wanted) for one in tables))
    assert sum(one.is_main for one in held(world, "rtb").values()) == 1


@ON_SQLITE
def test_a_table_that_would_lead_in_a_circle_does_not_become_main(world: World) -> None:
    front = world.subnet("10.0.1.0/24")
    vpc = vpc_of(world, front)
    before = main(world, vpc)
    firewall = port_id(world.port(front))
    ours = table(world, vpc, RouteWanted("0.0.0.0/0", (firewall,)))
    with pytest.raises(Invalid) as caught:
        world.services.route_tables.change(ADMIN, ours.meta.id, RouteTableChange(main=True))
    assert (caught.value.field, firewall in caught.value.detail) == ("main", True)
    assert main(world, vpc).meta.id == before.meta.id


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
