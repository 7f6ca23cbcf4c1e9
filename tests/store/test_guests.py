"""What a host's state says of its guests, and when it says something else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from tests.store.conftest import ADMIN, World
from tests.store.outside import outside
from tests.store.reporting import Agent, link
from tests.store.test_route_tables import change, main, table
from vpcctl.services.guests import host_name
from vpcctl.services.outside_views import Association, EipChange
from vpcctl.services.routing_views import RouteTableChange, RouteTableView, RouteWanted
from vpcctl.services.views import AttachmentView, HostChange, PortChange, SubnetChange
from vpcctl.wire.state import MAX_ROUTES, HostState


@contextmanager
def counted(world: World) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    seen: list[str] = []

    def note(connection, cursor, statement, *rest) -> None:
        seen.append(statement)

    event.listen(world.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(world.database.engine, "before_cursor_execute", note)


@pytest.fixture
def agents(world: World) -> tuple[Agent, Agent]:
    one, two = (Agent(world, world.host(f"h{n}"), f"192.0.2.{n}") for n in (1, 2))
    one.report()
    two.report()
    return one, two


def state(world: World, agent: Agent) -> HostState:
    return world.services.hosts.state(ADMIN, agent.host.meta.id)


def ids(found: HostState) -> list[str]:
    return [guest.port_id for guest in found.guests]


def test_guests_are_those_attached_and_those_located(world: World, agents) -> None:
    subnet = world.subnet()
    here = AttachmentView("namespace", agents[0].host.meta.id, None, None)
    attached, plugged, neither = (
        world.port(subnet, attachment=here, name="Web 1", tags={"team": "blue", "rack": "4"}),
        world.port(subnet),
        world.port(subnet),
    )
    agents[0].report(link(plugged, 5))
    found = state(world, agents[0])
    assert ids(found) == sorted([attached.meta.id, plugged.meta.id])
    assert neither.meta.id not in ids(found)
    (one,) = [guest for guest in found.guests if guest.port_id == attached.meta.id]
    assert (one.key, one.addresses, one.host_name) == (attached.key, ("10.0.1.2",), "web-1")
    assert one.tags == (("rack", "4"), ("team", "blue"))
    (block,) = found.guest_subnets
    assert (block.subnet_id, block.gateway, block.mtu) == (subnet.meta.id, "10.0.1.1", 1450)
    assert (block.vpc_id, block.tenant_id) == (subnet.vpc_id, subnet.meta.tenant_id)
    assert state(world, agents[1]).guests == ()


def test_a_port_that_is_plugged_elsewhere_moves_both_states(world: World, agents) -> None:
    port = world.port(world.subnet())
    agents[0].report(link(port, 5))
    before = [state(world, agent).revision for agent in agents]
    answer = agents[1].report(link(port, 7, uuid="u2"))
    assert answer.state is not None
    assert ids(answer.state) == [port.meta.id]
    after = [state(world, agent) for agent in agents]
    assert [len(one.guests) for one in after] == [0, 1]
    assert all(new.revision > old for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("what", ["mac", "address", "name", "tags", "subnet", "gone"])
def test_what_changes_a_guest_moves_the_state_of_its_host(world: World, agents, what: str) -> None:
    subnet = world.subnet(vpc=world.vpc("10.0.0.0/16", "fd00::/48"))
    port = world.port(subnet)
    agents[0].report(link(port, 5))
    before = [state(world, agent) for agent in agents]
    if what == "subnet":
        block = SubnetChange(ipv6_cidr="fd00::/64")
        world.services.subnets.change(ADMIN, subnet.meta.id, block)
    elif what == "gone":
        world.services.ports.delete(ADMIN, port.meta.id)
    else:
        changes = {
            "mac": PortChange(mac="06:00:00:00:00:99"),
            "address": PortChange(fixed_ips=("10.0.1.77",)),
            "name": PortChange(name="other"),
            "tags": PortChange(tags={"team": "blue"}),
        }
        world.services.ports.change(ADMIN, port.meta.id, changes[what])
    after = [state(world, agent) for agent in agents]
    assert after[0].revision > before[0].revision
    assert (after[0].guests, after[0].guest_subnets) != (before[0].guests, before[0].guest_subnets)
    assert after[1] == before[1]


def blocks(found: HostState) -> list[str]:
    (subnet,) = found.guest_subnets
    return [str(route.destination) for route in subnet.routes]


def test_guests_are_told_their_route_tables_destinations(world: World, agents) -> None:
    """IPv4's but the default, blackholes too, the most specific first."""
    vpc = world.vpc("10.0.0.0/16", "fd00::/48")
    agents[0].report(link(world.port(world.subnet(vpc=vpc)), 5))
    wanted = ("192.0.2.0/24", "203.0.113.7/32", "0.0.0.0/0", "172.16.0.0/12", "2001:db8::/32")
    before = [state(world, agent) for agent in agents]
    assert blocks(before[0]) == []
    routes = tuple(RouteWanted(block, ()) for block in wanted)
    change(world, main(world, vpc), routes=routes)
    after = [state(world, agent) for agent in agents]
    assert blocks(after[0]) == ["203.0.113.7/32", "192.0.2.0/24", "172.16.0.0/12"]
    assert after[0].revision > before[0].revision
    assert after[1] == before[1], "no guest of the VPC is there"


def test_what_moves_routes_of_guests_moves_their_hosts_states(world: World, agents) -> None:
    vpc = world.vpc()
    subnet = world.subnet(vpc=vpc)
    agents[0].report(link(world.port(subnet), 5))
    first, other = main(world, vpc), table(world, vpc, RouteWanted("192.0.2.0/24", ()))
    tables, subnets = world.services.route_tables, world.services.subnets
    seen = state(world, agents[0])
    for routes, work in (
        (
            ["192.0.2.0/24"],
            lambda: tables.change(ADMIN, other.meta.id, RouteTableChange(main=True)),
        ),
        ([], lambda: subnets.change(ADMIN, subnet.meta.id, names(first))),
        (["192.0.2.0/24"], lambda: subnets.change(ADMIN, subnet.meta.id, names(None))),
        ([], lambda: change(world, other, remove=("192.0.2.0/24",))),
        (["198.51.100.0/24"], lambda: change(world, other, add=(RouteWanted("198.51.100.0/24"),))),
    ):
        work()
        now = state(world, agents[0])
        assert now.revision > seen.revision
        assert blocks(now) == routes
        seen = now


def test_the_ports_that_a_route_leads_to_are_named(world: World, agents) -> None:
    vpc = world.vpc()
    subnet = world.subnet(vpc=vpc)
    one, other = world.port(subnet), world.port(subnet)
    agents[0].report(link(one, 5))
    ids = tuple(sorted(port.meta.id for port in (one, other)))
    ours, seen = main(world, vpc), state(world, agents[0])
    for targets in (ids, ids[:1], ()):
        change(world, ours, put=(RouteWanted("192.0.2.0/24", targets),))
        now = state(world, agents[0])
        (route,) = now.guest_subnets[0].routes
        assert (now.revision > seen.revision, route.port_ids) == (True, targets)
        seen = now


def names(wanted: RouteTableView | None) -> SubnetChange:
    return SubnetChange(route_table_id=None if wanted is None else wanted.meta.id)


def test_routes_that_guests_are_not_told_move_no_state(world: World, agents) -> None:
    """Beyond what one message holds, of the other family, of a table that is not theirs."""
    vpc = world.vpc("10.0.0.0/16", "fd00::/48")
    agents[0].report(link(world.port(world.subnet(vpc=vpc)), 5))
    full = tuple(RouteWanted(f"192.0.2.{n}/32") for n in range(MAX_ROUTES))
    ours = main(world, vpc)
    change(world, ours, routes=full)
    seen = state(world, agents[0])
    assert len(blocks(seen)) == MAX_ROUTES
    change(world, ours, add=tuple(map(RouteWanted, ("198.51.100.0/24", "0.0.0.0/0", "::/0"))))
    change(world, table(world, vpc), add=(RouteWanted("192.0.2.99/32"),))
    assert state(world, agents[0]) == seen


def test_a_state_costs_the_same_statements_for_any_number_of_guests(world: World, agents) -> None:
    subnet = world.subnet()
    few = [world.port(subnet) for _ in range(2)]
    agents[0].report(*(link(port, 5 + n) for n, port in enumerate(few)))
    with counted(world) as seen:
        state(world, agents[0])
    many = [*few, *(world.port(subnet) for _ in range(20))]
    agents[0].report(*(link(port, 5 + n) for n, port in enumerate(many)))
    with counted(world) as later:
        assert len(state(world, agents[0]).guests) == 22
    assert len(later) == len(seen) <= 17


def test_a_guests_eips_are_told_to_its_host_whoever_answers_for_them(world: World) -> None:
    outer, vpc = outside(world), world.vpc()
    outer.internet(vpc)
    outer.host("gw")
    agents = [Agent(world, world.host(f"h{n}"), f"192.0.2.{n}") for n in (11, 12)]
    agents[0].report()
    subnet = world.subnet(vpc=vpc)
    here = AttachmentView("namespace", agents[0].host.meta.id, None, None)
    attached = world.port(subnet, attachment=here, fixed_ips=("10.0.1.10", "10.0.1.11"))
    plugged = world.port(subnet, fixed_ips=("10.0.1.20",))
    agents[1].report(link(plugged, 5))
    eips = [outer.eip() for _ in range(2)]
    public = [str(eip.address) for eip in eips]
    known = [state(world, agent).revision for agent in agents]

    def told(*concerned: int) -> list[tuple[tuple[str, str], ...]]:
        """Return what both hosts tell their guest; exactly those concerned have another state."""
        after = [state(world, agent) for agent in agents]
        moved = [at for at, one in enumerate(after) if one.revision > known[at]]
        assert moved == list(concerned)
        known[:] = [one.revision for one in after]
        return [guest.public_addresses for one in after for guest in one.guests]

    def stands_for(at: int, wanted: Association | None) -> None:
        world.services.eips.change(ADMIN, eips[at].meta.id, EipChange(association=wanted))

    stands_for(0, Association(attached.meta.id, "10.0.1.11"))
    assert told(0) == [(("10.0.1.11", public[0]),), ()]
    stands_for(1, Association(attached.meta.id, "10.0.1.10"))
    both = (("10.0.1.10", public[1]), ("10.0.1.11", public[0]))
    assert told(0) == [both, ()]
    stands_for(0, Association(plugged.meta.id, move=True))
    assert told(0, 1) == [both[:1], (("10.0.1.20", public[0]),)]
    stands_for(0, None)
    assert told(1) == [both[:1], ()]


def test_a_state_says_where_the_host_is(world: World, agents) -> None:
    assert state(world, agents[0]).availability_zone is None
    before = state(world, agents[0]).revision
    world.services.hosts.change(
        ADMIN, agents[0].host.meta.id, HostChange(availability_zone="room-1")
    )
    after = state(world, agents[0])
    assert (after.availability_zone, after.revision > before) == ("room-1", True)


@pytest.mark.parametrize(
    ("name", "addresses", "label"),
    [
        ("web-1", ("10.0.0.4",), "web-1"),
        ("Böse Überraschung!", ("10.0.0.4",), "b-se-berraschung"),
        ("x" * 80, ("10.0.0.4",), "x" * 63),
        ("", ("10.0.0.4",), "ip-10-0-0-4"),
        ("---", ("fd00::1",), "ip-fd00-0000-0000-0000-0000-0000-0000-0001"),
        ("", (), ""),
    ],
)
def test_host_names_are_dns_labels(name: str, addresses: tuple[str, ...], label: str) -> None:
    assert host_name(name, addresses) == label
