"""Agents killed at any moment: the next one finishes or removes what it finds."""

import random
import signal
import threading

import pytest

from tests.hosts.conftest import AgentHost
from tests.support.controller import attachment, port_id
from tests.support.waiting import wait_until
from vpcctl.wire.state import Attachment


def _some(generator: random.Random) -> list[Attachment]:
    numbers = sorted(generator.sample(range(2, 14), generator.randint(0, 10)))
    return [
        attachment(
            at,
            f"n{at % 5}",
            f"10.0.0.{at}/24",
            interface=f"eth{at}",
            mtu=generator.choice((1400, 1450)),
        )
        for at in numbers
    ]


def _is_exactly(agent: AgentHost, wanted: list[Attachment]) -> bool:
    names = {each.netns for each in wanted}
    if set(agent.namespaces()) != names or len(agent.devices()) != len(wanted):
        return False
    links = agent.controller.links.values()
    return {link.port_id for link in links if link.ofport} == {each.port_id for each in wanted}


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_ends_as_wanted(agent: AgentHost, seed: int) -> None:
    generator = random.Random(seed)
    agent.start()
    wanted: list[Attachment] = []
    for _ in range(6):
        wanted = _some(generator)
        agent.controller.attach(*wanted)
        threading.Event().wait(generator.uniform(0, 0.12))  # the moment is the point
        agent.stop(signal.SIGKILL)
        if generator.random() < 0.5:
            for path in agent.state_dir.glob("*"):
                path.unlink()
        agent.start(wait=False)
    wait_until(lambda: _is_exactly(agent, wanted), timeout=15, what="exactly what is wanted")
    for each in wanted:
        shown = agent.inside(str(each.netns), "ip", "addr", "show", each.interface)
        assert f"{each.addresses[0].address}/24" in shown
        assert f"mtu {each.mtu}" in shown
    agent.controller.attach()
    wait_until(lambda: _is_exactly(agent, []), what="nothing left")
    ours = ["vpcctl-guests", "vpcctl-services", "vpcctl-vxlan"]
    wait_until(lambda: agent.host.vsctl("list-ports", "br-int").split() == ours)


def test_new_work_is_done_without_delay(running: AgentHost) -> None:
    running.controller.attach(attachment(2, "red", "10.0.0.2/24"))
    wait_until(lambda: running.controller.has_port(port_id(2)))
    times: list[float] = []
    for at in range(3, 9):
        wanted = (*running.controller.state.attachments, attachment(at, f"n{at}", "10.0.0.9/24"))
        started = running.controller.attach(*wanted)
        wait_until(lambda at=at: running.controller.has_port(port_id(at)))
        times.append(running.controller.reports[-1][0] - started)
    assert min(times) < 0.1, "somewhere something waits for a clock"
