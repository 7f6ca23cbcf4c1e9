"""External networks and watched hosts with a real Open vSwitch, and a neighbour outside."""

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from agent.decide import marks
from tests.hosts.conftest import AgentHost, Make
from tests.support import leftovers
from tests.support.hosts import checksums_off, command
from tests.support.outside import (
    EIP,
    EIP_MAC,
    NETWORK,
    PEER_MAC,
    arp,
    asked,
    eip,
    network,
    packed,
    udp_packet,
)
from tests.support.waiting import wait_until
from tests.traffic.site import inside
from vpcctl.model.host import Question
from vpcctl.wire.state import Watched

VLAN = 7
INSIDE, OUTSIDE = marks.patch_inside(NETWORK), marks.patch_outside(NETWORK)
COOKIE = f"{marks.COOKIE_OWNER << 48:#x}"


@dataclass
class Provider:
    """A plain namespace at the end of a cable that comes out of a host."""

    netns: str
    cable: str

    @contextmanager
    def listening(self, device: str) -> Iterator[socket.socket]:
        """A socket for whole frames on a device of the namespace."""
        made = inside(self.netns, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        with made:
            made.settimeout(10)
            made.bind((device, 3))
            yield made


@contextmanager
def _provider(agent: AgentHost) -> Iterator[Provider]:
    tag = leftovers.tag(3)
    made = Provider(f"vo{tag}", f"vc{tag}")
    with ExitStack() as stack:
        command("ip", "netns", "add", made.netns)
        stack.callback(command, "ip", "netns", "del", made.netns, check=False)
        command(
            *("ip", "link", "add", made.cable, "netns", agent.host.name, "type", "veth"),
            *("peer", "name", "eth0", "netns", made.netns),
        )
        stack.callback(agent.host.run, "ip", "link", "del", made.cable, check=False)
        base = ("ip", "-n", made.netns, "link")
        command(*base, "add", "link", "eth0", "name", "vlan7", "type", "vlan", "id", str(VLAN))
        for device in ("eth0", "vlan7"):
            command(*base, "set", device, "up")
        checksums_off("eth0", netns=made.netns)
        agent.host.run("ip", "link", "set", made.cable, "up")
        yield made


@pytest.fixture
def provider(agent: AgentHost) -> Iterator[Provider]:
    with _provider(agent) as made:
        yield made


def _bridge(agent: AgentHost, *ports: str) -> None:
    """A provider's bridge that somebody else has made."""
    agent.host.vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev")
    for port in ports:
        agent.host.vsctl("add-port", "br-ex", port)


def _outside(agent: AgentHost) -> int:
    """The number of the port to the network, once it is reported."""
    return wait_until(lambda: agent.controller.facts.outside, what="a way outside")[0].ofport


def _confirm(agent: AgentHost) -> None:
    """Let the agent's frames of EIPs out, and have the controller say that all flows are there."""
    ways = agent.controller.facts.outside
    out = f"output:{ways[0].ofport}" if ways else "drop"
    eips = "0a:76:00:00:00:00/ff:ff:00:00:00:00"
    flow = f"cookie={COOKIE},in_port=65000,dl_src={eips},actions={out}"
    agent.host.ofctl("add-flow", "br-int", flow)
    agent.controller.realised = 1


def _ask(agent: AgentHost, frame: bytes) -> None:
    """Hand a frame to the agent as flows do."""
    out = f"in_port=CONTROLLER,packet={frame.hex()},actions=output:65000"
    agent.host.ofctl("packet-out", "br-int", out)


def _next(wire: socket.socket, *wanted: bytes) -> bytes:
    """The next frame that has all of *wanted* in it."""
    while True:
        frame = wire.recv(2000)
        if all(each in frame for each in wanted):
            return frame


_ARP_FROM_EIP = b"\xff" * 6 + packed(EIP_MAC) + b"\x08\x06"


def test_an_eip_speaks_on_its_vlan(agent: AgentHost, provider: Provider) -> None:
    _bridge(agent, provider.cable)
    agent.options = {"providers": "public=br-ex"}
    agent.start()
    assert agent.controller.facts.providers == ("public",)
    wait_until(lambda: agent.controller.facts.meters > 0, what="meters")
    agent.controller.set(external_networks=(network(vlan=VLAN),), outside_addresses=(eip(),))
    assert _outside(agent) in range(1, 65280)
    with provider.listening("vlan7") as wire:
        _confirm(agent)
        times = []
        for _ in range(3):
            _next(wire, _ARP_FROM_EIP, packed(EIP) + bytes(6) + packed(EIP))
            times.append(time.monotonic())
        assert 1.5 < times[2] - times[0] < 3.5
        # A packet whose next hop nobody knows: asked for, and sent when the answer is there.
        waiting = udp_packet(EIP, "192.0.2.9")
        _ask(agent, asked(Question.UNRESOLVED, packed(EIP_MAC), 0x0800, waiting))
        _next(wire, _ARP_FROM_EIP, bytes(6) + packed("198.51.100.1"))
        reply = arp(2, (PEER_MAC, "198.51.100.1"), EIP)
        _ask(agent, asked(Question.HEARD, PEER_MAC, 0x0806, reply))
        sent = PEER_MAC + packed(EIP_MAC) + b"\x08\0" + waiting
        assert _next(wire, waiting)[: len(sent)] == sent
    counted = "outside: announced "
    wait_until(lambda: counted in agent.once("status").stdout, what=counted)


def test_an_untagged_network_hears_only_what_has_no_tag(
    agent: AgentHost, provider: Provider
) -> None:
    _bridge(agent, provider.cable)
    agent.options = {"providers": "public=br-ex"}
    agent.start()
    agent.controller.set(external_networks=(network(),))
    ofport = _outside(agent)
    for kind in ("88b5", "88b6"):
        match = f"in_port={ofport},dl_type=0x{kind}"
        agent.host.ofctl("add-flow", "br-int", f"{match},actions=drop")
    with provider.listening("eth0") as wire, provider.listening("vlan7") as tagged:
        tagged.send(b"\xff" * 6 + PEER_MAC + b"\x88\xb5" + bytes(64))
        wire.send(b"\xff" * 6 + PEER_MAC + b"\x88\xb6" + bytes(64))
    wait_until(lambda: _packets(agent, "88b6") == 1)
    agent.host.appctl("revalidator/wait")
    assert _packets(agent, "88b5") == 0


def _packets(agent: AgentHost, kind: str) -> int:
    shown = agent.host.ofctl("dump-flows", "br-int", f"dl_type=0x{kind}")
    return int(shown.split("n_packets=")[1].split(",")[0])


def _rows(agent: AgentHost) -> str:
    names = "_uuid,name,ports,fail_mode,external_ids"
    bridges = agent.host.vsctl("--format=json", f"--columns={names}", "list", "Bridge")
    names = "_uuid,name,interfaces,tag,external_ids"
    ports = agent.host.vsctl("--format=json", f"--columns={names}", "list", "Port")
    names = "_uuid,name,type,options,external_ids,ofport,bfd"
    return (
        bridges
        + ports
        + agent.host.vsctl("--format=json", f"--columns={names}", "list", "Interface")
    )


def test_ways_are_made_once_and_go_with_their_networks(agent: AgentHost) -> None:
    agent.options = {"providers": "public=br-ex"}
    agent.start(wait=False)
    agent.controller.set(external_networks=(network(vlan=VLAN),))
    missing = "provider public: there is neither a bridge nor a device br-ex"
    wait_until(lambda: agent.controller.facts and missing in agent.controller.facts.errors)
    _bridge(agent)
    agent.host.vsctl(
        "add-port", "br-ex", "theirs", "--", "set", "interface", "theirs", "type=internal"
    )
    first = _outside(agent)
    wait_until(lambda: not agent.controller.facts.errors)
    assert agent.host.vsctl("get", "port", OUTSIDE, "tag") == str(VLAN)
    before = _rows(agent)
    agent.stop()
    agent.start()
    assert (_outside(agent), _rows(agent)) == (first, before)
    agent.host.vsctl("del-port", "br-ex", OUTSIDE)
    wait_until(lambda: OUTSIDE in agent.host.vsctl("list-ports", "br-ex"))
    agent.controller.set(external_networks=(network(vlan=8),))
    wait_until(lambda: agent.host.vsctl("get", "port", OUTSIDE, "tag") == "8")
    agent.stop()
    agent.controller.set(external_networks=())
    (agent.state_dir / "host_state.json").unlink()
    agent.start()  # it knows of nothing but what the marks say
    wait_until(lambda: agent.host.vsctl("list-ports", "br-ex") == "theirs")
    assert INSIDE not in agent.host.vsctl("list-ports", "br-int")
    assert not agent.controller.facts.outside
    agent.controller.set(external_networks=(network(),))
    _outside(agent)
    agent.stop()
    assert agent.once("clean").returncode == 0
    assert agent.host.vsctl("list-br") == "br-ex"
    assert agent.host.vsctl("list-ports", "br-ex") == "theirs"


def test_a_device_has_a_bridge_of_its_own_as_long_as_a_setting_names_it(
    agent: AgentHost, provider: Provider
) -> None:
    own = marks.provider_bridge(provider.cable)
    agent.host.run("ip", "link", "set", provider.cable, "down")
    agent.options = {"providers": f"public={provider.cable}"}
    agent.start()
    agent.controller.set(external_networks=(network(),), outside_addresses=(eip(),))
    _outside(agent)
    assert agent.controller.facts.outside[0].bridge == own
    assert agent.host.vsctl("get", "bridge", own, "datapath_type") == "netdev"
    with provider.listening("eth0") as wire:
        _confirm(agent)
        _next(wire, _ARP_FROM_EIP)
    shut = f"net.ipv6.conf.{provider.cable}.disable_ipv6"
    assert agent.host.run("sysctl", "-n", shut).stdout.strip() == "1"
    agent.stop()
    agent.options = {}
    agent.start()
    wait_until(lambda: own not in agent.host.vsctl("list-br"))
    wait_until(lambda: agent.host.run("sysctl", "-n", shut).stdout.strip() == "0")
    assert not agent.controller.facts.outside


# --- watched hosts --------------------------------------------------------------------------------


def _watch(agent: AgentHost, other: AgentHost, **more: object) -> None:
    watched = Watched(host_id=other.host_id, vtep_address=other.host.address)
    agent.controller.peers(other.host.address)
    agent.controller.set(watched=(watched,), **more)


def _is_up(agent: AgentHost) -> bool:
    return any(each.up for each in agent.controller.facts.watches)


def _bfd(agent: AgentHost, other: AgentHost, key: str) -> str:
    name = marks.watch_port(other.host_id)
    return agent.host.vsctl("get", "interface", name, f"bfd_status:{key}", check=False).strip('"')


def _through_the_tunnel(agent: AgentHost, other: AgentHost) -> None:
    """A frame for VNI 7 arrives at the port whose destinations flows choose."""
    out, at = agent.controller.facts.tunnel_ofport, other.controller.facts.tunnel_ofport
    other.host.ofctl("add-flow", "br-int", f"in_port={at},tun_id=7,actions=drop")
    frame = (b"\xff" * 6 + PEER_MAC + b"\x88\xb5" + bytes(50)).hex()
    agent.host.ofctl(
        "packet-out",
        "br-int",
        f"in_port=CONTROLLER,packet={frame},"
        f"actions=set_field:{other.host.address}->tun_dst,set_field:7->tun_id,output:{out}",
    )
    wanted = f"in_port={at}"
    wait_until(
        lambda: any(
            wanted in line and "tun_id=0x7" in line and "n_packets=1" in line
            for line in other.host.ofctl("dump-flows", "br-int").splitlines()
        ),
        what="the frame",
    )


def test_a_standby_takes_over(make_hosts: Make) -> None:
    active, standby = make_hosts(2)
    with _provider(standby) as provider, provider.listening("eth0") as wire:
        _bridge(standby, provider.cable)
        standby.options = {"providers": "public=br-ex"}
        for agent in (active, standby):
            agent.start()
        hosts = (active.host_id, standby.host_id)
        address = eip(hosts=hosts, fixed_address=None, port_key=None)
        _watch(active, standby)
        _watch(standby, active, external_networks=(network(),), outside_addresses=(address,))
        _outside(standby)
        # BFD is up, and the active host has no flows yet: nobody is to rely on it.
        wait_until(lambda: _bfd(standby, active, "state") == "up", what="BFD")
        assert not _is_up(standby)
        for agent in (active, standby):
            _confirm(agent)
        wait_until(lambda: _is_up(standby) and _is_up(active), what="both live")
        _through_the_tunnel(active, standby)
        _quiet(wire)
        active.host.stop_process("ovs-vswitchd", signal.SIGKILL)
        _announced_soon(wire)
        wait_until(lambda: not _is_up(standby))
        # It comes back, and has no flows: it stays the one that nobody relies on.
        active.controller.realised = None
        (active.state_dir / "program").unlink(missing_ok=True)
        active.host.start_vswitchd()
        wait_until(lambda: _bfd(standby, active, "state") == "up", what="BFD")
        assert _bfd(standby, active, "forwarding") == "false"
        _confirm(active)
        wait_until(lambda: _is_up(standby))
        _quiet(wire)
        cut = active.host.name.replace("vh", "ve", 1)
        command("ip", "link", "set", cut, "down")
        _announced_soon(wire)


def _quiet(wire: socket.socket) -> None:
    """Read what has been said so far."""
    wire.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            wire.recv(2000)
    wire.settimeout(10)


def _announced_soon(wire: socket.socket) -> None:
    """Within a second on a machine that does nothing else."""
    started = time.monotonic()
    _next(wire, _ARP_FROM_EIP, packed(EIP) + bytes(6) + packed(EIP))
    assert time.monotonic() - started < 2.0


def test_an_agent_that_is_started_anew_lets_nobody_take_over(make_hosts: Make) -> None:
    pair = make_hosts(2)
    for agent, other in (pair, pair[::-1]):
        agent.start()
        _watch(agent, other)
        _confirm(agent)
    wait_until(lambda: all(_is_up(agent) for agent in pair), what="both live")
    flaps = _bfd(pair[1], pair[0], "flap_count")
    pair[0].stop()
    pair[0].controller.realised = None
    pair[0].start()
    wait_until(lambda: _is_up(pair[0]))
    assert (_bfd(pair[1], pair[0], "flap_count"), _is_up(pair[1])) == (flaps, True)
    pair[0].controller.set(watched=())
    wait_until(lambda: not pair[0].controller.facts.watches)
    assert marks.watch_port(pair[1].host_id) not in pair[0].host.vsctl("list-ports", "br-int")
