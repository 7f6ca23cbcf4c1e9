import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, counted, facts, link
from vpcctl.model.location import Location
from vpcctl.model.problems import Conflict, Forbidden, Invalid, NotFound
from vpcctl.services.views import Actor, AttachmentView, HostChange, HostView, PortChange, PortView
from vpcctl.store.units import present_revision
from vpcctl.wire.report import digest


def revision(world: World) -> int:
    return world.database.read(present_revision)


def locations(world: World) -> dict[str, Location]:
    return {c.id: c.resource for c in world.feed.load().changes if c.kind == "location"}


def warnings(world: World) -> list[str]:
    events = world.services.events.since(ADMIN, (0, 0), 5000)
    return [event.detail for event in events if event.action == "warning"]


def liveness(world: World) -> list[tuple[str, str]]:
    """What was told of hosts coming and going: only going is a warning."""
    events = world.services.events.since(ADMIN, (0, 0), 5000)
    return [(event.detail, event.action) for event in events if event.detail.startswith("h1 is ")]


UP, LATE, DOWN = ("h1 is up", "changed"), ("h1 is late", "warning"), ("h1 is down", "warning")
DEAD = "h1 is dead", "warning"


@pytest.fixture
def ports(world: World) -> list[PortView]:
    subnet = world.subnet()
    return [world.port(subnet) for _ in range(3)]


@pytest.fixture
def agents(world: World) -> list[Agent]:
    hosts = [world.host(f"h{n}") for n in range(1, 4)]
    return [Agent(world, host, f"192.0.2.{n}") for n, host in enumerate(hosts, 1)]


def test_a_report_locates_ports_and_fills_in_the_host(world: World, agents, ports) -> None:
    answer = agents[0].report(link(ports[0], 5), link(ports[1], 6))
    assert answer.accepted
    assert not answer.full_report_needed
    assert locations(world) == {
        ports[0].meta.id: Location(ports[0].meta.id, agents[0].host.meta.id, 5),
        ports[1].meta.id: Location(ports[1].meta.id, agents[0].host.meta.id, 6),
    }
    host = world.services.hosts.get(ADMIN, agents[0].host.meta.id)
    assert (host.state, host.ports, str(host.vtep_address)) == ("up", 2, "192.0.2.1")
    seen = world.look(ports[0])
    assert seen.host_id == host.meta.id
    assert [claim.state for claim in seen.claims] == ["won"]


def test_an_unchanged_report_writes_nothing(world: World, agents, ports) -> None:
    links = (link(ports[0]),)
    agents[0].report(*links)
    before = revision(world)
    assert agents[0].report(*links, full=False).model_dump(exclude={"state"}) == {
        "realised_revision": None,
        "accepted": True,
        "full_report_needed": False,
        "revision": before,
        "reached_revision": None,
    }
    agents[0].report(*links)
    assert revision(world) == before


def test_an_unknown_digest_asks_for_the_whole(world: World, agents, ports) -> None:
    answer = agents[0].report(link(ports[0]), full=False)
    assert answer.accepted
    assert answer.full_report_needed
    assert locations(world) == {}


def test_a_port_moves_by_reports_alone(world: World, agents, ports) -> None:
    agents[0].report(link(ports[0], 5))
    agents[0].report()
    agents[1].report(link(ports[0], 9))
    id = ports[0].meta.id
    assert locations(world)[id] == Location(id, agents[1].host.meta.id, 9)
    assert world.look(ports[0]).meta.revision == ports[0].meta.revision


def test_a_claim_that_comes_before_the_old_one_goes_moves_a_port_in_one_step(
    world: World, agents, ports
) -> None:
    agents[0].report(link(ports[0], 5))
    agents[1].report()
    before = revision(world)
    agents[1].report(link(ports[0], 9))
    agents[0].report()
    batch = world.feed.changes(before)
    assert batch is not None
    id = ports[0].meta.id
    assert [(c.kind, c.resource) for c in batch.changes] == [
        ("location", Location(id, agents[1].host.meta.id, 9))
    ]
    moves = [
        event.detail
        for event in world.services.events.since(ADMIN, (before, 1000), 5000)
        if event.kind == "location"
    ]
    assert len(moves) == 1


def test_the_newest_claim_wins_and_stays(world: World, agents, ports) -> None:
    one, two = link(ports[0], 5, "a"), link(ports[0], 6, "b")
    agents[0].report(one)
    agents[1].report(two)
    winner = agents[1].host.meta.id
    assert locations(world)[ports[0].meta.id].host_id == winner
    before = revision(world)
    for _ in range(3):
        agents[0].report(one)
        agents[1].report(two)
        agents[0].report(one, full=False)
    assert revision(world) == before
    view = world.look(ports[0])
    assert [(c.host_id, c.state) for c in view.claims] == [
        (winner, "won"),
        (agents[0].host.meta.id, "lost"),
    ]
    assert len([text for text in warnings(world) if "claims it, too" in text]) == 1
    agents[1].report()
    assert locations(world)[ports[0].meta.id].host_id == agents[0].host.meta.id


def test_a_new_interface_is_a_new_claim(world: World, agents, ports) -> None:
    agents[0].report(link(ports[0], 5, "a"))
    agents[1].report(link(ports[0], 6, "b"))
    agents[0].report(link(ports[0], 5, "c"))
    assert locations(world)[ports[0].meta.id].host_id == agents[0].host.meta.id


def test_the_attachment_decides_who_may_have_it(world: World, agents, ports) -> None:
    first, second = (agent.host.meta.id for agent in agents[:2])
    wanted = AttachmentView("interface", first, "tap0", None)
    id = ports[0].meta.id
    world.services.ports.change(ADMIN, id, PortChange(attachment=wanted))
    agents[0].report(link(ports[0], 5))
    agents[1].report(link(ports[0], 6))
    assert locations(world)[id].host_id == first
    states = {claim.host_id: claim.state for claim in world.look(ports[0]).claims}
    assert states == {first: "won", second: "refused"}
    wanted = AttachmentView("interface", second, "tap0", None)
    world.services.ports.change(ADMIN, id, PortChange(attachment=wanted))
    assert locations(world)[id].host_id == second
    world.services.ports.change(ADMIN, id, PortChange(attachment=None))
    assert locations(world)[id].host_id == second


def test_a_link_without_ofport_waits(world: World, agents, ports) -> None:
    agents[0].report(link(ports[0], None))
    assert locations(world) == {}
    assert world.look(ports[0]).claims[0].state == "waiting"
    agents[0].report(link(ports[0], 7))
    assert locations(world)[ports[0].meta.id].ofport == 7


def test_unknown_ports_are_seen_and_ignored(world: World, agents, ports) -> None:
    stranger = "port-00000000000000000"
    agents[0].report(link(stranger, 5), link(ports[0], 6))
    assert set(locations(world)) == {ports[0].meta.id}
    host = world.services.hosts.get(ADMIN, agents[0].host.meta.id)
    assert any(stranger in error for error in host.errors)


def test_two_interfaces_of_one_port_on_a_host_are_one_claim(world: World, agents, ports) -> None:
    broken = link(ports[0], None, "a", interface="a0")
    working = link(ports[0], 7, "b", interface="b0")
    agents[0].report(broken, working)
    assert locations(world)[ports[0].meta.id].ofport == 7


def test_a_vtep_belongs_to_one_host(world: World, agents, ports) -> None:
    agents[0].report()
    agents[1].facts = facts("192.0.2.1")
    before = world.feed.load()
    with pytest.raises(Conflict) as caught:
        agents[1].report(link(ports[0]))
    assert agents[0].host.meta.id in caught.value.detail
    assert world.feed.load() == before


def test_a_pinned_vtep_stays(world: World, agents) -> None:
    host = world.host("pinned", vtep_address="192.0.2.77")
    agent = Agent(world, host, "192.0.2.78")
    with pytest.raises(Conflict) as caught:
        agent.report()
    assert caught.value.accepted == "192.0.2.77"
    agent.facts = facts("192.0.2.77")
    assert agent.report().accepted


def test_pinning_another_vtep_asks_the_agent_again(world: World, agents) -> None:
    agents[0].report()
    pin = HostChange(vtep_address="192.0.2.99")
    world.services.hosts.change(ADMIN, agents[0].host.meta.id, pin)
    assert agents[0].report(full=False).full_report_needed
    with pytest.raises(Conflict):
        agents[0].report()
    agents[0].facts = facts("192.0.2.99")
    assert agents[0].report().accepted


@pytest.mark.parametrize("vtep", ["x", "224.0.0.1", "0.0.0.0", "::", "fe80::1", "1.2.3.4/8"])
def test_a_vtep_that_is_none_is_refused(world: World, agents, vtep: str) -> None:
    agents[0].facts = facts(vtep)
    with pytest.raises(Invalid) as caught:
        agents[0].report()
    assert caught.value.field == "facts.vtep_address"


def test_reports_are_bound_to_their_host(world: World, agents) -> None:
    report = agents[0].make()
    other = Actor("host", host_id=agents[1].host.meta.id)
    with pytest.raises(Forbidden):
        world.services.reports.accept(other, agents[0].host.meta.id, report)
    with pytest.raises(Forbidden):
        world.services.reports.accept(Actor("tenant", "red"), agents[0].host.meta.id, report)
    with pytest.raises(NotFound):
        world.services.reports.accept(ADMIN, "host-00000000000000000", report)
    own = Actor("host", host_id=agents[0].host.meta.id)
    assert world.services.reports.accept(own, agents[0].host.meta.id, report).accepted


def test_a_report_that_contradicts_itself_is_refused(world: World, agents, ports) -> None:
    good = agents[0].make(link(ports[0]))
    for bad, field in (
        (good.model_copy(update={"digest": "0" * 64}), "digest"),
        (good.model_copy(update={"facts": None}), "facts"),
        (good.model_copy(update={"links": None}), "links"),
    ):
        with pytest.raises(Invalid) as caught:
            agents[0].send(bad)
        assert caught.value.field == field
    nul = link(ports[0], error="a\0b")
    with pytest.raises(Invalid) as caught:
        agents[0].report(nul)
    assert caught.value.field == "links.0.error"
    assert locations(world) == {}


def test_counters_and_times_are_written_together_later(world: World, agents, ports) -> None:
    agents[0].report(link(ports[0]))
    world.services.reports.flush_liveness()
    before = revision(world)
    world.clock.forward(5)
    agents[0].report(counted(link(ports[0]), 1234))
    assert world.look(ports[0]).claims[0].link["counters"]["rx_packets"] == 0
    assert world.services.reports.flush_liveness() == 1
    assert world.services.reports.flush_liveness() == 0
    assert world.look(ports[0]).claims[0].link["counters"]["rx_packets"] == 1234
    assert revision(world) == before
    host = world.services.hosts.get(ADMIN, agents[0].host.meta.id)
    assert host.last_report_at == world.clock.now


def test_positions_outlive_a_restart(world: World, agents, ports, make_services) -> None:
    old = agents[0].make(link(ports[0], 5))
    agents[0].report(link(ports[0], 6))
    agents[0].report(link(ports[0], 6), full=False)
    world.services.reports.flush_liveness()
    world.services = make_services()
    assert not agents[0].send(old).accepted
    assert locations(world)[ports[0].meta.id].ofport == 6
    agents[0].boot, agents[0].sequence = 2, 0
    assert agents[0].report(link(ports[0], 7)).accepted


def test_liveness_is_told_once_each_time(world: World, agents) -> None:
    agents[0].report()
    sweep = world.services.reports.sweep_liveness
    told = []
    for seconds in (0, 5, 11, 0, 20, 0, 0):
        world.clock.forward(seconds)
        sweep()
        host = world.services.hosts.get(ADMIN, agents[0].host.meta.id)
        told.append((host.state, liveness(world)))
    assert told == [
        ("up", [UP]),
        ("up", [UP]),
        ("late", [UP, LATE]),
        ("late", [UP, LATE]),
        ("down", [UP, LATE, DOWN]),
        ("down", [UP, LATE, DOWN, DEAD]),  # its switch is not connected either
        ("down", [UP, LATE, DOWN, DEAD]),
    ]
    agents[0].report(full=False)
    world.services.maintain()
    assert liveness(world)[-1] == UP


def test_a_restart_declares_nobody_down(world: World, agents, make_services) -> None:
    agents[0].report()
    world.services.maintain()
    world.clock.forward(3600)
    world.services = make_services()
    world.services.maintain()
    assert liveness(world) == [UP]
    world.clock.forward(31)
    world.services.maintain()
    assert liveness(world) == [UP, DOWN]
    world.services = make_services()
    world.services.maintain()
    assert liveness(world) == [UP, DOWN]


def test_the_state_comes_with_the_answer_once(world: World, agents, ports) -> None:
    assert agents[0].report().state is not None
    assert agents[0].report(full=False).state is None
    wanted = AttachmentView("namespace", agents[0].host.meta.id, None, None)
    world.services.ports.change(ADMIN, ports[0].meta.id, PortChange(attachment=wanted))
    state = agents[0].report(full=False).state
    assert state is not None
    (attachment,) = state.attachments
    assert attachment.port_id == ports[0].meta.id
    assert (attachment.interface, attachment.netns) == ("eth0", ports[0].meta.id)
    assert attachment.addresses[0].model_dump() == {
        "address": "10.0.1.2",
        "prefix_length": 24,
        "gateway": "10.0.1.1",
    }
    assert attachment.mtu == 1450
    assert agents[0].report(full=False).state is None


def state_revisions(world: World, hosts: list[HostView]) -> list[int]:
    return [world.services.hosts.state_revision(ADMIN, host.meta.id) for host in hosts]


def test_a_state_moves_only_with_its_own_content(world: World, agents, ports) -> None:
    hosts = [agent.host for agent in agents]
    for agent in agents:
        agent.report()
    agents[0].report(link(ports[0], 5))
    before = state_revisions(world, hosts)
    agents[0].report(link(ports[0], 6))
    world.port(world.subnet("10.0.9.0/24"))
    assert state_revisions(world, hosts) == before
    wanted = AttachmentView("namespace", hosts[1].meta.id, None, None)
    world.services.ports.change(ADMIN, ports[1].meta.id, PortChange(attachment=wanted))
    after = state_revisions(world, hosts)
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] > before[1]
    agents[2].facts = facts("192.0.2.33")
    agents[2].report()
    later = state_revisions(world, hosts)
    assert later[0] > after[0]
    assert later[1] > after[1]
    assert later[2] == after[2]
    agents[0].facts = facts("192.0.2.1", underlay_mtu=1400)
    agents[0].report(link(ports[0], 6))
    last = state_revisions(world, hosts)
    assert last[2] == later[2]
    assert last[0] > later[0]
    assert last[1] > later[1]
    assert world.look(ports[0]).mtu == 1350
    peers = world.services.hosts.state(ADMIN, hosts[0].meta.id).peers
    assert [peer.vtep_address for peer in peers if peer.host_id == hosts[2].meta.id] == [
        "192.0.2.33"
    ]


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which agent
        st.dictionaries(
            st.integers(0, 2), st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 3)), max_size=3
        ),
        st.sampled_from(["send", "send", "lose", "replay"]),
    ),
    max_size=12,
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, pins=st.dictionaries(st.integers(0, 2), st.integers(0, 2), max_size=2))
def test_locations_are_as_a_simple_model_says(world: World, steps, pins) -> None:
    """The model keeps, per port, claims in the order in which they first appeared."""
    subnet = world.subnet()
    agents = [
        Agent(world, host, f"198.18.{n}.{host.key % 250}")
        for n, host in enumerate(world.host(f"m{n}") for n in range(3))
    ]
    for agent in agents:
        agent.facts = facts(f"198.18.{agent.host.key // 250}.{agent.host.key % 250}")
    ports = [world.port(subnet) for _ in range(3)]
    for port, agent in pins.items():
        wanted = AttachmentView("interface", agents[agent].host.meta.id, f"t{port}", None)
        world.services.ports.change(ADMIN, ports[port].meta.id, PortChange(attachment=wanted))
    claims: dict[int, list[tuple[int, str, int]]] = {0: [], 1: [], 2: []}
    sent: dict[int, list] = {0: [], 1: [], 2: []}
    for number, links, fate in steps:
        agent = agents[number]
        report = agent.make(*(link(ports[p], o, u) for p, (u, o) in links.items()))
        if fate == "replay" and sent[number]:
            before = revision(world)
            for old in sent[number]:
                assert not agent.send(old).accepted
            assert revision(world) == before
            continue
        if fate == "lose":
            continue
        assert agent.send(report).accepted
        sent[number].append(report)
        for port in range(3):
            mine = [c for c in claims[port] if c[0] == number]
            if port not in links:
                claims[port] = [c for c in claims[port] if c[0] != number]
            elif mine and mine[0][1] == links[port][0]:
                place = claims[port].index(mine[0])
                claims[port][place] = (number, *links[port])
            else:
                claims[port] = [c for c in claims[port] if c[0] != number]
                claims[port].append((number, *links[port]))
    found = locations(world)
    for port in range(3):
        able = [c for c in claims[port] if pins.get(port, c[0]) == c[0]]
        id = ports[port].meta.id
        if not able:
            assert id not in found
            continue
        owner, _, ofport = able[-1]
        assert found[id] == Location(id, agents[owner].host.meta.id, ofport)


def test_reports_in_any_order_end_like_the_newest(world: World, agents, ports) -> None:
    made = [agents[0].make(link(ports[0], n)) for n in (1, 2, 3, 4)]
    assert [agents[0].send(made[n]).accepted for n in (1, 0, 3, 2, 3, 1)] == [
        True,
        False,
        True,
        False,
        False,
        False,
    ]
    assert locations(world)[ports[0].meta.id].ofport == 4
    assert digest(agents[0].facts, made[3].links or ()) == made[3].digest
