"""Namespace attachments and interfaces that others plugged."""

import contextlib
import shutil
import signal
import subprocess
import time

from tests.hosts.conftest import AgentHost
from tests.support.controller import attachment, port_id
from tests.support.hosts import command
from tests.support.waiting import wait_until
from vpcctl.wire.state import Attachment


def _attached(agent: AgentHost, *wanted: Attachment) -> None:
    agent.controller.attach(*wanted)
    for each in wanted:
        wait_until(lambda each=each: agent.controller.has_port(each.port_id), what=each.port_id)


def test_attachment_has_what_was_asked_for(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24", "fd00::2/64", mtu=1442))
    link = running.controller.link(port_id(2))
    assert link is not None
    assert (link.netns, link.mac, link.admin_up) == ("red", "0e:00:00:00:00:02", True)
    shown = running.inside("red", "ip", "-d", "addr", "show", "eth0")
    assert "mtu 1442" in shown
    assert "0e:00:00:00:00:02" in shown
    assert "inet 10.0.0.2/24" in shown
    assert "inet6 fd00::2/64" in shown
    assert "tentative" not in shown
    assert "default via 10.0.0.1 dev eth0" in running.inside("red", "ip", "route")
    assert "default via fd00::1 dev eth0" in running.inside("red", "ip", "-6", "route")
    assert "tx-checksumming: off" in running.inside("red", "ethtool", "-k", "eth0")
    assert "LOWER_UP" in running.inside("red", "ip", "link", "show", "lo")
    sysctl = running.inside("red", "cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra")
    assert sysctl.strip() == "0"
    ids = running.host.vsctl("get", "interface", link.interface, "external_ids")
    assert f"iface-id={port_id(2)}" in ids.replace('"', "")
    assert f"vpcctl-owner={running.host_id}" in ids.replace('"', "")


def test_changes_are_applied_in_place(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24", "fd00::2/64"))
    before = running.controller.link(port_id(2))
    running.inside("red", "ip", "addr", "add", "10.0.0.77/24", "dev", "eth0")
    wanted = attachment(2, "red", "10.0.0.9/24", mtu=1400, mac="0e:00:00:00:00:99")
    running.controller.attach(wanted)
    there, gone = ("10.0.0.9/", "mtu 1400", "0e:00:00:00:00:99"), ("10.0.0.2/", "fd00::2")

    def is_changed() -> bool:
        shown = running.inside("red", "ip", "addr", "show", "eth0")
        return all(one in shown for one in there) and not any(one in shown for one in gone)

    wait_until(is_changed)
    shown = running.inside("red", "ip", "addr", "show", "eth0")
    assert "10.0.0.77/24" in shown, "an address that the guest gave itself stays"
    wait_until(lambda: "default via 10.0.0.1" in running.inside("red", "ip", "route"))
    wait_until(
        lambda: getattr(running.controller.link(port_id(2)), "mac", "") == "0e:00:00:00:00:99"
    )
    after = running.controller.link(port_id(2))
    assert before is not None
    assert after is not None
    assert after.interface_uuid == before.interface_uuid, "no new claim"
    running.controller.attach(wanted.model_copy(update={"admin_up": False}))
    wait_until(lambda: not getattr(running.controller.link(port_id(2)), "oper_up", True))
    running.controller.attach(wanted)
    wait_until(lambda: getattr(running.controller.link(port_id(2)), "oper_up", False))
    assert "default via 10.0.0.1" in running.inside("red", "ip", "route")


def test_detached_leaves_nothing(running: AgentHost) -> None:
    many = [attachment(at, f"n{at}", f"10.0.0.{at}/24") for at in range(2, 12)]
    _attached(running, *many)
    running.controller.attach()
    wait_until(lambda: not running.controller.links)
    wait_until(lambda: running.namespaces() == [])
    assert running.devices() == []
    ours = ["vpcctl-guests", "vpcctl-services", "vpcctl-vxlan"]
    wait_until(lambda: running.host.vsctl("list-ports", "br-int").split() == ours)


def test_moves_to_another_namespace_and_interface_name(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24"))
    running.controller.attach(attachment(2, "blue", "10.0.0.2/24", interface="net1"))
    wait_until(lambda: running.namespaces() == ["blue"])
    wait_until(lambda: "10.0.0.2/24" in running.inside("blue", "ip", "addr", "show", "net1"))
    wait_until(lambda: getattr(running.controller.link(port_id(2)), "netns", "") == "blue")
    wait_until(lambda: running.controller.has_port(port_id(2)))


def test_two_ports_in_one_namespace(running: AgentHost) -> None:
    first = attachment(2, "red", "10.0.0.2/24")
    second = attachment(3, "red", "10.1.0.3/24", interface="eth1")
    _attached(running, first, second)
    routes = running.inside("red", "ip", "route")
    assert routes.count("default via") == 2
    running.controller.attach(second)
    wait_until(lambda: "eth0" not in running.inside("red", "ip", "-br", "link"))
    assert running.namespaces() == ["red"]


def test_others_namespaces_devices_and_ports_stay(running: AgentHost) -> None:
    foreign = running.netns_dir / "theirs"
    _attached(running, attachment(9, "warm-up", "10.0.0.9/24"))  # makes the directory
    foreign.touch()
    command("unshare", f"--net={foreign}", "ip", "link", "set", "lo", "up")
    running.host.run("ip", "link", "add", "theirs0", "type", "veth", "peer", "name", "theirs1")
    running.host.vsctl("add-port", "br-int", "theirs0")
    _attached(running, attachment(2, "theirs", "10.0.0.2/24"))
    running.controller.attach()
    wait_until(lambda: running.namespaces() == ["theirs"])
    wait_until(lambda: running.devices() == [])
    running.stop()
    shutil.rmtree(running.state_dir)
    running.start()
    assert running.once("clean").returncode == 0
    assert running.namespaces() == ["theirs"]
    assert "eth0" not in running.inside("theirs", "ip", "-br", "link")
    assert "theirs0" in running.host.vsctl("list-ports", "br-int")
    assert running.host.run("ip", "link", "show", "theirs0").returncode == 0


def test_names_in_the_way_are_errors_of_that_link_alone(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24"))
    taken = attachment(3, "red", "10.0.0.3/24")
    bad = attachment(4, "a/b", "10.0.0.4/24")
    running.controller.attach(
        attachment(2, "red", "10.0.0.2/24"), taken, bad, attachment(5, "blue", "10.0.0.5/24")
    )
    wait_until(lambda: running.controller.has_port(port_id(5)))
    wait_until(lambda: running.controller.link(port_id(4)) and running.controller.link(port_id(3)))
    assert "exists already" in (running.controller.link(port_id(3)).error or "")  # type: ignore[union-attr]
    assert "cannot be the name" in (running.controller.link(port_id(4)).error or "")  # type: ignore[union-attr]
    assert running.controller.has_port(port_id(2))
    running.controller.attach(taken)
    wait_until(lambda: running.controller.has_port(port_id(3)), what="retry once eth0 is free")


def test_a_namespace_in_use_by_others_is_not_entered(running: AgentHost) -> None:
    _attached(running, attachment(9, "warm-up", "10.0.0.9/24"))  # makes the directory
    foreign = running.netns_dir / "hypervisor"
    foreign.touch()
    command("unshare", f"--net={foreign}", "ip", "link", "add", "uplink", "type", "veth")
    running.controller.attach(attachment(2, "hypervisor", "10.0.0.2/24", interface="eth7"))
    wait_until(lambda: getattr(running.controller.link(port_id(2)), "error", None))
    link = running.controller.link(port_id(2))
    assert link is not None
    assert "somebody else's" in (link.error or "")
    assert "eth7" not in running.inside("hypervisor", "ip", "-br", "link")


def test_namespace_with_a_process_stays_until_it_ends(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24"))
    sleeper = subprocess.Popen(["nsenter", f"--net={running.netns_dir / 'red'}", "sleep", "60"])
    try:
        wait_until(lambda: "sleep" in command("ps", "-o", "comm=", "-p", str(sleeper.pid)).stdout)
        running.controller.attach()
        wait_until(lambda: running.devices() == [])
        time.sleep(0.2)
        assert running.namespaces() == ["red"]
    finally:
        sleeper.kill()
        sleeper.wait()
    wait_until(lambda: running.namespaces() == [])


def test_leftovers_of_a_killed_agent_without_memory_are_removed(running: AgentHost) -> None:
    _attached(running, *(attachment(at, f"n{at}", f"10.0.0.{at}/24") for at in range(2, 6)))
    kept = running.controller.link(port_id(2))
    running.stop(signal.SIGKILL)
    shutil.rmtree(running.state_dir)
    running.controller.attach(attachment(2, "n2", "10.0.0.2/24"))
    running.start()
    wait_until(lambda: running.namespaces() == ["n2"])
    wait_until(lambda: len(running.devices()) == 1)
    wait_until(lambda: len(running.controller.links) == 1)
    after = running.controller.link(port_id(2))
    assert kept is not None
    assert after is not None
    assert after.interface_uuid == kept.interface_uuid


def test_half_made_pair_is_replaced(agent: AgentHost) -> None:
    agent.host.run(
        *[
            "ip",
            "link",
            "add",
            "vp123456789abcd",
            "group",
            "30307",
            "type",
            "veth",
            "peer",
            "name",
            "p1",
        ]
    )
    agent.start()
    wait_until(lambda: agent.devices() == [])


def test_file_without_its_namespace_is_removed_when_it_holds_our_mark(agent: AgentHost) -> None:
    agent.netns_dir.mkdir()
    (agent.netns_dir / "ours").write_text(f"vpcctl:netns:{agent.host_id}")
    (agent.netns_dir / "theirs").write_text("")
    (agent.netns_dir / "another").write_text("vpcctl:netns:host-00000000000000099")
    agent.start()
    wait_until(lambda: agent.namespaces() == ["another", "theirs"])


def test_vanished_namespace_is_made_again(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24"))
    command("umount", "-l", str(running.netns_dir / "red"))
    with contextlib.suppress(OSError):  # busy: the agent was faster, and has mounted it again
        (running.netns_dir / "red").unlink()
    wait_until(lambda: running.namespaces() == ["red"])
    wait_until(lambda: "10.0.0.2/24" in running.inside("red", "ip", "addr", check=False))
    wait_until(lambda: running.controller.has_port(port_id(2)))
    _is_reachable(running)


def _is_reachable(agent: AgentHost) -> None:
    """Frames of the guest arrive at br-int: its port works, whatever the database says."""
    link = agent.controller.link(port_id(2))
    assert link is not None
    name = link.interface
    agent.inside("red", "ping", "-c3", "-i0.2", "-W1", "10.0.0.1", check=False)

    def received() -> bool:
        text = agent.host.vsctl("get", "interface", name, "statistics:rx_packets")
        return int(text) > 0

    wait_until(received, timeout=12, what="frames received on the new device")


def test_deleted_ovs_port_is_plugged_again(running: AgentHost) -> None:
    _attached(running, attachment(2, "red", "10.0.0.2/24"))
    link = running.controller.link(port_id(2))
    assert link is not None
    running.host.vsctl("del-port", "br-int", link.interface)
    wait_until(
        lambda: (
            running.controller.has_port(port_id(2))
            and running.controller.link(port_id(2)).interface_uuid != link.interface_uuid  # type: ignore[union-attr]
        )
    )


def test_interface_plugged_by_others_is_discovered_at_once(running: AgentHost) -> None:
    running.host.run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
    running.host.run("ip", "link", "set", "tap0", "up")
    running.host.vsctl(
        *("add-port", "br-int", "tap0", "--", "set", "interface", "tap0"),
        *(f"external_ids:iface-id={port_id(7)}", 'external_ids:attached-mac="0E:00:00:00:00:07"'),
    )
    link = wait_until(
        lambda: running.controller.has_port(port_id(7)) and running.controller.link(port_id(7))
    )
    assert (link.interface, link.mac, link.netns) == ("tap0", "0e:00:00:00:00:07", None)
    running.host.vsctl("set", "interface", "tap0", f"external_ids:iface-id={port_id(8)}")
    wait_until(lambda: running.controller.has_port(port_id(8)))
    assert running.controller.link(port_id(7)) is None
    running.host.vsctl("set", "interface", "tap0", "external_ids:iface-id=not-a-port")
    wait_until(lambda: not running.controller.links)


def test_named_interface_gets_its_iface_id(running: AgentHost) -> None:
    wanted = Attachment(
        port_id=port_id(7),
        kind="interface",
        interface="tap0",
        mac="0e:00:00:00:00:07",
        addresses=(),
        mtu=1450,
    )
    running.controller.attach(wanted)
    running.host.run("ip", "link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
    running.host.vsctl("add-port", "br-int", "tap0")
    wait_until(lambda: running.controller.has_port(port_id(7)))
    running.controller.attach()
    wait_until(lambda: not running.controller.links)
    assert "tap0" in running.host.vsctl("list-ports", "br-int")
    assert running.host.vsctl("get", "interface", "tap0", "external_ids") == "{}"


def test_plug_by_hand(running: AgentHost) -> None:
    done = running.once("plug", "--port", port_id(7), "--interface", "tap9", "--tap")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: running.controller.has_port(port_id(7)))
    refused = running.once("plug", "--port", "port-x", "--interface", "tap9")
    assert refused.returncode == 1
    assert "not a port id" in refused.stderr
