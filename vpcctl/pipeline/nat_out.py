"""Table NatOut: source NAT, on the gateway host, by connection.

A packet goes through the table up to three times: to get a number from its source where there are
several EIPs, to be translated by conntrack, and to leave by the EIP that it has then. Which EIP
that is, a known connection decides for itself. What conntrack has not translated never leaves.

A connection that is translated to an EIP that has left the gateway goes nowhere until the agent has
deleted it; then its next packet gets another EIP.

Of a port that something is forwarded to, packets come from where that is forwarded from: a gateway
host that has just taken over may hear the answer before the question.
"""

from collections.abc import Collection, Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import ClearTracking, Commit, Multipath, Nat, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import NAT_OUT, OUTSIDE
from vpcctl.model.addresses import IPAddress
from vpcctl.model.eip import Eip
from vpcctl.model.gateway import NatGateway, nat_zone
from vpcctl.model.network import Network
from vpcctl.pipeline import limits
from vpcctl.pipeline.outside_in import forwarded_ports
from vpcctl.pipeline.residence import EipFacts, GatewayFacts, live_eips
from vpcctl.pipeline.terms import IS_IPV4, NOT_LATER, TCP, TRACKED, drop, flag, mark

_UNTRACKED: Term = (f.CT_STATE, 0, f.CT_TRK)
_NOT_TRANSLATED: Term = (
    f.CT_STATE,
    f.CT_TRK | f.CT_NEW,
    f.CT_TRK | f.CT_NEW | f.CT_INV | f.CT_SNAT,
)
"""Of a connection for which there is no port. One that conntrack still translates to an EIP that
has left the gateway may be new to it, too, while nobody has answered."""

STATIC: tuple[Flow, ...] = (
    drop(NAT_OUT, 10, (_NOT_TRANSLATED,), Reason.NAT_EXHAUSTED),
    drop(NAT_OUT, 0, (), Reason.NAT_UNMATCHED),
)


def gateway(net: Network, facts: GatewayFacts, gateway: NatGateway) -> Iterator[Flow]:
    """Yield the flows that choose an EIP, or know it, and translate to it."""
    scope, owner = match((f.VNI, gateway.vni), IS_IPV4, _UNTRACKED), facts.cookie
    begin, eips = SetField(f.JUDGED, nat_zone(gateway)), live_eips(net, facts)
    if not eips:
        yield drop(NAT_OUT, 100, scope, Reason.NO_EIP, owner)
    elif len(eips) == 1:
        yield Flow(NAT_OUT, 100, scope, (begin, _translate(eips[0])), None, owner)
    else:
        draw = (begin, Multipath("nw_src", len(eips), f.CHOICE), mark(f.PICKED))
        first = match(*scope, flag(f.PICKED, 0))
        yield Flow(NAT_OUT, 100, first, (*draw, Resubmit(NAT_OUT)), None, owner)
        for number, eip in enumerate(eips):
            drawn = (f.CHOICE.field, number, f.CHOICE.mask)
            second = match(*scope, flag(f.PICKED), drawn)
            actions = (mark(f.PICKED, 0), _translate(eip))
            yield Flow(NAT_OUT, 100, second, actions, None, owner)
    yield from _answers(gateway, owner, {eip.address for eip in eips})
    yield _exhausted(gateway)


def _exhausted(gateway: NatGateway) -> Flow:
    """Return the flow that counts connections for which a gateway has no port left.

    The userspace datapath lets their packets pass untranslated, the kernel's drops them itself.
    """
    owner = cookie(Feature.EXHAUSTED, gateway.vni)
    return drop(
        NAT_OUT, 20, match((f.VNI, gateway.vni), _NOT_TRANSLATED), Reason.NAT_EXHAUSTED, owner
    )


def _translate(eip: Eip) -> Commit:
    return Commit(f.JUDGED_ZONE, NAT_OUT, nat=Nat(source=True, first=eip.address))


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flow by which what has been translated to an EIP leaves."""
    gateway = facts.via.gateway
    if isinstance(gateway, NatGateway):
        source = (f.IPV4_SRC, int(facts.eip.address))
        zone = (f.CT_ZONE, nat_zone(gateway))
        terms = match((f.VNI, gateway.vni), IS_IPV4, source, TRACKED, zone)
        leave = (
            SetField(f.ETH_SRC, facts.eip.mac),
            SetField(f.OUTSIDE, facts.via.network.key),
            ClearTracking(),
            *(() if facts.partner is None else (mark(f.HANDED_ON, 0),)),
        )
        flow = Flow(NAT_OUT, 100, terms, leave, OUTSIDE, facts.cookie)
        yield from limits.metered(flow, limits.egress(facts.eip.limits))


def _answers(gateway: NatGateway, owner: int, live: Collection[IPAddress]) -> Iterator[Flow]:
    """Yield the flows that translate what comes from where forwards lead to.

    Forwards of several EIPs may lead to one port: of these the first counts.
    """
    done, begin = set[Match](), SetField(f.JUDGED, nat_zone(gateway))
    for forward in gateway.forwards:
        if forward.eip not in live or forward.target.version != 4:
            continue
        source = (f.IPV4_SRC, int(forward.target))
        scope = match((f.VNI, gateway.vni), IS_IPV4, source, _UNTRACKED, NOT_LATER)
        field = f.TCP_SRC if forward.protocol == TCP else f.UDP_SRC
        for (first, mask), inside in forwarded_ports(forward):
            port = (field, first, mask) if inside is None else (field, inside[0], 0xFFFF)
            whole = match(*scope, (f.IP_PROTO, forward.protocol), port)
            if whole not in done:
                done.add(whole)
                ports = None if inside is None else (first, first)
                nat = Nat(source=True, first=forward.eip, ports=ports)
                commit = (begin, Commit(f.JUDGED_ZONE, NAT_OUT, nat=nat))
                yield Flow(NAT_OUT, 110, whole, commit, None, owner)
