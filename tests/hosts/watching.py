"""Hosts that watch each other by BFD."""

from agent.decide import marks
from tests.hosts.conftest import AgentHost
from vpcctl.wire.state import Watched

COOKIE = f"{marks.COOKIE_OWNER << 48:#x}"


def confirm(agent: AgentHost) -> None:
    """Let the agent's frames of EIPs out, and have the controller say that all flows are there."""
    ways = agent.controller.facts.outside
    out = f"output:{ways[0].ofport}" if ways else "drop"
    eips = "0a:76:00:00:00:00/ff:ff:00:00:00:00"
    flow = f"cookie={COOKIE},in_port=65000,dl_src={eips},actions={out}"
    agent.host.ofctl("add-flow", "br-int", flow)
    agent.controller.realised = 1


def watch(agent: AgentHost, other: AgentHost, **more: object) -> None:
    watched = Watched(host_id=other.host_id, vtep_address=other.host.address)
    agent.controller.peers(other.host.address)
    agent.controller.set(watched=(watched,), **more)


def is_up(agent: AgentHost) -> bool:
    return any(each.up for each in agent.controller.facts.watches)


def bfd(agent: AgentHost, other: AgentHost, key: str) -> str:
    name = marks.watch_port(other.host_id)
    return agent.host.vsctl("get", "interface", name, f"bfd_status:{key}", check=False).strip('"')
