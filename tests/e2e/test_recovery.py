"""ovs-vswitchd dies while the controller is away: the agent puts the program back."""

import signal
import stat

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


def _pair(cloud: Cloud, cidr: str) -> tuple[Guest, Guest]:
    vpc = cloud.post("vpcs", cidrs=[cidr], tenant_id="recovery")
    subnet = cloud.subnet(vpc, cloud.admin, cidr=cidr)
    return cloud.guest(0, subnet), cloud.guest(1, subnet)


def _is_saved(cloud: Cloud, at: int) -> bool:
    """Tell whether the file of host *at* has as many flows as the host."""
    path = cloud.directory / f"agent-{at}" / "program"
    if not path.exists():
        return False
    return sum("cookie=" in line for line in path.read_text().splitlines()) == len(cloud.flows(at))


def _ages(cloud: Cloud, at: int) -> list[float]:
    """Return the ages of our flows on host *at*, seconds."""
    mark = "cookie=0x7663000000000000/0xffff000000000000"
    lines = cloud.hosts[at].ofctl("dump-flows", "br-int", mark).splitlines()
    return [float(line.split("duration=")[1].split("s")[0]) for line in lines if "table=" in line]


def _restart_vswitchd(cloud: Cloud, at: int) -> None:
    host = cloud.hosts[at]
    host.stop_process("ovs-vswitchd", signal.SIGKILL)
    host.start_vswitchd()


def test_the_agent_puts_flows_back_and_the_controller_changes_none_of_them(cloud: Cloud) -> None:
    one, two = _pair(cloud, "10.50.0.0/24")
    one.reaches(two.ipv4)
    before = cloud.flows(1)
    wait_until(lambda: _is_saved(cloud, 1), 20, "the program is saved")
    path = cloud.directory / "agent-1" / "program"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    cloud.stop("controller", signal.SIGKILL)
    _restart_vswitchd(cloud, 1)
    one.reaches(two.ipv4, timeout=10)
    assert cloud.flows(1) == before
    youngest = min(_ages(cloud, 1))
    cloud.start_controller()
    cloud.in_sync(1)
    assert cloud.flows(1) == before
    assert min(_ages(cloud, 1)) > youngest, "no flow was written again"
    assert one.pings(two.ipv4)


def test_a_restarted_agent_puts_flows_back_too(cloud: Cloud) -> None:
    one, two = _pair(cloud, "10.51.0.0/24")
    one.reaches(two.ipv4)
    before = cloud.flows(1)
    wait_until(lambda: _is_saved(cloud, 1), 20, "the program is saved")
    cloud.stop("controller", signal.SIGKILL)
    cloud.stop("agent-1", signal.SIGKILL)
    _restart_vswitchd(cloud, 1)
    cloud.start_agent(1)
    one.reaches(two.ipv4, timeout=15)
    assert cloud.flows(1) == before
    cloud.start_controller()
    cloud.in_sync(1)


def test_an_ofport_that_is_another_interface_now_gets_no_flow(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.52.0.0/24"], tenant_id="recovery")
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.52.0.0/24")
    still, other = cloud.guest(0, subnet), cloud.guest(1, subnet)
    port = cloud.post("ports", subnet_id=subnet["id"])
    moved = cloud.hand_made(1, port, subnet)
    still.reaches(moved.ipv4)
    wait_until(lambda: _is_saved(cloud, 1), 20, "the program is saved")
    cloud.stop("controller", signal.SIGKILL)
    host, outer = cloud.hosts[1], moved.netns.replace("vm", "vt", 1)
    ofport = host.vsctl("get", "interface", outer, "ofport")
    host.vsctl("--", "set", "interface", outer, "external_ids:iface-id=somebody-else")
    _restart_vswitchd(cloud, 1)
    still.reaches(other.ipv4, timeout=10)
    assert host.vsctl("get", "interface", outer, "ofport") == ofport
    assert "nx-match" in host.ofctl("get-frags", "br-int"), "fragments would pass unseen"
    flows = cloud.flows(1)
    assert not [flow for flow in flows if f"in_port={ofport} " in flow], flows
    assert not [flow for flow in flows if flow.endswith(f"output:{ofport}")], flows
    assert not still.pings(moved.ipv4)
    cloud.start_controller()
    cloud.in_sync(1)
    cloud.unplug(1, moved)
    cloud.delete(f"ports/{port['id']}")


def test_with_the_controller_there_the_agent_leaves_flows_alone(cloud: Cloud) -> None:
    one, two = _pair(cloud, "10.53.0.0/24")
    one.reaches(two.ipv4)
    before = cloud.flows(1)
    wait_until(lambda: _is_saved(cloud, 1), 20, "the program is saved")
    log = cloud.directory / "agent-1.log"
    said = log.read_text().count("flows put back")
    _restart_vswitchd(cloud, 1)
    one.reaches(two.ipv4, timeout=20)
    wait_until(lambda: cloud.flows(1) == before, what="all flows are back")
    cloud.in_sync(1)
    assert log.read_text().count("flows put back") == said
