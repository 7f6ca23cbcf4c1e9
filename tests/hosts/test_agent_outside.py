"""External networks and watched hosts with a real Open vSwitch, and a neighbour outside."""

import contextlib
import json
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from agent.decide import marks
from agent.wire.state import NatGatewayState, Watched
from tests.hosts.conftest import AgentHost, Make
from tests.hosts.watching import bfd, confirm, is_up, watch
from tests.support import frames, leftovers
from tests.support.hosts import checksums_off, command
from tests.support.outside import (
    EIP,
    EIP_MAC,
    FIXED,
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
from vpcctl.wire.report import EipPorts, NatCounts

VLAN = 7
INSIDE, OUTSIDE = marks.patch_inside(NETWORK), marks.patch_outside(NETWORK)
_SOL_PACKET, _PACKET_AUXDATA, _VLAN_VALID = 263, 8, 0x10


@dataclass
class Provider:
    """A plain namespace at the end of a cable that comes out of a host."""

    netns: str
    cable: str

    @contextmanager
    def listening(self) -> "Iterator[Wire]":
        """A socket for whole frames in the namespace."""
        made = inside(self.netns, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        with made:
            made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            made.settimeout(10)
            made.bind(("eth0", 3))
            yield Wire(made)


@dataclass
class Wire:
    """What goes over the cable."""

    socket: socket.socket

    def send(
        self,
        kind: bytes,
        vlan: int | None = None,
        *,
        source: bytes = PEER_MAC,
        to: bytes = b"\xff" * 6,
    ) -> None:
        """Send a frame of an Ethernet type, to everybody if nothing else is said."""
        tag = b"" if vlan is None else b"\x81\0" + vlan.to_bytes(2, "big")
        self.socket.send(to + source + tag + kind + bytes(64))

    def next(self, *wanted: bytes, vlan: int | None = None) -> bytes:
        """The next frame of a VLAN (None: without a tag) that has all of *wanted* in it."""
        while True:
            frame, messages, _, _ = self.socket.recvmsg(2000, 100)
            if _tag(messages) == vlan and all(each in frame for each in wanted):
                return frame

    def quiet(self) -> None:
        """Read what has been said so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(2000)
        self.socket.settimeout(10)


def _tag(messages: list[tuple[int, int, bytes]]) -> int | None:
    """The VLAN that the kernel has taken from a frame: see packet(7), PACKET_AUXDATA."""
    for level, kind, data in messages:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, vlan = struct.unpack_from("=IIIHHH", data)
            return vlan & 0xFFF if status & _VLAN_VALID else None
    return None


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
        command("ip", "-n", made.netns, "link", "set", "eth0", "up")
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


def _ask(agent: AgentHost, frame: bytes) -> None:
    """Hand a frame to the agent as flows do."""
    out = f"in_port=CONTROLLER,packet={frame.hex()},actions=output:65000"
    agent.host.ofctl("packet-out", "br-int", out)


_ARP_FROM_EIP = b"\xff" * 6 + packed(EIP_MAC) + b"\x08\x06"
_ANNOUNCED = packed(EIP) + bytes(6) + packed(EIP)


def test_an_eip_speaks_on_its_vlan(agent: AgentHost, provider: Provider) -> None:
    _bridge(agent, provider.cable)
    agent.options = {"providers": "public=br-ex"}
    agent.start()
    assert agent.controller.facts.providers == ("public",)
    wait_until(lambda: agent.controller.facts.meters > 0, what="meters")
    agent.controller.set(external_networks=(network(vlan=VLAN),), outside_addresses=(eip(),))
    assert _outside(agent) in range(1, 65280)
    with provider.listening() as wire:
        confirm(agent)
        times = []
        for _ in range(5):
            wire.next(_ARP_FROM_EIP, _ANNOUNCED, vlan=VLAN)
            times.append(time.monotonic())
        assert 1.1 < times[4] - times[0] < 3.5
        # A packet whose next hop nobody knows: asked for, and sent when the answer is there.
        waiting = udp_packet(EIP, "192.0.2.9")
        _ask(agent, asked(Question.UNRESOLVED, packed(EIP_MAC), 0x0800, waiting))
        wire.next(_ARP_FROM_EIP, bytes(6) + packed("198.51.100.1"), vlan=VLAN)
        reply = arp(2, (PEER_MAC, "198.51.100.1"), EIP)
        _ask(agent, asked(Question.HEARD, PEER_MAC, 0x0806, reply))
        sent = PEER_MAC + packed(EIP_MAC) + b"\x08\0" + waiting
        assert wire.next(waiting, vlan=VLAN)[: len(sent)] == sent
    counted = "outside: announced "
    wait_until(lambda: counted in agent.once("status").stdout, what=counted)
    for end in (_far_end(provider), ("-n", agent.host.name, "link", "set", provider.cable)):
        _is_cut_off(agent, provider, "br-ex", end)
        command("ip", *end, "up")
        _outside(agent)
        assert not agent.controller.facts.errors


def _far_end(provider: Provider) -> tuple[str, ...]:
    return ("-n", provider.netns, "link", "set", "eth0")


def _is_cut_off(agent: AgentHost, provider: Provider, bridge: str, end: tuple[str, ...]) -> None:
    """Without a link on the cable, however it went, the network is not reached."""
    said = f"provider public: bridge {bridge} has no way out: no link on {provider.cable}"
    started = time.monotonic()
    command("ip", *end, "down")
    wait_until(lambda: not agent.controller.facts.outside, what="a report that says so")
    assert time.monotonic() - started < 1.5
    wait_until(lambda: said in agent.controller.facts.errors, what=said)


def test_connections_of_a_nat_gateway_are_counted_where_it_is_active(agent: AgentHost) -> None:
    agent.start()
    gateway = NatGatewayState(
        gateway_id="nat-00000000000000001",
        zone=0x8001,
        addresses=(EIP,),
        hosts=(agent.host_id,),
        exhausted_cookie=marks.COOKIE_OWNER << 48 | 0x81,
    )
    owner = f"cookie={gateway.exhausted_cookie:#x}"
    agent.host.ofctl("add-flow", "br-int", f"{owner},table=9,udp,actions=drop")
    translate = f"ct(commit,zone={gateway.zone},nat(src={EIP}))"
    ways = (("192.0.2.9", 53), ("192.0.2.10", 53), ("192.0.2.9", 80))
    for target, port in ways:
        ends = frames.Ends(("0e:00:00:00:00:01", EIP_MAC), (FIXED, target))
        packet = frames.udp(ends, (5000, port)).hex()
        out = f"in_port=CONTROLLER,packet={packet},actions={translate},resubmit(,9)"
        agent.host.ofctl("packet-out", "br-int", out)
    agent.controller.set(nat_gateways=(gateway,))
    wanted = NatCounts(
        gateway_id=gateway.gateway_id,
        connections=len(ways),
        ports=(EipPorts(address=EIP, ports=1),),
        failures=len(ways),
    )
    wait_until(lambda: wanted in _counted(agent), what="counts")
    agent.controller.set(nat_gateways=(replace(gateway, hosts=("host-other",)),))
    wait_until(lambda: agent.controller.reports[-1][1].nat == (), what="another host's gateway")


def _counted(agent: AgentHost) -> tuple[NatCounts, ...]:
    return agent.controller.reports[-1][1].nat or ()


def _packets(agent: AgentHost, kind: str) -> int:
    shown = agent.host.ofctl("dump-flows", "br-int", f"dl_type=0x{kind}")
    return int(shown.split("n_packets=")[1].split(",")[0])


def _rows(agent: AgentHost) -> list[str]:
    """What the agent writes, a line a row; ovs-vsctl lists rows in no particular order.

    The pair for names, and with it br-int's list of ports, is made anew with the agent.
    """
    tables = {
        "Bridge": "_uuid,name,ports,fail_mode,external_ids",
        "Port": "_uuid,name,interfaces,tag,external_ids",
        "Interface": "_uuid,name,type,options,external_ids,ofport,bfd",
    }
    found = {
        table: json.loads(agent.host.vsctl("--format=json", f"--columns={names}", "list", table))
        for table, names in tables.items()
    }
    lines = sorted(f"{table} {row}" for table, each in found.items() for row in each["data"])
    changing = ("vpcctl-services", "'br-int', ['set'")
    return [line for line in lines if not any(one in line for one in changing)]


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
    wait_until(agent.is_up)
    wait_until(lambda: "[]" not in agent.host.vsctl("--columns=ofport", "list", "Interface"))
    assert agent.host.vsctl("get", "port", OUTSIDE, "tag") == str(VLAN)
    before = _rows(agent)
    agent.stop()
    agent.start()
    assert (_outside(agent), _rows(agent)) == (first, before)
    agent.host.vsctl("del-port", "br-ex", OUTSIDE)
    wait_until(lambda: OUTSIDE in agent.host.vsctl("list-ports", "br-ex"))
    agent.controller.set(external_networks=(network(vlan=8),))
    tag = ("get", "port", OUTSIDE, "tag")
    wait_until(lambda: agent.host.vsctl(*tag, check=False) == "8")
    agent.stop()
    agent.controller.set(external_networks=())
    (agent.state_dir / "host_state.json").unlink()
    agent.start()  # it knows of nothing but what the marks say
    wait_until(lambda: agent.host.vsctl("list-ports", "br-ex") == "theirs")
    wait_until(lambda: INSIDE not in agent.host.vsctl("list-ports", "br-int"))
    wait_until(lambda: not agent.controller.facts.outside, what="a report that says so")
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
    with provider.listening() as wire:
        confirm(agent)
        wire.next(_ARP_FROM_EIP)
        _hears_only_what_has_no_tag(agent, wire)
        _hears_what_is_for_it_whoever_else_speaks_for_it(agent, wire)
    shut = f"net.ipv6.conf.{provider.cable}.disable_ipv6"
    assert agent.host.run("sysctl", "-n", shut).stdout.strip() == "1"
    _is_cut_off(agent, provider, own, _far_end(provider))
    agent.stop()
    agent.options = {}
    agent.start()
    wait_until(lambda: own not in agent.host.vsctl("list-br"))
    wait_until(lambda: agent.host.run("sysctl", "-n", shut).stdout.strip() == "0")
    assert not agent.controller.facts.outside


def _hears_only_what_has_no_tag(agent: AgentHost, wire: Wire) -> None:
    ofport = agent.controller.facts.outside[0].ofport
    for kind in ("88b5", "88b6"):
        agent.host.ofctl("add-flow", "br-int", f"in_port={ofport},dl_type=0x{kind},actions=drop")
    wire.send(b"\x88\xb5", vlan=VLAN)
    wire.send(b"\x88\xb6")
    wait_until(lambda: _packets(agent, "88b6") == 1)
    agent.host.appctl("revalidator/wait")
    assert _packets(agent, "88b5") == 0


def _hears_what_is_for_it_whoever_else_speaks_for_it(agent: AgentHost, wire: Wire) -> None:
    """While an EIP goes from host to host both speak with its MAC; answers come to either."""
    ofport = agent.controller.facts.outside[0].ofport
    agent.host.ofctl("add-flow", "br-int", f"in_port={ofport},dl_type=0x88b7,actions=drop")
    for _ in range(3):
        wire.send(b"\x88\xb8", source=packed(EIP_MAC))
        wire.send(b"\x88\xb7", to=packed(EIP_MAC))
    wait_until(lambda: _packets(agent, "88b7") == 3)


# --- watched hosts --------------------------------------------------------------------------------


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
    with _provider(standby) as provider, provider.listening() as wire:
        _bridge(standby, provider.cable)
        standby.options = {"providers": "public=br-ex"}
        for agent in (active, standby):
            agent.start()
        hosts = (active.host_id, standby.host_id)
        address = eip(hosts=hosts, fixed_address=None, port_key=None)
        watch(active, standby, outside_addresses=(address,))
        watch(standby, active, external_networks=(network(),), outside_addresses=(address,))
        _outside(standby)
        # BFD is up, and the active host has no flows yet: nobody is to rely on it.
        wait_until(lambda: bfd(standby, active, "state") == "up", what="BFD")
        assert not is_up(standby)
        confirm(active)  # alone: it would leave it to a standby that lives already
        wait_until(lambda: is_up(standby), what="the active one lives")
        confirm(standby)
        wait_until(lambda: is_up(standby) and is_up(active), what="both live")
        _through_the_tunnel(active, standby)
        _says_so_when_it_has_lost_the_network(standby, active, provider)
        _starts_anew_and_tells_nobody(active)
        wire.quiet()
        active.host.stop_process("ovs-vswitchd", signal.SIGKILL)
        _announced_soon(wire)
        wait_until(lambda: not is_up(standby))
        # It comes back, and has no flows: it stays the one that nobody relies on.
        (active.state_dir / "program").unlink(missing_ok=True)
        active.host.start_vswitchd()
        wait_until(lambda: bfd(standby, active, "state") == "up", what="BFD")
        assert bfd(standby, active, "forwarding") == "false"
        confirm(active)
        _leaves_it_to_who_has_taken_over(active)
        assert bfd(standby, active, "forwarding") == "false"
        behind = replace(address, hosts=hosts[::-1])
        active.controller.set(outside_addresses=(behind,))
        wait_until(lambda: is_up(standby))
        wire.quiet()
        cut = active.host.name.replace("vh", "ve", 1)
        command("ip", "link", "set", cut, "down")
        _announced_soon(wire)


def _says_so_when_it_has_lost_the_network(
    agent: AgentHost, other: AgentHost, provider: Provider
) -> None:
    """The controller leaves it in the order, as one that is away does."""
    wait_until(lambda: _stands(agent), what="a port that is up")
    agent.host.run("ip", "link", "set", provider.cable, "down")
    started = time.monotonic()
    wait_until(lambda: not is_up(other), what="the other one to hear of it")
    assert time.monotonic() - started < 2.0
    wait_until(lambda: not _stands(agent), what="a port that is down")
    agent.host.run("ip", "link", "set", provider.cable, "up")
    wait_until(lambda: is_up(other))
    wait_until(lambda: _stands(agent))


def _stands(agent: AgentHost) -> bool:
    return "UP" in agent.host.run("ip", "-br", "link", "show", marks.STANDS, check=False).stdout


def _leaves_it_to_who_has_taken_over(agent: AgentHost) -> None:
    """Its flows are there, as each answer says; another agent does not forget it either."""
    for _ in range(2):
        before = len(agent.controller.reports)
        wait_until(lambda before=before: len(agent.controller.reports) > before + 2)
        name = agent.host.vsctl("--bare", "--columns=bfd", "find", "interface", "bfd!={}")
        assert "cpath_down=true" in name
        agent.stop()
        agent.start()


def _starts_anew_and_tells_nobody(agent: AgentHost) -> None:
    """An agent's restart moves no gateway."""
    agent.stop()
    told = agent.log.read_text().count("not to rely on this one: host-")
    agent.controller.realised = None
    agent.start()
    wait_until(lambda: is_up(agent))
    assert agent.log.read_text().count("not to rely on this one: host-") == told


def _announced_soon(wire: Wire) -> None:
    """Within a second on a machine that does nothing else."""
    started = time.monotonic()
    wire.next(_ARP_FROM_EIP, _ANNOUNCED)
    assert time.monotonic() - started < 2.0


def test_who_is_watched_no_more_has_no_port(running: AgentHost) -> None:
    other = Watched(host_id="host-0000000000000000b", vtep_address="192.0.2.77")
    running.controller.set(watched=(other,))
    wait_until(lambda: running.controller.facts.watches)
    assert not running.controller.facts.watches[0].up
    running.controller.set(watched=())
    wait_until(lambda: not running.controller.facts.watches)
    assert marks.watch_port(other.host_id) not in running.host.vsctl("list-ports", "br-int")
