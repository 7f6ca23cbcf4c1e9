"""The host's own stack stays out of the tenants' networks, and out of the tunnel's packets."""

import json
import signal

from tests.hosts.conftest import AgentHost, Make
from tests.support.controller import attachment, port_id
from tests.support.dummy_ovs import listens
from tests.support.waiting import wait_until


def _mac(agent: AgentHost, device: str) -> str:
    shown = json.loads(agent.host.run("ip", "-j", "link", "show", device).stdout)
    return shown[0]["address"]


def _counter(agent: AgentHost, family: str, name: str) -> int:
    """One of the host's own protocol counters."""
    lines = agent.host.run("cat", "/proc/net/snmp").stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith(family))
    return int(values[names.index(name)])


def test_guest_cannot_reach_the_hosts_own_addresses(running: AgentHost) -> None:
    running.host.run("ip", "addr", "add", "203.0.113.1/24", "dev", "lo")
    running.controller.attach(attachment(2, "red", "203.0.113.2/24"))
    wait_until(lambda: running.controller.has_port(port_id(2)))
    link = running.controller.link(port_id(2))
    assert link is not None
    running.inside("red", "ping", "-c1", "-W1", "203.0.113.1", check=False)
    learned = running.inside("red", "ip", "neigh", "show", "203.0.113.1")
    assert "lladdr" not in learned, "ARP for an address of the host was answered"
    neighbour = ("lladdr", _mac(running, link.interface), "dev", "eth0", "nud", "permanent")
    running.inside("red", "ip", "neigh", "replace", "203.0.113.1", *neighbour)
    running.inside("red", "ping", "-c1", "-W1", "203.0.113.1", check=False)
    assert _counter(running, "Icmp:", "InEchos") == 0, "the host took a guest's packet"
    assert "inet6" not in running.host.run("ip", "addr", "show", link.interface).stdout


def test_the_hosts_stack_keeps_off_what_others_plugged(running: AgentHost) -> None:
    running.host.run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "guest0")
    running.host.run("ip", "link", "set", "tap0", "up")
    running.host.vsctl(
        *("add-port", "br-int", "tap0", "--", "set", "interface", "tap0"),
        f"external_ids:iface-id={port_id(4)}",
    )
    wait_until(lambda: running.controller.has_port(port_id(4)))
    wait_until(lambda: "inet6" not in running.host.run("ip", "addr", "show", "tap0").stdout)
    settings = "/proc/sys/net/ipv4/conf/tap0"
    shown = running.host.run("cat", f"{settings}/rp_filter", f"{settings}/arp_ignore").stdout
    assert shown.split() == ["1", "8"]


def test_host_answers_once_through_its_underlay_bridge(make_hosts: Make) -> None:
    agent, other = make_hosts(2)
    agent.start()
    wait_until(lambda: "br-underlay" in agent.host.run("ip", "route").stdout)
    shown = other.host.run("ping", "-c5", "-i0.1", "-W1", agent.host.address).stdout
    assert "5 received" in shown
    assert "duplicates" not in shown
    tunnel = ("bash", "-c", f"echo x > /dev/udp/{agent.host.address}/4789")
    other.host.run(*tunnel)
    assert _counter(agent, "Udp:", "NoPorts") == 0


def test_guests_work_again_after_vswitchd_was_killed(running: AgentHost) -> None:
    running.controller.attach(
        attachment(2, "red", "10.0.0.2/24"), attachment(3, "blue", "10.0.0.3/24")
    )
    for at in (2, 3):
        wait_until(lambda at=at: running.controller.has_port(port_id(at)))
    before = _ofports(running)
    running.host.stop_process("ovs-vswitchd", signal.SIGKILL)
    wait_until(lambda: any("does not run" in text for text in running.controller.facts.errors))
    running.host.start_vswitchd()
    # It answers, and the agent says that all is well, before it has made its bridges.
    wait_until(lambda: listens(running.host.directory / "br-int.mgmt"), what="br-int")
    wait_until(running.is_up)
    wait_until(lambda: _ofports(running) == before, what="the same ofports")
    for here, there in (before, before[::-1]):
        running.host.ofctl("add-flow", "br-int", f"in_port={here},actions=output:{there}")
    ping = ("ping", "-c3", "-i0.1", "-W2", "10.0.0.3")
    wait_until(lambda: "3 received" in running.inside("red", *ping, check=False), what="answers")


def _ofports(agent: AgentHost) -> list[int | None]:
    links = agent.controller.links
    return [links[key].ofport for key in sorted(links)]
