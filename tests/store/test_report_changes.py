"""Reports that carry a change alone: they cost what the change costs, and never lead astray."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from tests.store.test_reports import locations, revision, warnings
from vpcctl.model.problems import Invalid, NotFound
from vpcctl.services.views import PortView
from vpcctl.store.locations import links_of_host
from vpcctl.wire.report import Link


@pytest.fixture
def ports(world: World) -> list[PortView]:
    subnet = world.subnet()
    return [world.port(subnet) for _ in range(3)]


@pytest.fixture
def agent(world: World) -> Agent:
    return Agent(world, world.host("h1"))


def stored(world: World, agent: Agent) -> dict[str, tuple[str, int | None]]:
    rows = world.database.read(lambda c: links_of_host(c, agent.host.meta.id))
    return {id: (row.interface_uuid, row.ofport) for id, row in rows.items()}


def test_a_change_adds_moves_and_removes_links(world: World, agent: Agent, ports) -> None:
    first, second = link(ports[0], 5), link(ports[1], 6)
    agent.report(first, second)
    moved, third = link(ports[0], 9), link(ports[2], 7)
    answer = agent.send(agent.change((first, second), (moved, third)))
    assert answer.accepted
    assert not answer.full_report_needed
    found = locations(world)
    assert {id: place.ofport for id, place in found.items()} == {
        ports[0].meta.id: 9,
        ports[2].meta.id: 7,
    }
    assert not agent.report(moved, third, full=False).full_report_needed


def test_a_change_of_something_else_asks_for_the_whole(world: World, agent: Agent, ports) -> None:
    first, second = link(ports[0], 5), link(ports[1], 6)
    agent.report(first)
    before = revision(world), stored(world, agent)
    answer = agent.send(agent.change((second,), (second, link(ports[2], 7))))
    assert answer.accepted
    assert answer.full_report_needed
    assert (revision(world), stored(world, agent)) == before


def test_a_change_that_does_not_lead_to_its_digest_asks_for_the_whole(
    world: World, agent: Agent, ports
) -> None:
    first, second = link(ports[0], 5), link(ports[1], 6)
    agent.report(first)
    report = agent.change((first,), (first, second))
    lame = report.model_copy(update={"links": (link(ports[2], 6),)})
    before = revision(world), stored(world, agent)
    assert agent.send(lame).full_report_needed
    assert (revision(world), stored(world, agent)) == before


def test_an_old_or_repeated_change_changes_nothing(world: World, agent: Agent, ports) -> None:
    first, second = link(ports[0], 5), link(ports[1], 6)
    agent.report(first)
    late, change = agent.change((first,), ()), agent.change((first,), (first, second))
    assert agent.send(change).accepted
    before = revision(world), stored(world, agent)
    assert not agent.send(change).accepted
    assert not agent.send(late).accepted
    assert (revision(world), stored(world, agent)) == before


def test_another_agents_change_asks_for_the_whole(world: World, agent: Agent, ports) -> None:
    first = link(ports[0], 5)
    agent.report(first)
    agent.id = "f" * 32
    assert agent.send(agent.change((first,), ())).full_report_needed
    agent.report(first)
    assert not any("another agent" in text for text in warnings(world))
    agent.report()
    assert any("another agent" in text for text in warnings(world))


def test_two_links_with_one_id_are_never_changed_by_guessing(
    world: World, agent: Agent, ports
) -> None:
    """The controller keeps one of them; the agent's digest is of both."""
    one = link(ports[0], 5, interface="a", uuid="a")
    two = link(ports[0], 6, interface="b", uuid="b")
    agent.report(one, two)
    assert agent.send(agent.change((one, two), (two,))).full_report_needed
    agent.report(two)
    assert locations(world)[ports[0].meta.id].ofport == 6


@pytest.mark.parametrize(
    "update",
    [
        {"links": None},
        {"gone": ("port-00000000000000000", "port-00000000000000000")},
        {"base": None},
    ],
)
def test_changes_that_contradict_themselves_are_refused(
    world: World, agent: Agent, ports, update: dict
) -> None:
    first = link(ports[0], 5)
    agent.report(first)
    report = agent.change((first,), (first, link(ports[1], 6)))
    with pytest.raises(Invalid):
        agent.send(report.model_copy(update=update))


def test_a_port_both_changed_and_gone_is_refused(agent: Agent, ports) -> None:
    first = link(ports[0], 5)
    report = agent.change((), (first,))
    with pytest.raises(Invalid):
        agent.send(report.model_copy(update={"gone": (first.port_id,)}))


def test_a_change_of_an_unknown_host_is_not_found(world: World, agent: Agent, ports) -> None:
    world.services.hosts.delete(ADMIN, agent.host.meta.id)
    with pytest.raises(NotFound):
        agent.send(agent.change((), (link(ports[0], 5),)))


def test_a_change_costs_the_same_however_many_links_there_are(world: World) -> None:
    """Counted: statements and rows bound or read, on a host with one link and with 200."""
    agent, subnet = Agent(world, world.host("h1")), world.subnet()
    costs = []
    links: tuple[Link, ...] = ()
    for many in (1, 200):
        more = [world.port(subnet) for _ in range(many)]
        links += tuple(link(port, n + 2 + len(links)) for n, port in enumerate(more))
        agent.report(*links)
        new = (*links, link(world.port(subnet), 1000 + many))
        costs.append(_statements(world, agent, agent.change(links, new)))
        links = new
    assert costs[0] == costs[1]
    assert sum(costs[1].values()) <= 14  # two of them PostgreSQL's NOTIFY


def _statements(world: World, agent: Agent, report) -> dict[str, int]:
    found: dict[str, int] = {}

    def count(_c, _cursor, statement, parameters, _context, many) -> None:
        rows = len(parameters) if many else 1
        found[statement] = found.get(statement, 0) + rows

    event.listen(world.database.engine, "before_cursor_execute", count)
    try:
        assert not agent.send(report).full_report_needed
    finally:
        event.remove(world.database.engine, "before_cursor_execute", count)
    return found


STATES = st.dictionaries(
    st.integers(0, 2), st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=3
)
STEPS = st.lists(
    st.tuples(STATES, st.sampled_from(["change", "change", "full", "digest"]), st.booleans()),
    max_size=14,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, replays=st.lists(st.integers(0, 20), max_size=6))
def test_changes_full_reports_losses_and_replays_end_in_what_the_host_has(
    world: World, steps, replays
) -> None:
    """Any of them in any order: whatever the controller does not ask about is what the host has."""
    subnet = world.subnet()
    ports = [world.port(subnet) for _ in range(3)]
    host = world.host("any")
    agent = Agent(world, host, f"198.19.{host.key // 250}.{host.key % 250}")
    believed: tuple[Link, ...] = ()
    sent = []
    for state, form, lost in steps:
        links = tuple(link(ports[p], ofport, uuid) for p, (uuid, ofport) in state.items())
        if form == "change":
            report = agent.change(believed, links)
        else:
            report = agent.make(*links, full=form == "full")
        believed = links  # an agent that takes more for granted than a real one does
        if lost:
            continue
        answer = agent.send(report)
        assert answer.accepted
        sent.append(report)
        for at in replays:
            if at < len(sent):
                assert not agent.send(sent[at]).accepted
        if not answer.full_report_needed:
            assert stored(world, agent) == {
                ports[p].meta.id: (uuid, ofport) for p, (uuid, ofport) in state.items()
            }
    agent.report(*believed)
    assert stored(world, agent).keys() == {each.port_id for each in believed}
