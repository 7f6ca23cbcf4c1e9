"""Route tables: their routes, the subnets that have them, and what would lead nowhere."""

from ipaddress import ip_network
from typing import Any

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.test_security_groups import at_once, held, vpc_of
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound, Problem, Stale
from vpcctl.model.route_table import Route, Target
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.routing_views import (
    RouteTableChange,
    RouteTableCreate,
    RouteTableView,
    RouteWanted,
)
from vpcctl.services.views import (
    Actor,
    Listing,
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


HALVES = ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1", "2000::/3")


@ON_SQLITE
@pytest.mark.parametrize("most", HALVES)
def test_most_of_the_world_does_not_lead_in_a_circle_either(world: World, most: str) -> None:
    front = world.subnet("10.0.1.0/24")
    vpc = vpc_of(world, front)
    ours, firewall = main(world, vpc), port_id(world.port(front))
    with pytest.raises(Invalid) as caught:
        change(world, ours, put=(RouteWanted(most, (firewall,), at="0"),))
    assert caught.value.field == "0.targets"
    # Over another table: what everything leads to may not lead half of it back.
    everything = "::/0" if ":" in most else "0.0.0.0/0"
    private = table(world, vpc, RouteWanted(most, (firewall,)))
    back = world.subnet("10.0.2.0/24", vpc, route_table_id=private.meta.id)
    behind = port_id(world.port(back))
    some = (RouteWanted("192.0.2.0/24", at="0"), RouteWanted(everything, (behind,), at="1"))
    with pytest.raises(Invalid, match=f"{everything} would lead in a circle") as caught:
        change(world, ours, put=some)
    assert caught.value.field == "1.targets"
    # To blame is the route of this table, though the other's destination is named, too.
    with pytest.raises(Invalid) as caught:
        change(world, ours, put=(RouteWanted(most, at="0"), *some[1:]))
    assert caught.value.field == "1.targets"
    with pytest.raises(Invalid) as caught:
        world.services.subnets.change(
            ADMIN, front.meta.id, SubnetChange(route_table_id=private.meta.id)
        )
    assert caught.value.field == "route_table_id"
    with pytest.raises(Invalid) as caught:
        world.services.route_tables.change(ADMIN, private.meta.id, RouteTableChange(main=True))
    assert caught.value.field == "main"


@ON_SQLITE
def test_halves_that_do_not_overlap_may_lead_to_and_fro(world: World) -> None:
    front = world.subnet("10.0.1.0/24")
    vpc = vpc_of(world, front)
    firewall = port_id(world.port(front))
    private = table(world, vpc, RouteWanted("0.0.0.0/1", (firewall,)))
    behind = port_id(world.port(world.subnet("10.0.2.0/24", vpc, route_table_id=private.meta.id)))
    assert change(world, main(world, vpc), put=(RouteWanted("128.0.0.0/1", (behind,)),))


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
