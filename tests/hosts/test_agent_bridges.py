"""br-int, the tunnel and the underlay bridge on a real Open vSwitch."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.decide import marks
from tests.hosts.conftest import AgentHost, Make
from tests.support.controller import attachment, port_id
from tests.support.waiting import wait_until


def _rows(agent: AgentHost) -> dict[str, Any]:
    """Every row with what the agent writes, by table and UUID; counters and state left out."""
    vsctl = agent.host.vsctl
    wait_until(lambda: _answers_names(agent), what="the agent's process for names is connected")
    columns = {
        "Bridge": "_uuid,name,ports,fail_mode,protocols,other_config,external_ids,controller",
        "Port": "_uuid,name,interfaces,external_ids",
        "Interface": "_uuid,name,type,options,external_ids,ofport",
        "Controller": "_uuid,target,connection_mode,inactivity_probe,max_backoff,external_ids",
    }
    told = {
        table: vsctl("--format=json", f"--columns={names}", "list", table)
        for table, names in columns.items()
    }
    return {table: _in_order(json.loads(text)["data"]) for table, text in told.items()}


def _answers_names(agent: AgentHost) -> bool:
    """Tell whether every agent that was started has said that its process answers."""
    said = agent.log.read_text()
    return said.count("are answered by process") >= said.count("] datapath: ")


def _in_order(value: Any) -> Any:
    """Return lists within lists in an order of their contents: OVSDB has none."""
    return sorted(map(_in_order, value), key=str) if isinstance(value, list) else value


def test_integration_bridge_is_set_up_as_the_host_state_says(running: AgentHost) -> None:
    get = running.host.vsctl
    assert get("get", "bridge", "br-int", "fail_mode") == "secure"
    assert get("get", "bridge", "br-int", "other_config:disable-in-band") == '"true"'
    assert get("get", "bridge", "br-int", "datapath_id") == '"7663000000000001"'
    assert get("get", "bridge", "br-int", "datapath_type") == "netdev"
    shown = get("get", "bridge", "br-int", "protocols")
    assert shown == "[OpenFlow13, OpenFlow14, OpenFlow15]"
    link = Path(get("get-controller", "br-int").removeprefix("unix:"))
    assert link.parent == running.host.directory  # where ovs-vswitchd may connect
    assert link.readlink() == Path("/nonexistent/of.sock")
    assert get("get", "controller", "br-int", "connection_mode") == "out-of-band"
    assert get("get", "controller", "br-int", "max_backoff") == "1000"
    options = get("get", "interface", "vpcctl-vxlan", "options")
    assert "remote_ip=flow" in options
    assert "key=flow" in options
    assert running.host.address in options
    facts = running.controller.facts
    assert (facts.datapath_type, facts.nd_extensions) == ("netdev", True)
    assert (facts.vtep_address, facts.underlay_mtu) == (running.host.address, 1500)
    assert facts.ovs_version == "3.1.0"


def test_second_start_changes_no_row(running: AgentHost) -> None:
    before = _rows(running)
    running.stop()
    running.start()
    assert _rows(running) == before


def test_targets_and_datapath_id_follow_the_host_state(running: AgentHost) -> None:
    kept = running.host.vsctl("get", "bridge", "br-int", "controller").strip("[]")
    running.controller.set(openflow_targets=("unix:/nonexistent/of.sock", "tcp:127.0.0.1:6653"))
    wait_until(lambda: "tcp:127.0.0.1:6653" in running.host.vsctl("get-controller", "br-int"))
    assert kept in running.host.vsctl("get", "bridge", "br-int", "controller")
    running.controller.set(dpid=0x7663_0000_0000_0042)
    wait_until(lambda: running.controller.facts.dpid == 0x7663_0000_0000_0042)


def test_integration_bridge_comes_back_after_somebody_deleted_it(running: AgentHost) -> None:
    running.controller.attach(attachment(2, "red", "10.0.0.2/24"))
    wait_until(lambda: running.controller.has_port(port_id(2)))
    its_port = ("--bare", "--columns=_uuid", "find", "interface")
    its_port += (f"external_ids:iface-id={port_id(2)}",)
    before = running.host.vsctl(*its_port)
    running.host.vsctl("del-br", "br-int")
    # What is back at once is never reported as gone: only its row tells the one from the other.
    wait_until(lambda: running.host.vsctl(*its_port) not in ("", before))
    wait_until(lambda: running.controller.has_port(port_id(2)))
    assert running.host.vsctl("get", "bridge", "br-int", "fail_mode") == "secure"


def test_nothing_is_set_up_before_the_first_host_state(agent: AgentHost) -> None:
    agent.controller.answer = (503, b"later")
    agent.start(wait=False)
    wait_until(lambda: "503 later" in agent.log.read_text())
    assert agent.host.vsctl("list-br") == ""
    agent.controller.answer = None
    wait_until(agent.is_up)


def test_bridge_of_another_host_id_is_refused(agent: AgentHost) -> None:
    agent.host.vsctl(
        *("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"),
        "external_ids:vpcctl-owner=host-aaaaaaaaaaaaaaaaa",
    )
    agent.start(wait=False)
    wait_until(lambda: agent.controller.facts and agent.controller.facts.errors)
    wait_until(lambda: any("belongs to" in each for each in agent.controller.facts.errors))
    assert agent.host.vsctl("get", "bridge", "br-int", "fail_mode") == "[]"


def _most_fragments(agent: AgentHost) -> list[str]:
    """Return how many fragments ovs-vswitchd holds at most; nothing without a datapath."""
    shown = agent.host.appctl("dpctl/ipf-get-status", "netdev@ovs-netdev", check=False)
    return re.findall(r"max num frags \(v4/v6\): (\d+)", shown)


def test_every_ovs_vswitchd_holds_as_many_fragments_as_it_can(make_hosts: Make) -> None:
    (agent,) = make_hosts(1)
    agent.start()
    wait_until(lambda: _most_fragments(agent) == ["5000"])
    agent.host.stop_process("ovs-vswitchd", signal.SIGKILL)
    agent.host.start_vswitchd()
    wait_until(lambda: _most_fragments(agent) == ["5000"])


def _underlay_is_up(agent: AgentHost) -> bool:
    shown = agent.host.run("ip", "-4", "-br", "addr", "show", "br-underlay", check=False).stdout
    return agent.host.address in shown


def test_underlay_moves_and_survives_vswitchd_and_is_given_back(make_hosts: Make) -> None:
    agent, other = make_hosts(2)
    gateway = other.host.address
    agent.host.run("ip", "route", "add", "192.0.2.0/24", "via", gateway, "metric", "77")
    agent.start()
    wait_until(lambda: _underlay_is_up(agent))
    agent.host.run("ping", "-c1", "-W2", other.host.address)
    assert f"192.0.2.0/24 via {gateway} dev br-underlay" in agent.host.run("ip", "route").stdout
    agent.host.stop_process("ovs-vswitchd", signal.SIGKILL)
    wait_until(lambda: any("does not run" in text for text in agent.controller.facts.errors))
    agent.host.run("ip", "link", "del", "br-underlay")  # gone where the device is not persistent
    agent.host.start_vswitchd()
    wait_until(lambda: _underlay_is_up(agent))
    agent.host.run("ping", "-c1", "-W2", other.host.address)
    assert "192.0.2.0/24" in agent.host.run("ip", "route").stdout
    agent.stop()
    assert agent.once("clean").returncode == 0
    assert marks.SERVICES not in agent.host.run("ip", "link").stdout
    assert agent.mounts() == []
    assert agent.host.vsctl("list-br") == ""
    shown = agent.host.run("ip", "-4", "-br", "addr", "show", "eth0").stdout
    assert f"{agent.host.address}/24" in shown
    route = f"192.0.2.0/24 via {gateway} dev eth0 metric 77"
    assert route in agent.host.run("ip", "route").stdout
    agent.host.run("ping", "-c1", "-W2", other.host.address)


def test_underlay_survives_agent_that_was_killed_half_way(make_hosts: Make) -> None:
    agent, other = make_hosts(2)
    agent.start()
    wait_until(lambda: _underlay_is_up(agent))
    agent.stop(signal.SIGKILL)
    # As if it had been killed after taking the address from the device.
    agent.host.run("ip", "addr", "flush", "dev", "br-underlay")
    agent.start()
    wait_until(lambda: _underlay_is_up(agent))
    agent.host.run("ping", "-c1", "-W2", other.host.address)


def _connect(agent: AgentHost, peer: AgentHost) -> None:
    """Two flows that join one guest with the tunnel to the peer."""
    guest, tunnel = agent.controller.link(port_id(2)), agent.controller.facts.tunnel_ofport
    assert guest is not None
    agent.host.ofctl(
        "add-flow",
        "br-int",
        f"in_port={guest.ofport},actions=set_field:{peer.host.address}->tun_dst,"
        f"set_field:7->tun_id,output:{tunnel}",
    )
    agent.host.ofctl("add-flow", "br-int", f"in_port={tunnel},actions=output:{guest.ofport}")


def test_first_packet_through_the_tunnel_is_not_lost(make_hosts: Make) -> None:
    pair = make_hosts(2)
    for at, agent in enumerate(pair, 1):
        agent.start()
        agent.controller.attach(attachment(2, f"guest{at}", f"10.0.0.{at + 1}/24"))
    for agent, peer in (pair, reversed(pair)):
        wait_until(lambda agent=agent: agent.controller.has_port(port_id(2)))
        agent.controller.peers(peer.host.address)
        wait_until(
            lambda agent=agent, peer=peer: peer.host.address in agent.host.appctl("tnl/neigh/show"),
            what="a tunnel neighbour",
        )
        _connect(agent, peer)
    for at in (1, 2):
        mac = "0e:00:00:00:00:02"
        pair[at - 1].inside(
            f"guest{at}",
            *("ip", "neigh", "add", f"10.0.0.{4 - at}", "lladdr", mac, "dev", "eth0"),
        )
    # The peer's MAC is the same on purpose: what matters here is the outer header.
    shown = pair[0].inside("guest1", "ping", "-c1", "-W2", "10.0.0.3")
    assert "1 received" in shown


@contextmanager
def _over_tcp(agent: AgentHost) -> Iterator[str]:
    """The controller's API at the host's own underlay address."""
    port = 8080
    relay = agent.host.spawn(
        "socat", f"TCP-LISTEN:{port},reuseaddr,fork", f"UNIX-CONNECT:{agent.socket}"
    )
    try:
        wait_until(lambda: f":{port}" in agent.host.run("ss", "-Htnl").stdout)
        yield f"http://{agent.host.address}:{port}"
    finally:
        relay.terminate()
        relay.wait()


def test_tunnels_use_the_address_that_reaches_the_controller(agent: AgentHost) -> None:
    agent.host.run("ip", "address", "add", "198.51.100.7/24", "dev", "eth0")
    with _over_tcp(agent) as url:
        agent.options = {"vtep-address": "", "api-url": url}
        agent.start()
        assert agent.controller.facts.vtep_address == agent.host.address
        options = agent.host.vsctl("get", "interface", "vpcctl-vxlan", "options")
        assert agent.host.address in options
        before = _rows(agent)
        agent.stop()
        agent.start()
        assert _rows(agent) == before


def test_no_report_leaves_before_the_tunnel_address_is_known(agent: AgentHost) -> None:
    agent.options = {"vtep-address": ""}
    agent.start(wait=False)
    wait_until(lambda: "give --vtep-address or --underlay-device" in agent.log.read_text())
    agent.stop()
    assert agent.controller.reports == []
    agent.options = {"vtep-address": "198.51.100.99"}
    agent.start(wait=False)
    told = "vtep_address: no device of this host has 198.51.100.99"
    wait_until(lambda: told in agent.log.read_text())
    agent.stop()
    assert agent.controller.reports == []
    agent.options = {"vtep-address": "", "underlay-device": "eth0"}
    agent.start()
    first = next(report.facts for _, report in agent.controller.reports if report.facts)
    assert first.vtep_address == agent.host.address
    agent.stop()
    agent.log.write_text("")
    agent.options = {"vtep-address": "198.51.100.99"}
    agent.start(wait=False)  # the underlay has been taken over
    wait_until(lambda: told in agent.log.read_text())
