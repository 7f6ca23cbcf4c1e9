"""Addresses that change hands: which hosts are told, of what, and for how long."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, Clock, World
from tests.store.outside import outside
from tests.store.reporting import Agent, link
from vpcctl.services import handovers
from vpcctl.services.views import PortChange, PortView, SubnetView
from vpcctl.store import handovers as stored
from vpcctl.store.units import present_revision

Told = list[tuple[str, str, int, int]]


@pytest.fixture
def subnet(world: World) -> SubnetView:
    return world.subnet()


@pytest.fixture
def make_agent(world: World) -> Callable[..., Agent]:
    """Make a host that has these ports, and return its agent, which holds its newest state."""
    made: list[Agent] = []

    def make(*ports: PortView) -> Agent:
        number = len(made) + 1
        agent = Agent(world, world.host(f"h{number}"), f"192.0.2.{100 + number}")
        made.append(agent)
        links = [link(port, at, f"u{number}{at}") for at, port in enumerate(ports, 5)]
        agent.report(*links)
        while agent.report(*links, full=False).state is not None:
            pass
        return agent

    return make


def news(agent: Agent) -> Told | None:
    """Return what the host is told; None: its state has not changed."""
    known = agent.state_revision
    told = state(agent)
    agent.state_revision = told.revision
    if told.revision == known:
        return None
    return [(one.vpc_id, one.address, one.freed, one.revision) for one in told.handed_over]


def state(agent: Agent):
    found = agent.world.services.hosts.state(ADMIN, agent.host.meta.id)
    assert found is not None
    return found


def delete(world: World, port: PortView) -> int:
    return world.services.ports.delete(ADMIN, port.meta.id)


def revision(world: World) -> int:
    return world.database.read(present_revision)


def four(port: PortView) -> str:
    return str(port.fixed_ips[0])


def test_hosts_of_the_vpc_are_told_of_an_address_that_another_port_gets(
    world: World, subnet, make_agent
) -> None:
    elsewhere = world.subnet(vpc=world.vpc(tenant="blue"))
    here, there = make_agent(world.port(subnet)), make_agent(world.port(elsewhere))
    news(here)  # of the other host
    old = world.port(subnet)
    freed = delete(world, old)
    assert news(here) is None, "nobody has it yet"
    world.port(subnet)
    assert news(here) is None, "freed addresses go out last"
    world.port(subnet, fixed_ips=[four(old)])
    assert news(here) == [(subnet.vpc_id, four(old), freed, revision(world))]
    assert news(there) is None, "a VPC of its own"


def test_a_port_that_moves_or_is_changed_otherwise_is_no_news(
    world: World, subnet, make_agent
) -> None:
    port = world.port(subnet)
    one, two = make_agent(world.port(subnet)), make_agent(world.port(subnet))
    one.report(link(port))
    two.report(link(port, 6, "u9"))
    world.services.ports.change(ADMIN, port.meta.id, PortChange(name="other"))
    assert world.look(port).host_id == two.host.meta.id
    assert state(one).handed_over == state(two).handed_over == ()


def test_addresses_that_ports_change_are_told_where_another_had_them(
    world: World, subnet, make_agent
) -> None:
    agent = make_agent(world.port(subnet))
    one, two = world.port(subnet, mac="02:00:00:00:00:01"), world.port(subnet)
    first, freed = four(one), []
    world.services.ports.change(ADMIN, one.meta.id, PortChange(fixed_ips=["10.0.1.77"]))
    freed.append(revision(world))
    world.services.ports.change(ADMIN, one.meta.id, PortChange(mac="02:00:00:00:00:02"))
    freed.append(revision(world))
    assert news(agent) is None, "nobody else has had them"
    change = PortChange(fixed_ips=[first], mac="02:00:00:00:00:01")
    world.services.ports.change(ADMIN, two.meta.id, change)
    assert news(agent) == [
        (subnet.vpc_id, first, freed[0], revision(world)),
        (subnet.vpc_id, "fe80::ff:fe00:1", freed[1], revision(world)),
    ]


def test_a_subnet_made_anew_in_its_place_gives_out_the_same_addresses(
    world: World, make_agent
) -> None:
    vpc = world.vpc()
    agent = make_agent(world.port(world.subnet("10.0.2.0/24", vpc)))
    subnet = world.subnet("10.0.1.0/24", vpc)
    freed = delete(world, old := world.port(subnet))
    world.services.subnets.delete(ADMIN, subnet.meta.id)
    world.port(world.subnet("10.0.1.0/24", vpc))
    assert news(agent) == [(vpc.meta.id, four(old), freed, revision(world))]


def test_a_host_is_told_of_what_changed_hands_since_it_has_the_vpc(
    world: World, subnet, make_agent
) -> None:
    for _ in range(2):
        delete(world, old := world.port(subnet, fixed_ips=["10.0.1.9"]))
    port = world.port(subnet)
    agent = make_agent(port)
    assert state(agent).handed_over == (), "its zones were empty then"
    world.port(subnet, fixed_ips=[four(old)])
    assert [one.address for one in state(agent).handed_over] == ["10.0.1.9"]
    agent.report()
    assert state(agent).handed_over == (), "it has no port of the VPC"


def test_a_port_that_comes_back_to_an_interface_that_never_went_hides_nothing(
    world: World, subnet, make_agent
) -> None:
    """Its host's agent may have been away all the time: then nobody has emptied the zone."""
    port, old = world.port(subnet), world.port(subnet)
    host, other = make_agent(port), make_agent(world.port(subnet))
    freed = delete(world, old)
    world.port(subnet, fixed_ips=[four(old)])
    told = [(subnet.vpc_id, four(old), freed, revision(world))]
    stays = link(world.port(subnet), 7, "u8")
    other.report(link(port, 6, "u9"), stays)
    assert world.look(port).host_id == other.host.meta.id
    assert state(host).handed_over == (), "it has no port of the VPC"
    other.report(stays)
    assert world.look(port).host_id == host.host.meta.id
    assert news(host) == told, "and its state is a new one"
    host.report(link(port, 5, "plugged anew"))
    assert state(host).handed_over == (), "a zone that began empty"


def test_hosts_of_nat_gateways_are_told_of_what_changes_hands_since_they_are(
    world: World, make_agent
) -> None:
    vpc, site = world.vpc(), outside(world)
    subnet = world.subnet(vpc=vpc)
    make_agent(world.port(subnet))
    site.host("edge")
    agent = site.agents["edge"]
    for _ in range(2):
        delete(world, world.port(subnet, fixed_ips=["10.0.1.8"]))
    nat = site.nat(vpc)
    assert state(agent).handed_over == ()
    freed = delete(world, world.port(subnet, fixed_ips=["10.0.1.9"]))
    news(agent)
    world.port(subnet, fixed_ips=["10.0.1.9"])
    assert news(agent) == [(vpc.meta.id, "10.0.1.9", freed, revision(world))]
    told = [(one.gateway_id, one.vpc_id) for one in state(agent).nat_gateways]
    assert told == [(nat.meta.id, vpc.meta.id)]


@ON_SQLITE
def test_what_is_told_is_bounded_and_forgotten(world: World, clock: Clock, make_agent) -> None:
    subnet = world.subnet("10.0.0.0/21")
    agent = make_agent(world.port(subnet))
    blocks = [[f"10.0.{third}.{at}" for at in range(100, 150)] for third in range(1, 8)]
    for block in blocks:
        delete(world, world.port(subnet, fixed_ips=block))
        world.port(subnet, fixed_ips=block)
    told = {one.address for one in state(agent).handed_over}
    assert told == {address for block in blocks[1:] for address in block}, "the newest"
    clock.forward((handovers.KEEP + timedelta(hours=1)).total_seconds())
    world.services.maintain()
    assert state(agent).handed_over == ()


def test_a_vpc_goes_with_what_is_remembered_of_it(world: World) -> None:
    subnet = world.subnet()
    delete(world, world.port(subnet))
    world.services.subnets.delete(ADMIN, subnet.meta.id)
    world.services.vpcs.delete(ADMIN, subnet.vpc_id)
    assert world.database.read(lambda connection: stored.of_host(connection, "")) == []
