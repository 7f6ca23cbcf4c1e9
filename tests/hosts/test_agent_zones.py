"""Conntrack zones on a real ovs-vswitchd: nobody inherits entries, and nobody loses theirs."""

import json
import re
import signal
import subprocess

import pytest

from tests.hosts.conftest import AgentHost
from tests.support import frames
from tests.support.controller import attachment, port_id
from tests.support.waiting import wait_until
from vpcctl.wire.state import Guest, GuestSubnet, HandedOver, NatForward, NatGatewayState

RED, BLUE, NEXT = port_id(2), port_id(3), port_id(4)
VPC, SUBNET = "vpc-00000000000000001", "subnet-00000000000000001"
NAT, NAT_ZONE = "nat-00000000000000001", 65300


def ofport(agent: AgentHost, port: str) -> int:
    link = agent.controller.link(port)
    assert link is not None
    assert link.ofport is not None
    return link.ofport


def entries(agent: AgentHost, zone: int) -> list[str]:
    dump = agent.host.appctl("dpctl/dump-conntrack", "netdev@ovs-netdev", f"zone={zone}")
    return dump.splitlines()


@pytest.fixture
def talking(running: AgentHost) -> AgentHost:
    """Two guests that have talked, each tracked in its own zone; the switch lags behind."""
    running.controller.reached = 0
    running.controller.attach(
        attachment(2, "red", "10.0.0.2/24"), attachment(3, "blue", "10.0.0.3/24")
    )
    for port in (RED, BLUE):
        wait_until(lambda port=port: running.controller.has_port(port))
    here, there = ofport(running, RED), ofport(running, BLUE)
    for one, other in ((here, there), (there, here)):
        track(running, one, other)
    running.inside("red", "ping", "-c1", "-W2", "10.0.0.3")
    assert entries(running, here)
    assert entries(running, there)
    return running


def track(agent: AgentHost, one: int, other: int) -> None:
    """Let pass what comes from ofport *one* to *other*, tracked in the zones of both."""
    new, known = f"ip,ct_state=+trk+new,in_port={one}", f"ip,ct_state=+trk-new,in_port={one}"
    for flow in (
        f"table=0,priority=1,in_port={one},actions=output:{other}",
        f"table=0,priority=2,ip,in_port={one},actions=ct(zone={one},table=1)",
        f"table=1,{new},actions=ct(commit,zone={one}),ct(zone={other},table=2)",
        f"table=1,{known},actions=ct(zone={other},table=2)",
        f"table=2,{new},actions=ct(commit,zone={other}),output:{other}",
        f"table=2,{known},actions=output:{other}",
    ):
        agent.host.ofctl("add-flow", "br-int", flow)


def plug(agent: AgentHost, name: str, port: str, at: int) -> None:
    agent.host.vsctl(
        *("add-port", "br-int", name, "--", "set", "interface", name, "type=internal"),
        *(f"ofport_request={at}", f"external_ids:iface-id={port}"),
    )
    wait_until(lambda: agent.host.vsctl("get", "interface", name, "ofport") == str(at))


def seen(agent: AgentHost, port: str) -> bool:
    return agent.controller.link(port) is not None


def test_the_next_port_at_an_ofport_inherits_nothing(talking: AgentHost) -> None:
    zone, other = ofport(talking, RED), ofport(talking, BLUE)
    talking.controller.attach(attachment(3, "blue", "10.0.0.3/24"))
    wait_until(lambda: not seen(talking, RED))
    plug(talking, "next", NEXT, zone)
    wait_until(lambda: seen(talking, NEXT), what="it is reported")
    assert not talking.controller.has_port(NEXT), "not yet at its ofport"
    assert entries(talking, zone), "flows may still be there: it would be too early"
    talking.controller.reached = talking.controller.revision
    wait_until(lambda: talking.controller.has_port(NEXT))
    assert entries(talking, zone) == []
    assert entries(talking, other), "exactly that zone"


def test_patience_with_a_switch_that_never_confirms_ends(talking: AgentHost) -> None:
    zone = ofport(talking, RED)
    talking.controller.attach(attachment(3, "blue", "10.0.0.3/24"))
    wait_until(lambda: not seen(talking, RED))
    plug(talking, "next", NEXT, zone)
    wait_until(lambda: talking.controller.has_port(NEXT), timeout=20)
    assert entries(talking, zone) == []
    talking.inside("blue", "ping", "-c1", "-W0.1", "10.0.0.2", check=False)
    assert entries(talking, zone), "flows of the port before are still there"
    talking.controller.reached = talking.controller.revision
    wait_until(lambda: not entries(talking, zone), what="their end is heard of after all")
    assert talking.controller.has_port(NEXT)


def test_an_iface_id_that_changes_is_another_port(talking: AgentHost) -> None:
    talking.controller.reached = None
    zone, there = 77, ofport(talking, BLUE)
    plug(talking, "own", port_id(5), zone)
    wait_until(lambda: talking.controller.has_port(port_id(5)))
    track(talking, zone, there)
    talking.host.ofctl("add-flow", "br-int", f"priority=9,arp,in_port={there},actions={zone}")
    talking.host.run("ip", "addr", "add", "10.0.0.9/24", "dev", "own")
    talking.host.run("ip", "link", "set", "own", "up")
    talking.host.run("ping", "-c1", "-W1", "10.0.0.3", check=False)  # tracked on its way there
    wait_until(lambda: entries(talking, zone))
    talking.host.vsctl("set", "interface", "own", f"external_ids:iface-id={NEXT}")
    wait_until(lambda: talking.controller.has_port(NEXT))
    assert entries(talking, zone) == []


def test_a_port_that_left_is_cleaned_after_its_flows(talking: AgentHost) -> None:
    zone, other = ofport(talking, RED), ofport(talking, BLUE)
    talking.controller.set(released=(RED,))
    revision = talking.controller.state.revision
    wait_until(lambda: talking.controller.reports[-1][1].state_revision == revision)
    sent = len(talking.controller.reports)
    wait_until(lambda: len(talking.controller.reports) > sent + 1)
    assert entries(talking, zone), "its flows may still be there"
    talking.controller.reached = revision
    wait_until(lambda: not entries(talking, zone))
    assert entries(talking, other)


def _ping_without_new_connections(agent: AgentHost) -> subprocess.Popen[str]:
    """Ping in a connection that is tracked already; no further one would pass."""
    netns = agent.netns_dir / "red"
    ping = subprocess.Popen(
        ["nsenter", f"--net={netns}", "ping", "-i0.02", "-c150", "-W1", "10.0.0.3"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ping.stdout is not None
    wait_until(lambda: "bytes from" in (ping.stdout.readline() or ""))  # type: ignore[union-attr]
    agent.host.ofctl("del-flows", "br-int", "ip,ct_state=+trk+new")
    return ping


def _received(ping: subprocess.Popen[str]) -> int:
    out, _ = ping.communicate(timeout=30)
    found = re.search(r"(\d+) received", out)
    assert found, out
    return int(found[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("lost", [False, True])
def test_running_connections_outlive_the_agent(talking: AgentHost, number: int, lost: bool) -> None:
    ping = _ping_without_new_connections(talking)
    talking.stop(number)
    if lost:
        (talking.state_dir / "zones").unlink()
    talking.start()
    wait_until(lambda: (talking.state_dir / "zones").exists())
    assert _received(ping) == 150
    assert (talking.state_dir / "zones").stat().st_mode & 0o777 == 0o600


def _replace_while_away(agent: AgentHost) -> int:
    """Put another port where RED is while there is no agent; return the ofport."""
    zone = ofport(agent, RED)
    link = agent.controller.link(RED)
    assert link is not None
    agent.stop(signal.SIGKILL)
    agent.host.vsctl("del-port", "br-int", link.interface)
    agent.controller.attach(attachment(3, "blue", "10.0.0.3/24"))
    plug(agent, "next", NEXT, zone)
    return zone


def test_what_changed_while_the_agent_was_away_is_noticed(talking: AgentHost) -> None:
    zone = _replace_while_away(talking)
    talking.start()
    wait_until(lambda: seen(talking, NEXT))
    assert not talking.controller.has_port(NEXT)
    assert entries(talking, zone)
    talking.controller.reached = talking.controller.revision
    wait_until(lambda: talking.controller.has_port(NEXT))
    assert entries(talking, zone) == []


def test_without_a_record_what_changed_is_emptied_first(talking: AgentHost) -> None:
    zone = _replace_while_away(talking)
    (talking.state_dir / "zones").unlink()
    talking.start()
    wait_until(lambda: talking.controller.has_port(NEXT))
    assert entries(talking, zone) == []


def test_an_ovs_vswitchd_that_does_not_answer_is_waited_for(talking: AgentHost) -> None:
    zone = ofport(talking, RED)
    talking.controller.attach(attachment(3, "blue", "10.0.0.3/24"))
    wait_until(lambda: not seen(talking, RED))
    plug(talking, "next", NEXT, zone)
    wait_until(lambda: seen(talking, NEXT))
    process = talking.host.processes["ovs-vswitchd"]
    process.send_signal(signal.SIGSTOP)
    try:
        talking.controller.reached = talking.controller.revision
        wait_until(lambda: "zones cannot be emptied now" in talking.log.read_text(), timeout=20)
        assert not talking.controller.has_port(NEXT)
    finally:
        process.send_signal(signal.SIGCONT)
    wait_until(lambda: talking.controller.has_port(NEXT), timeout=20)
    assert entries(talking, zone) == []


def test_the_same_port_plugged_anew_starts_with_nothing(talking: AgentHost) -> None:
    zone = ofport(talking, RED)
    link = talking.controller.link(RED)
    assert link is not None
    before = len(talking.controller.reports)
    talking.host.vsctl(
        *("--", "del-port", "br-int", link.interface, "--", "add-port", "br-int", "anew"),
        *("--", "set", "interface", "anew", "type=internal", f"ofport_request={zone}"),
        f"external_ids:iface-id={RED}",
    )
    wait_until(lambda: (found := talking.controller.link(RED)) and found.interface == "anew")
    wait_until(lambda: talking.controller.has_port(RED))
    assert len(talking.controller.reports) > before
    assert entries(talking, zone) == []


def test_a_state_directory_that_cannot_be_written_is_said_and_trusted_no_more(
    talking: AgentHost,
) -> None:
    talking.stop()
    record = talking.state_dir / "zones"
    record.unlink()
    record.mkdir()
    talking.start(wait=False)
    wait_until(lambda: any("zones" in text for text in talking.controller.facts.errors))
    wait_until(lambda: talking.controller.has_port(RED))


def hand_over(agent: AgentHost, address: str) -> None:
    """Tell the agent that *address* is another port's now.

    Of its VPC are BLUE and a NAT gateway of this host, RED is not.
    """
    block = {"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "mtu": 1400}
    guest = {"port_id": BLUE, "key": 3, "mac": "02:00:00:00:00:03", "addresses": ("10.0.0.3",)}
    gateway = {"gateway_id": NAT, "exhausted_cookie": 0, "addresses": ("192.0.2.1",)}
    before = agent.controller.state
    handed = HandedOver(vpc_id=VPC, address=address, freed=5, revision=before.revision + 1)
    agent.controller.set(
        guest_subnets=(GuestSubnet(subnet_id=SUBNET, vpc_id=VPC, **block),),
        guests=(Guest(subnet_id=SUBNET, **guest),),
        nat_gateways=(NatGatewayState(vpc_id=VPC, zone=NAT_ZONE, **gateway),),
        handed_over=(*before.handed_over, handed),
    )


def talk(agent: AgentHost, source: str, to: tuple[str, int], how: str, port: int = 5000) -> None:
    """Have one UDP packet translated in the zone of the NAT gateway."""
    ends = frames.Ends(("0e:00:00:00:00:01", "0e:00:00:00:00:02"), (source, to[0]))
    packet, nat = frames.udp(ends, (port, to[1])).hex(), f"ct(commit,zone={NAT_ZONE},nat({how}))"
    agent.host.ofctl("packet-out", "br-int", f"in_port=CONTROLLER,packet={packet},actions={nat}")


def talks(agent: AgentHost) -> set[str]:
    """The clients and guests that the NAT gateway's zone knows."""
    return {line.split("src=")[1].split(",")[0] for line in entries(agent, NAT_ZONE)}


def stand_for(agent: AgentHost, eips: tuple[str, ...], *forwards: NatForward) -> int:
    """Tell the agent that it stands for the NAT gateway; return the revision."""
    gateway = NatGatewayState(
        gateway_id=NAT, zone=NAT_ZONE, addresses=eips, forwards=forwards, exhausted_cookie=0
    )
    agent.controller.set(nat_gateways=(gateway,))
    return agent.controller.state.revision


def test_connections_of_a_nat_gateway_end_with_their_eip_or_forward(running: AgentHost) -> None:
    one, two = "203.0.113.20", "203.0.113.21"
    web = NatForward(address=one, protocol=17, first=80, last=81, target="10.0.0.2", target_port=90)
    other = web.model_copy(update={"first": 90, "last": 90, "target_port": 9})
    running.controller.reached = stand_for(running, (one, two), web, other)
    outside = [f"192.0.2.{at}" for at in range(1, 5)]
    talk(running, "10.0.0.2", ("192.0.2.9", 53), f"src={one}")
    talk(running, "10.0.0.3", ("192.0.2.9", 53), f"src={two}")
    for client, port, target in zip(outside, (80, 81, 90, 80), (90, 91, 9, 90), strict=True):
        talk(running, client, (one, port), f"dst=10.0.0.2:{target}")
    talk(running, "10.0.0.2", (outside[1], 6000), f"src={one}:81", port=91)
    everybody = {"10.0.0.2", "10.0.0.3", *outside}
    assert talks(running) == everybody
    assert len(entries(running, NAT_ZONE)) == 7
    sent = len(running.controller.reports)
    revision = stand_for(running, (one,), other)
    wait_until(lambda: len(running.controller.reports) > sent + 2, what="it asks")
    assert talks(running) == everybody, "flows that translate so may still be there"
    running.controller.reached = revision
    wait_until(lambda: talks(running) == {"10.0.0.2", outside[2]})
    assert len(entries(running, NAT_ZONE)) == 2, "what was forwarded and heard first is gone, too"
    running.stop(signal.SIGKILL)
    running.controller.reached = stand_for(running, (one,))
    running.start()
    wait_until(lambda: talks(running) == {"10.0.0.2"}, what="what ended while there was no agent")


def done_up_to(agent: AgentHost) -> int:
    record = agent.state_dir / "handovers"
    return json.loads(record.read_text())["revision"] if record.exists() else 0


def test_peers_forget_an_address_that_changed_hands_after_its_flows_and_once(
    talking: AgentHost,
) -> None:
    elsewhere, zone = ofport(talking, RED), ofport(talking, BLUE)
    talk(talking, "10.0.0.2", ("10.0.0.3", 9), "src=192.0.2.1")
    talk(talking, "10.0.0.3", ("10.0.0.2", 9), "dst=10.0.0.2")
    assert len(entries(talking, NAT_ZONE)) == 2
    talking.controller.reached = 4
    hand_over(talking, "10.0.0.3")
    hand_over(talking, "10.0.0.2")
    revision, sent = talking.controller.state.revision, len(talking.controller.reports)
    wait_until(lambda: len(talking.controller.reports) > sent + 2, what="it asks")
    assert entries(talking, zone), "flows of the port before may still be there"
    talking.controller.reached = 5
    wait_until(lambda: not entries(talking, zone))
    wait_until(lambda: not entries(talking, NAT_ZONE))
    assert entries(talking, elsewhere), "a port of another VPC"
    wait_until(lambda: done_up_to(talking) == revision)
    talking.inside("red", "ping", "-c1", "-W2", "10.0.0.3")
    found = entries(talking, zone)
    assert found
    talking.stop(signal.SIGKILL)
    talking.start()
    hand_over(talking, "10.0.0.77")
    wait_until(lambda: done_up_to(talking) > revision)
    assert entries(talking, zone) == found, "the new port keeps its connections"
