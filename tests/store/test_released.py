"""Ports that a host has an interface for and that are not there: its state names them."""

import pytest

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.services.views import AttachmentView, PortChange, PortView
from vpcctl.store import hosts
from vpcctl.store.realisation import HostRealised
from vpcctl.store.units import present_revision


@pytest.fixture
def port(world: World) -> PortView:
    return world.port(world.subnet())


@pytest.fixture
def agents(world: World) -> list[Agent]:
    made = [world.host(f"h{n}") for n in (1, 2)]
    return [Agent(world, host, f"192.0.2.{n}") for n, host in enumerate(made, 1)]


def released(agent: Agent, *links) -> tuple[str, ...] | None:
    """What a report of what is known already brings; None when there is no new state."""
    answer = agent.report(*links, full=False)
    assert answer.accepted
    return None if answer.state is None else answer.state.released


def settled(agent: Agent, *links) -> None:
    agent.report(*links)
    while released(agent, *links) is not None:
        pass


def test_a_port_that_is_where_it_is_claimed_is_not_named(world: World, agents, port) -> None:
    settled(agents[0])
    agents[0].report(link(port))
    assert not released(agents[0], link(port))
    settled(agents[0], link(port))
    state = agents[0].state_revision
    assert released(agents[0], link(port)) is None
    assert agents[0].state_revision == state


def test_a_deleted_port_is_named_at_the_revision_of_its_deletion(world, agents, port) -> None:
    settled(agents[0], link(port))
    revision = world.services.ports.delete(ADMIN, port.meta.id)
    assert released(agents[0], link(port)) == (port.meta.id,)
    assert agents[0].state_revision == revision
    settled(agents[0])
    assert released(agents[0]) is None


def test_a_port_that_moved_is_named_where_it_was_and_no_more_when_it_is_back(
    world: World, agents, port
) -> None:
    one, two = link(port, 5, "a"), link(port, 6, "b")
    settled(agents[0], one)
    agents[1].report(two)
    assert released(agents[0], one) == (port.meta.id,)
    assert agents[0].state_revision == world.database.read(present_revision)
    agents[1].report()
    assert released(agents[0], one) == ()


def test_a_port_that_is_attached_elsewhere_is_named_where_it_was(world, agents, port) -> None:
    settled(agents[0], link(port))
    elsewhere = AttachmentView("interface", agents[1].host.meta.id, None, None)
    world.services.ports.change(ADMIN, port.meta.id, PortChange(attachment=elsewhere))
    assert released(agents[0], link(port)) == (port.meta.id,)
    here = AttachmentView("interface", agents[0].host.meta.id, None, None)
    world.services.ports.change(ADMIN, port.meta.id, PortChange(attachment=here))
    assert released(agents[0], link(port)) == ()


def test_an_interface_without_an_ofport_has_nothing_to_clean(world, agents, port) -> None:
    settled(agents[0], link(port, None))
    world.services.ports.delete(ADMIN, port.meta.id)
    assert released(agents[0], link(port, None)) is None


def test_answers_say_how_far_the_switch_is(world: World, agents, port) -> None:
    agent = agents[0]
    answer = agent.report(link(port))
    assert answer.reached_revision is None
    assert answer.revision == world.database.read(present_revision)
    host_id = agent.host.meta.id
    world.realisation.record(99, [HostRealised(host_id, 7, "pending", None, 1)])
    assert agent.report(link(port), full=False).reached_revision == 7
    world.realisation.record(99, [HostRealised(host_id, 8, "in_sync", None, 1)])
    assert agent.report(link(port), full=False).reached_revision == 99
    again = agent.send(agent.change((link(port),), (link(port),)))
    assert again.accepted
    assert again.revision == world.database.read(present_revision), "no revision was made"
    stored = world.database.read(lambda connection: hosts.reported(connection, host_id))
    assert stored is not None
    assert stored.reached == 99
