"""Table Gateway: from a VPC to an external network, here or on a gateway host.

The VNI is the gateway's own. A host that reaches the network itself translates what its ports with
EIPs send, and drops what has none; any other hands packets, by tunnel, to the first gateway host
that lives, which Open vSwitch tells it (see ``residence``) without anybody else's help. While a
gateway host is not watched yet, it gets what no other takes.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, BundleLoad, Resubmit, SetField
from vpcctl.flows.flow import Flow, Match, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import GATEWAY, NAT_OUT, OUTPUT, OUTSIDE, TUNNEL_IN
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress
from vpcctl.model.gateway import NatGateway
from vpcctl.model.host import STAND_OFPORT, Host, Question, outside_ofport
from vpcctl.model.network import Network
from vpcctl.pipeline import limits
from vpcctl.pipeline.outside_in import ERRORS
from vpcctl.pipeline.outside_questions import meter, to_agent
from vpcctl.pipeline.residence import (
    EipFacts,
    GatewayFacts,
    GlobalFacts,
    watch_ofport,
)
from vpcctl.pipeline.terms import (
    IS_ICMP,
    IS_IPV4,
    IS_IPV6,
    LATER_FRAGMENT,
    NOT_REWRITTEN,
    NOWHERE,
    TCP,
    UDP,
    drop,
    flags,
    mark,
    to_vtep,
)

STATIC: tuple[Flow, ...] = (
    drop(GATEWAY, 310, NOT_REWRITTEN, Reason.UNTRANSLATABLE),
    drop(GATEWAY, 0, (), Reason.NO_GATEWAY),
)
_SENT_HERE = ((f.FROM_TUNNEL, 0), (f.PICKED, 0))
_TAKEN_OVER = ((f.FROM_TUNNEL, 1), (f.RELAYED, 1), (f.PICKED, 0))
_HANDED_OVER = ((f.FROM_TUNNEL, 1), (f.RELAYED, 0), (f.PICKED, 0))
"""By another host, that is."""


def gateway(net: Network, facts: GatewayFacts, host: Host) -> Iterator[Flow]:
    """Yield a gateway's flows on a host that has its VPC."""
    scope, owner, is_nat = (f.VNI, facts.gateway.vni), facts.cookie, _is_nat(facts)
    if host in facts.hosts:
        enter = (SetField(f.VNI, facts.gateway.vni), SetField(f.VPC, facts.vpc.key))
        # To the router, as all that hosts hand over: what is handed on has other destinations.
        from_others = match((f.TUN_ID, facts.gateway.vni), (f.ETH_DST, GATEWAY_MAC))
        yield Flow(TUNNEL_IN, 250, from_others, enter, GATEWAY, owner)
        if is_nat:
            yield Flow(GATEWAY, 40, match(scope, flags(*_HANDED_OVER)), (), NAT_OUT, owner)
    if not is_nat and outside_ofport(host, facts.network.id) is not None:
        yield drop(GATEWAY, 50, match(scope), Reason.NO_EIP, owner)
        return
    for sent in (_SENT_HERE, _TAKEN_OVER):
        yield from _hand_over(net, facts, host, match(scope, flags(*sent)))
    yield from _chosen(net, facts, host)


def _is_nat(facts: GatewayFacts) -> bool:
    return isinstance(facts.gateway, NatGateway)


def _candidates(net: Network, facts: GatewayFacts, host: Host) -> dict[int, IPAddress | None]:
    """Return the ofports that tell which gateway hosts live, each with its VTEP; None: here."""
    found: dict[int, IPAddress | None] = {}
    for other in facts.hosts:
        if other.id == host.id:
            found[STAND_OFPORT] = None
            continue
        ofport, vtep = watch_ofport(host, other), net.vtep_of(other.id)
        if ofport is not None and vtep is not None:
            found[ofport] = vtep
    return found


def _hand_over(net: Network, facts: GatewayFacts, host: Host, sent: Match) -> Iterator[Flow]:
    """Yield the flow that asks who lives."""
    members = tuple(_candidates(net, facts, host))
    ask: tuple[Action, ...] = (mark(f.PICKED), Resubmit(GATEWAY))
    if members:
        ask = (BundleLoad(members, f.CHOICE), *ask)
    yield Flow(GATEWAY, 40, sent, ask, None, facts.cookie)


def _chosen(net: Network, facts: GatewayFacts, host: Host) -> Iterator[Flow]:
    """Yield the flows that send a packet to the host that lives."""
    owner, picked = facts.cookie, match((f.VNI, facts.gateway.vni), flags((f.PICKED, 1)))
    candidates = _candidates(net, facts, host)
    for ofport, vtep in candidates.items():
        chosen = match(*picked, (f.CHOICE.field, ofport, f.CHOICE.mask))
        if vtep is None:
            yield Flow(GATEWAY, 60, chosen, (mark(f.PICKED, 0),), NAT_OUT, owner)
        else:
            yield Flow(GATEWAY, 60, chosen, (*NOWHERE, to_vtep(vtep)), OUTPUT, owner)
    if STAND_OFPORT in candidates:
        return
    unwatched = (net.vtep_of(one.id) for one in facts.hosts if watch_ofport(host, one) is None)
    vtep = next((one for one in unwatched if one is not None), None)
    if vtep is None:
        yield drop(GATEWAY, 55, picked, Reason.NO_GATEWAY, owner)
    else:
        yield Flow(GATEWAY, 55, picked, (*NOWHERE, to_vtep(vtep)), OUTPUT, owner)


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows that translate what a port sends to its EIP."""
    if facts.port is None or facts.eip.fixed_ip is None:
        return
    scope = match((f.VNI, facts.via.gateway.vni), IS_IPV4, (f.IPV4_SRC, int(facts.eip.fixed_ip)))
    name, owner = SetField(f.ETH_SRC, facts.eip.mac), facts.cookie
    ask = (name, *to_agent(facts.via.network, Question.ERROR_OUT))
    limit = meter(facts.eip.mac, Question.ERROR_OUT)
    for kind in ERRORS:
        error = match(*scope, IS_ICMP, (f.IP_FRAG, 0), (f.ICMP_TYPE, kind))
        yield Flow(GATEWAY, 110, error, ask, None, owner, limit)
    for protocol in (TCP, UDP) if facts.spoils_fragments else ():
        later = match(*scope, (f.IP_PROTO, protocol), LATER_FRAGMENT)
        yield drop(GATEWAY, 105, later, Reason.UNTRANSLATABLE, owner)
    translate = (SetField(f.IPV4_SRC, int(facts.eip.address)), name)
    leave = (*translate, SetField(f.OUTSIDE, facts.via.network.key))
    flow = Flow(GATEWAY, 100, scope, leave, OUTSIDE, owner)
    yield from limits.metered(flow, limits.egress(facts.eip.limits))


def global_ips(facts: GlobalFacts) -> Iterator[Flow]:
    """Yield the flows by which a port's global addresses leave."""
    name = (SetField(f.ETH_SRC, facts.mac), SetField(f.OUTSIDE, facts.via.network.key))
    for ip in facts.ips:
        terms = match((f.VNI, facts.via.gateway.vni), IS_IPV6, (f.IPV6_SRC, int(ip)))
        yield Flow(GATEWAY, 100, terms, name, OUTSIDE, facts.cookie)
