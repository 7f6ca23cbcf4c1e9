"""Table Classify: where a packet comes from.

A packet of the tunnel port goes through the table twice: once to be marked, once to have its
sender looked up among the known VTEPs. Only the first of these flows differs between hosts.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Move, Output, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import (
    CLASSIFY,
    OUTPUT,
    OUTSIDE,
    OUTSIDE_GUARD,
    OUTSIDE_IN,
    SPOOF_GUARD,
    TUNNEL_IN,
)
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.host import (
    GUEST_SERVICE_MAC,
    GUEST_SERVICE_OFPORT,
    Host,
    error_inwards,
    error_outwards,
)
from vpcctl.pipeline import limits
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.outside_in import into
from vpcctl.pipeline.residence import EipFacts, GlobalFacts
from vpcctl.pipeline.terms import BASE, drop, flag, mark

STATIC: tuple[Flow, ...] = (
    drop(CLASSIFY, 100, (flag(f.FROM_TUNNEL),), Reason.UNKNOWN_VTEP),
    drop(CLASSIFY, 0, (), Reason.UNKNOWN_PORT),
)

_FROM_AGENT: tuple[Flow, ...] = (
    Flow(
        CLASSIFY,
        190,
        (
            (f.IN_PORT, GUEST_SERVICE_OFPORT, None),
            flag(f.FROM_TUNNEL, 0),
            (f.ETH_SRC, GUEST_SERVICE_MAC, 0xFFFF << 32),
        ),
        (
            Move(f.ETH_SRC, f.DEST_PORT, 32),
            SetField(f.ETH_SRC, GATEWAY_MAC),
            mark(f.FROM_TUNNEL),
        ),
        OUTPUT,
        BASE,
    ),
)
"""The agent's answer goes to the port that its source MAC names, if that is here, from the gateway;
marked as if it came through a tunnel, it cannot leave the host."""


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows of what comes through *host*'s tunnel port or from its agent."""
    agent = _FROM_AGENT if host.has_guest_port else ()
    if host.tunnel_ofport is None:
        return agent
    match = ((f.IN_PORT, host.tunnel_ofport, None), flag(f.FROM_TUNNEL, 0))
    actions = (mark(f.FROM_TUNNEL), Resubmit(CLASSIFY))
    return (Flow(CLASSIFY, 200, match, actions, None, BASE), *agent)


def peer(host: Host) -> tuple[Flow, ...]:
    """Return the flow that lets packets from *host*'s VTEP in."""
    if host.vtep is None:
        return ()
    source = f.TUN_SRC if host.vtep.version == 4 else f.TUN_IPV6_SRC
    match = ((source, int(host.vtep), None), flag(f.FROM_TUNNEL))
    return (Flow(CLASSIFY, 150, match, (), TUNNEL_IN, cookie(Feature.PEER, host.key)),)


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield the flow that knows a port by its interface, and limits what it sends.

    A flow has one meter at most; where there are two limits a packet goes through the table twice.
    """
    here, owner = (f.IN_PORT, facts.location.ofport, None), facts.edge_cookie
    match = (here, flag(f.FROM_TUNNEL, 0))
    actions = (
        SetField(f.SOURCE_PORT, facts.port.key),
        SetField(f.VNI, facts.subnet.vni),
        SetField(f.VPC, facts.vpc.key),
    )
    first, second = limits.egress(facts.port.limits)
    if second is None:
        yield Flow(CLASSIFY, 100, match, actions, SPOOF_GUARD, owner, first)
        return
    again = (*actions, Resubmit(CLASSIFY))
    yield Flow(CLASSIFY, 100, match, again, None, owner, first)
    known = (here, (f.SOURCE_PORT, facts.port.key, None), flag(f.FROM_TUNNEL, 0))
    yield Flow(CLASSIFY, 110, known, (), SPOOF_GUARD, owner, second)


def cut_off(ofport: int, owner: int) -> Flow:
    """Return the flow of a port that is administratively down.

    Its priority is its own: in place of a flow that let packets pass, with the same match, Open
    vSwitch would go on with that one's count.
    """
    match = ((f.IN_PORT, ofport, None), flag(f.FROM_TUNNEL, 0))
    return drop(CLASSIFY, 120, match, Reason.ADMIN_DOWN, owner)


def outside(network: ExternalNetwork, ofport: int) -> Flow:
    """Return the flow that knows an external network by the port that leads there."""
    match = ((f.IN_PORT, ofport, None), flag(f.FROM_TUNNEL, 0))
    owner = cookie(Feature.OUTSIDE, network.key)
    return Flow(CLASSIFY, 180, match, (SetField(f.OUTSIDE, network.key),), OUTSIDE_IN, owner)


def global_ips(facts: GlobalFacts) -> Iterator[Flow]:
    """Yield the flow of what the agent says for a port's global addresses."""
    yield _spoken_for(facts.mac, facts.ofport, facts.cookie)


def _spoken_for(mac: int, ofport: int, owner: int) -> Flow:
    """Return the flow that has the agent speak on an external network with a MAC of ours."""
    return Flow(CLASSIFY, 190, _from_agent(mac), (Output(ofport),), None, owner)


def _from_agent(mac: int) -> Match:
    agent = (f.IN_PORT, GUEST_SERVICE_OFPORT, None)
    return (agent, flag(f.FROM_TUNNEL, 0), (f.ETH_SRC, mac, None))


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows of what the agent says for an EIP."""
    eip, owner = facts.eip, facts.cookie
    yield _spoken_for(eip.mac, facts.ofport, owner)
    if facts.port is None or eip.fixed_ip is None:
        return
    enter = into(facts.port, facts.via.network)
    inwards = (*enter, SetField(f.LOOKUP_IPV4, int(eip.fixed_ip)))
    yield Flow(CLASSIFY, 190, _from_agent(error_inwards(eip.key)), inwards, OUTSIDE_GUARD, owner)
    outwards = (
        SetField(f.ETH_SRC, eip.mac),
        SetField(f.OUTSIDE, facts.via.network.key),
        SetField(f.IN_PORT, 0),
    )
    yield Flow(CLASSIFY, 190, _from_agent(error_outwards(eip.key)), outwards, OUTSIDE, owner)
