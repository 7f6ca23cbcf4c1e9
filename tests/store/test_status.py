import pytest

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.model.problems import Forbidden, NotFound
from vpcctl.services.views import Actor
from vpcctl.store.realisation import HostRealised
from vpcctl.store.units import present_revision


@pytest.fixture
def scene(world: World):
    vpc = world.vpc()
    port = world.port(world.subnet(vpc=vpc))
    agents = [Agent(world, world.host(f"h{n}"), f"192.0.2.{n}") for n in (1, 2)]
    agents[0].report(link(port, 5))
    agents[1].report()
    return vpc, port, agents


def now(world: World) -> int:
    return world.database.read(present_revision)


def record(world: World, agent: Agent, state: str, revision: int = 0, error=None, done=None):
    hosts = [HostRealised(agent.host.meta.id, revision, state, error, 10)]  # type: ignore[arg-type]
    world.realisation.record(now(world) if done is None else done, hosts)


def test_a_port_becomes_active_when_its_hosts_have_it(world: World, scene) -> None:
    _, port, agents = scene
    assert world.look(port).status.state == "degraded"  # its host has never connected
    record(world, agents[0], "pending")
    assert world.look(port).status.state == "pending"
    record(world, agents[0], "in_sync", done=port.meta.revision)
    assert world.look(port).status.state == "pending"  # not its location yet
    record(world, agents[0], "in_sync")
    status = world.look(port).status
    assert (status.state, status.reason, status.hosts) == ("active", None, 1)
    record(world, agents[0], "disconnected", now(world), "gone")
    assert world.look(port).status.state == "active"  # nothing new since


def test_what_keeps_a_resource_back_is_said(world: World, scene) -> None:
    vpc, port, agents = scene
    record(world, agents[0], "degraded", 0, "table full")
    for status in (
        world.look(port).status,
        world.services.vpcs.get(ADMIN, vpc.meta.id).status,
    ):
        assert status.state == "error"
        assert "table full" in (status.reason or "")
    agents[0].report(link(port, 5, error="no such device"))
    record(world, agents[0], "in_sync")
    status = world.look(port).status
    assert status.state == "error"
    assert "no such device" in (status.reason or "")


def test_a_resource_without_ports_is_active_once_processed(world: World) -> None:
    vpc = world.vpc()
    assert world.services.vpcs.get(ADMIN, vpc.meta.id).status.state == "pending"
    world.realisation.record(vpc.meta.revision, [])
    assert world.services.vpcs.get(ADMIN, vpc.meta.id).status.state == "active"
    port = world.port(world.subnet(vpc=vpc))
    world.realisation.record(now(world), [])
    status = world.look(port).status
    assert (status.state, status.realized_revision) == ("pending", now(world))
    assert "no interface" in (status.reason or "")


def test_a_hosts_status_follows_reports_and_connection(world: World, scene) -> None:
    _, _, agents = scene
    id = agents[0].host.meta.id

    def state() -> tuple[str, str]:
        host = world.services.hosts.get(ADMIN, id)
        return host.status.state, host.connection

    assert state() == ("degraded", "disconnected")
    record(world, agents[0], "in_sync")
    assert state() == ("active", "in_sync")
    world.clock.forward(20)
    assert state() == ("degraded", "in_sync")
    world.clock.forward(20)
    assert state() == ("error", "in_sync")
    fresh = world.host("fresh")
    assert fresh.status.state == "pending"
    assert fresh.state == "never"


def test_progress_waits_for_the_hosts_of_before_and_now(world: World, scene) -> None:
    _, port, agents = scene
    status = world.services.status
    concern = status.concern(ADMIN, "port", port.meta.id)
    assert concern.hosts == {agents[0].host.meta.id}
    revision = world.services.ports.delete(ADMIN, port.meta.id)
    progress = status.progress(concern, revision)
    assert not progress.realized
    assert [id for id, _ in progress.behind] == [agents[0].host.meta.id]
    record(world, agents[0], "pending", revision - 1)
    assert not status.progress(concern, revision).realized
    record(world, agents[0], "in_sync")
    assert status.progress(concern, revision).realized
    with pytest.raises(NotFound):
        status.concern(ADMIN, "port", port.meta.id)
    host = status.concern(ADMIN, "host", agents[1].host.meta.id)
    assert not status.progress(host, revision).realized
    world.services.hosts.delete(ADMIN, agents[1].host.meta.id)
    assert status.progress(host, revision).realized


def test_rounds_for_hosts_that_are_gone_are_passed_over(world: World, scene) -> None:
    _, _, agents = scene
    world.services.hosts.delete(ADMIN, agents[1].host.meta.id)
    record(world, agents[1], "in_sync")
    summary = world.services.status.summary(ADMIN)
    assert [host.id for host in summary.hosts] == [agents[0].host.meta.id]
    assert (summary.lag, summary.ports, summary.located_ports) == (0, 1, 1)
    assert summary.revision == now(world)
    with pytest.raises(Forbidden):
        world.services.status.summary(Actor("tenant", "red"))


def test_rivals_show_in_the_status(world: World, scene) -> None:
    _, port, agents = scene
    agents[1].report(link(port, 7))
    record(world, agents[0], "in_sync")
    record(world, agents[1], "in_sync")
    view = world.look(port)
    assert view.host_id == agents[1].host.meta.id
    assert view.status.state == "degraded"
    assert agents[0].host.meta.id in (view.status.reason or "")
