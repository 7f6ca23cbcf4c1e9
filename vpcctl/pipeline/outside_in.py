"""Table OutsideIn: what comes from an external network for the addresses of ours that are here.

ARP requests are turned round; whoever sends one, or answers one, is learned as a neighbour. What is
for a port's EIP is translated and goes to the port's subnet as if it were routed; what is for a NAT
gateway goes to conntrack. ICMP errors about a port's packets hold the EIP in the packet inside too,
which flows cannot see: the agent translates them. Global IPv6 addresses are not translated; the
agent answers who asks for them.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import (
    OFPP_IN_PORT,
    Action,
    Commit,
    DecTtl,
    Learn,
    Move,
    Nat,
    Output,
    Resubmit,
    SetField,
    Track,
)
from vpcctl.flows.cookie import LEARNED_COOKIE, Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import NAT_IN, OUTSIDE_GUARD, OUTSIDE_IN, OUTSIDE_NEIGHBOUR
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, NatGateway, nat_zone
from vpcctl.model.host import Question, outside_ofport
from vpcctl.pipeline import limits
from vpcctl.pipeline.cells import port_masks
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.outside_questions import meter, to_agent
from vpcctl.pipeline.residence import EipFacts, GlobalFacts, if_active
from vpcctl.pipeline.terms import (
    ARP_REPLY,
    ARP_REQUEST,
    ETH_IPV4,
    ETH_IPV6,
    GROUP,
    IS_ADVERT,
    IS_ARP,
    IS_ICMP,
    IS_ICMP6,
    IS_IPV4,
    IS_IPV6,
    IS_SOLICIT,
    LATER_FRAGMENT,
    NOT_LATER,
    NOT_REWRITTEN,
    TCP,
    UDP,
    drop,
    flag,
    mark,
    on_link,
    with_flag,
)

ERRORS = (3, 11, 12)
"""ICMP types that hold a packet: unreachable, time exceeded, parameter problem (RFC 792)."""
_FROM_LINK: Term = (f.IP_TTL, 255, None)
"""Neighbour discovery that no router has passed on (RFC 4861, section 7.1)."""
_IDLE_S, _HARD_S = 300, 600
"""How long a neighbour is known: without a packet to it, and without it having said so again."""

_UNICAST: Term = (f.ETH_DST, 0, GROUP)

STATIC: tuple[Flow, ...] = (
    drop(OUTSIDE_IN, 500, ((f.VLAN_VID, 0x1000, 0x1000),), Reason.OUTSIDE_UNKNOWN),
    drop(OUTSIDE_IN, 310, (_UNICAST, *NOT_REWRITTEN), Reason.UNTRANSLATABLE),
    *(
        drop(OUTSIDE_IN, 300, (_UNICAST, family, (f.IP_TTL, ttl, None)), Reason.TTL_EXCEEDED)
        for family in (IS_IPV4, IS_IPV6)
        for ttl in (0, 1)
    ),
    # What the agent and flows do not take is not let in either: it would pass all filters.
    *(drop(OUTSIDE_IN, 205, terms, Reason.ON_LINK_ONLY) for terms in on_link(_UNICAST)),
    drop(OUTSIDE_IN, 0, (), Reason.OUTSIDE_UNKNOWN),
)


def on_network(network: ExternalNetwork) -> Term:
    """Return the term that matches what comes from, or is for, an external network."""
    return (f.OUTSIDE, network.key, None)


def _arp_sender(network: ExternalNetwork) -> Learn:
    """Return the action that learns whoever sends an ARP packet."""
    terms = ((f.ETH_TYPE, ETH_IPV4), (f.OUTSIDE, f.OUTSIDE), (f.LOOKUP_IPV4, f.ARP_SPA))
    owner, found = LEARNED_COOKIE | network.key, ((f.ETH_DST, f.ARP_SHA),)
    times = (_IDLE_S, _HARD_S)
    return Learn(OUTSIDE_NEIGHBOUR, 100, *times, owner, terms, found, back=True)


def _speaker(network: ExternalNetwork, address: f.Field) -> Learn:
    """Return the action that learns whose the IPv6 address in a field is: the sender's."""
    terms = ((f.ETH_TYPE, ETH_IPV6), (f.OUTSIDE, f.OUTSIDE), (f.LOOKUP_IPV6, address))
    owner, found = LEARNED_COOKIE | network.key, ((f.ETH_DST, f.ETH_SRC),)
    times = (_IDLE_S, _HARD_S)
    return Learn(OUTSIDE_NEIGHBOUR, 100, *times, owner, terms, found, back=True)


def network(network: ExternalNetwork) -> Iterator[Flow]:
    """Yield the flow that learns the router of a network, whatever it asks or says."""
    owner = cookie(Feature.OUTSIDE, network.key)
    if network.gateway is not None:
        terms = match(on_network(network), IS_ARP, (f.ARP_SPA, int(network.gateway)))
        yield Flow(OUTSIDE_IN, 150, terms, (_arp_sender(network),), None, owner)
    if network.ipv6_gateway is not None:
        about = (f.ND_TARGET, int(network.ipv6_gateway))
        terms = match(on_network(network), IS_IPV6, IS_ICMP6, *IS_ADVERT, _FROM_LINK, about)
        yield Flow(OUTSIDE_IN, 210, terms, (_speaker(network, f.ND_TARGET),), None, owner)


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows of an EIP where it is resident."""
    yield from _resolution(facts)
    if facts.port is not None:
        yield from _to_port(facts, facts.port)
    elif isinstance(facts.via.gateway, NatGateway):
        yield from _to_nat(facts, facts.via.gateway)


def _resolution(facts: EipFacts) -> Iterator[Flow]:
    """Yield what becomes of ARP about an EIP: of others who claim it, who ask, who answer it."""
    network, mac, owner = facts.via.network, facts.eip.mac, facts.cookie
    scope, address = (on_network(network), IS_ARP), int(facts.eip.address)
    yield from _said_of_itself(facts)
    asked = match(*scope, (f.ARP_OP, ARP_REQUEST), (f.ARP_TPA, address))
    answer = (_arp_sender(network), *_arp_answer(address, mac))
    yield from if_active(Flow(OUTSIDE_IN, 200, asked, answer, None, owner), facts.members)
    told = match(*scope, (f.ARP_OP, ARP_REPLY), (f.ARP_TPA, address))
    heard = (_arp_sender(network), *to_agent(network, Question.HEARD))
    limit = meter(mac, Question.HEARD)
    yield Flow(OUTSIDE_IN, 200, told, heard, None, owner, limit)


def _said_of_itself(facts: EipFacts) -> Iterator[Flow]:
    """Yield what becomes of ARP that comes from an EIP of ours, or says so.

    Where another host may be the active one, that is a neighbour like others: gateways that are
    active there reach those that are active here, and the other way round.
    """
    network, owner, address = facts.via.network, facts.cookie, int(facts.eip.address)
    claimed = match(on_network(network), IS_ARP, (f.ARP_SPA, address))
    own = match(*claimed, (f.ARP_SHA, facts.eip.mac))
    if not facts.members:
        yield Flow(OUTSIDE_IN, 260, own, (), None, owner)
        yield drop(OUTSIDE_IN, 250, claimed, Reason.OUTSIDE_SOURCE, owner)
        return
    announced, fresh = match(*own, (f.ARP_TPA, address)), flag(f.ROUTED, 0)
    learn = _arp_sender(network)
    yield Flow(OUTSIDE_IN, 265, announced, (learn,), None, owner)
    # It is looked at once more, as what any neighbour says.
    again = (learn, mark(f.ROUTED), Resubmit(OUTSIDE_IN))
    yield Flow(OUTSIDE_IN, 260, match(*own, fresh), again, None, owner)
    yield drop(OUTSIDE_IN, 250, match(*claimed, fresh), Reason.OUTSIDE_SOURCE, owner)


def _arp_answer(address: int, mac: int) -> tuple[Action, ...]:
    return (
        Move(f.ETH_SRC, f.ETH_DST, 48),
        SetField(f.ETH_SRC, mac),
        SetField(f.ARP_OP, ARP_REPLY),
        Move(f.ARP_SHA, f.ARP_THA, 48),
        SetField(f.ARP_SHA, mac),
        Move(f.ARP_SPA, f.ARP_TPA, 32),
        SetField(f.ARP_SPA, address),
        Output(OFPP_IN_PORT),
    )


def addressed(facts: EipFacts) -> Match:
    """Return the terms that match what is for an EIP."""
    destination = (f.IPV4_DST, int(facts.eip.address))
    return match(on_network(facts.via.network), (f.ETH_DST, facts.eip.mac), IS_IPV4, destination)


def into(port: PortFacts, network: ExternalNetwork) -> tuple[Action, ...]:
    """Return the actions that have a packet enter a port's subnet as if it were routed.

    A port whose host reaches the network has what comes for it come in there: then the subnet's
    ACL judges it for that port. On a gateway host an ofport would be another's.
    """
    is_here = outside_ofport(port.host, network.id) is not None
    return (
        SetField(f.JUDGED, port.location.ofport if is_here else 0),
        SetField(f.ETH_SRC, GATEWAY_MAC),
        SetField(f.VNI, port.subnet.vni),
        SetField(f.VPC, port.vpc.key),
        mark(f.ROUTED),
    )


def _to_port(facts: EipFacts, port: PortFacts) -> Iterator[Flow]:
    """Yield the way in to a port."""
    fixed, owner, terms = int(facts.eip.fixed_ip or 0), facts.cookie, addressed(facts)
    ask = to_agent(facts.via.network, Question.ERROR_IN)
    limit = meter(facts.eip.mac, Question.ERROR_IN)
    for kind in ERRORS:
        error = match(*terms, IS_ICMP, (f.IP_FRAG, 0), (f.ICMP_TYPE, kind))
        yield from if_active(Flow(OUTSIDE_IN, 220, error, ask, None, owner, limit), facts.admits)
    for protocol in (TCP, UDP) if facts.spoils_fragments else ():
        later = match(*terms, (f.IP_PROTO, protocol), LATER_FRAGMENT)
        yield drop(OUTSIDE_IN, 205, later, Reason.UNTRANSLATABLE, owner)
    enter = (
        *(SetField(f.IPV4_DST, fixed), SetField(f.LOOKUP_IPV4, fixed)),
        *(DecTtl(), *into(port, facts.via.network)),
    )
    yield from _limited(facts, Flow(OUTSIDE_IN, 200, terms, enter, OUTSIDE_GUARD, owner))


def _limited(facts: EipFacts, flow: Flow) -> Iterator[Flow]:
    """Yield the flows that let in what an EIP's limits allow, where it is let in."""
    for one in _metered(facts, flow):
        yield from if_active(one, facts.admits)


def _metered(facts: EipFacts, flow: Flow) -> Iterator[Flow]:
    """Yield *flow* with an EIP's meters, for what has not been handed on: that has met them."""
    own = flow if facts.partner is None else _handed_on(flow, 0)
    yield from limits.metered(own, limits.ingress(facts.eip.limits))


def _handed_on(flow: Flow, value: int = 1) -> Flow:
    return flow._replace(match=with_flag(flow.match, f.HANDED_ON, value))


def _to_nat(facts: EipFacts, gateway: NatGateway) -> Iterator[Flow]:
    """Yield the way in to a NAT gateway: what is forwarded, and answers to what went out."""
    zone, terms, owner = nat_zone(gateway), addressed(facts), facts.cookie
    asked = () if facts.partner is None else (mark(f.PICKED, 0),)
    track = (*asked, SetField(f.JUDGED, zone), Track(f.JUDGED_ZONE, NAT_IN, translate=True))
    tracked = Flow(OUTSIDE_IN, 200, terms, track, None, owner)
    yield from _limited(facts, tracked)
    if facts.partner is not None:
        yield _handed_on(tracked)
    begin, done = SetField(f.JUDGED, zone | f.HELD.mask), set[Match]()
    for forward in gateway.forwards:
        for whole, nat in _forwarded(facts, forward):
            if whole not in done:
                done.add(whole)
                commit = (begin, Commit(f.JUDGED_ZONE, NAT_IN, nat=nat))
                yield from _begun(facts, Flow(OUTSIDE_IN, 210, whole, commit, None, owner))


def _begun(facts: EipFacts, flow: Flow) -> Iterator[Flow]:
    """Yield the flows by which connections begin that come by a port forward.

    While a host leaves they begin on the active one, so that it speaks for the address by and by.
    What the other one has handed on is not to be asked where it belongs: that one has been asked.
    """
    if facts.partner is None:
        yield from _limited(facts, flow)
        return
    yield _handed_on(flow)
    for one in _metered(facts, flow):
        yield from if_active(one, facts.members)


def _forwarded(facts: EipFacts, forward: Forward) -> Iterator[tuple[Match, Nat]]:
    """Yield what is forwarded, and how it is translated."""
    if forward.eip != facts.eip.address or forward.target.version != 4:
        return
    for ports, translated in forwarded_ports(forward):
        field = f.TCP_DST if forward.protocol == TCP else f.UDP_DST
        protocol = (f.IP_PROTO, forward.protocol)
        whole = match(*addressed(facts), protocol, NOT_LATER, (field, *ports))
        yield whole, Nat(source=False, first=forward.target, ports=translated)


def forwarded_ports(
    forward: Forward,
) -> Iterator[tuple[tuple[int, int], tuple[int, int] | None]]:
    """Yield (port, mask) of an EIP's ports, and what they become; None: what they are.

    Conntrack would choose any port of a range, so each port that becomes another is one flow.
    """
    first, last = forward.ports
    if forward.target_port == first:
        yield from ((part, None) for part in port_masks(first, last))
        return
    for port in range(first, last + 1):
        target = forward.target_port + port - first
        yield (port, 0xFFFF), (target, target)


def addressed_ipv6(facts: GlobalFacts, ip: IPAddress) -> Match:
    """Return the terms that match what is for a global address."""
    name, to = (f.ETH_DST, facts.mac), (f.IPV6_DST, int(ip))
    return match(on_network(facts.via.network), name, IS_IPV6, to)


def global_ips(facts: GlobalFacts) -> Iterator[Flow]:
    """Yield the flows of a port's global addresses where they are resident."""
    network, owner, members = facts.via.network, facts.cookie, facts.members
    nd = (on_network(network), IS_IPV6, IS_ICMP6, _FROM_LINK)
    solicited = to_agent(network, Question.SOLICITED)
    heard = (_speaker(network, f.ND_TARGET), *to_agent(network, Question.HEARD))
    limit = meter(facts.mac, Question.SOLICITED)
    for ip in facts.ips:
        asked = match(*nd, *IS_SOLICIT, (f.ND_TARGET, int(ip)))
        ask = (_speaker(network, f.IPV6_SRC), *solicited)
        yield from if_active(Flow(OUTSIDE_IN, 220, asked, ask, None, owner, limit), members)
        told = match(*nd, *IS_ADVERT, (f.IPV6_DST, int(ip)))
        yield Flow(OUTSIDE_IN, 220, told, heard, None, owner, limit)
        terms = addressed_ipv6(facts, ip)
        enter = (SetField(f.LOOKUP_IPV6, int(ip)), DecTtl(), *into(facts.port, network))
        entering = Flow(OUTSIDE_IN, 200, terms, enter, OUTSIDE_GUARD, owner)
        yield from if_active(entering, facts.admits)
