"""What keeps connections of a NAT gateway whole while a host leaves it: each of two knows some.

A connection is known to the host that its first packet went through. While hosts hear of a move
one after the other, and the provider's network too, its next packets may come to the other one of
the two: the one that leaves, or the one that follows. What a host has no connection for it hands on
to the other, as it is, through the tunnel and with the gateway's VNI. The destination MAC says what
it is: an EIP's of what comes from outside, ``HANDED_ON_MAC`` of what a port has sent.

A packet is handed on once, as the other host marks it; what is not known there either is dropped
there. What conntrack has translated, and found wrong all the same, is not handed on.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, ClearTracking, SetField
from vpcctl.flows.flow import Flow, Term, match
from vpcctl.flows.tables import GATEWAY, NAT_IN, NAT_OUT, OUTPUT, OUTSIDE_IN, TUNNEL_IN
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress
from vpcctl.model.gateway import NatGateway, nat_zone
from vpcctl.model.host import Host
from vpcctl.model.network import Network
from vpcctl.pipeline.residence import EipFacts, GatewayFacts, partner
from vpcctl.pipeline.terms import IS_IPV4, NOWHERE, flag, mark, to_vtep

HANDED_ON_MAC = 0x0E_76_70_63_00_02
"""Destination of what a port has sent: no guest can send to it through a tunnel to a gateway."""
_UNKNOWN: Term = (f.CT_STATE, f.CT_TRK | f.CT_INV, f.CT_TRK | f.CT_INV | f.CT_SNAT)
"""It is of no connection and begins none, such as an answer, or an error about something."""
_FRESH = (mark(f.FROM_TUNNEL, 0), mark(f.RELAYED, 0))
"""It may leave by the tunnel, as what comes from here may."""
_FROM_NOWHERE = SetField(f.IN_PORT, 0)
"""It may leave by any port, also the one that it has come by."""


def gateway(net: Network, facts: GatewayFacts, gateway: NatGateway, host: Host) -> Iterator[Flow]:
    """Yield the flows that hand on what ports have sent, and that take it."""
    to, owner = partner(net, facts, host), facts.cookie
    if to is None:
        return
    unknown = match((f.VNI, gateway.vni), IS_IPV4, (f.CT_ZONE, nat_zone(gateway)), _UNKNOWN)
    name = (SetField(f.ETH_DST, HANDED_ON_MAC), _FROM_NOWHERE, *_FRESH)
    sent = match(*unknown, flag(f.HANDED_ON, 0))
    yield Flow(NAT_OUT, 50, sent, (*name, *_across(to)), OUTPUT, owner)
    handed_on = match((f.TUN_ID, gateway.vni), (f.ETH_DST, HANDED_ON_MAC))
    take = (
        *(SetField(f.VNI, gateway.vni), SetField(f.VPC, facts.vpc.key)),
        *(SetField(f.ETH_DST, GATEWAY_MAC), mark(f.HANDED_ON)),
    )
    yield Flow(TUNNEL_IN, 260, handed_on, take, GATEWAY, owner)


def eip(facts: EipFacts) -> Iterator[Flow]:
    """Yield the flows that hand on what has come from outside for an EIP, and that take it."""
    gateway, owner = facts.via.gateway, facts.cookie
    if facts.partner is None or not isinstance(gateway, NatGateway):
        return
    zone = nat_zone(gateway)
    here = ((f.JUDGED, zone, f.JUDGED_ZONE.mask), (f.CT_ZONE, zone))
    to = (f.IPV4_DST, int(facts.eip.address))
    unknown = match(IS_IPV4, *here, to, flag(f.HANDED_ON, 0))
    send = (SetField(f.VNI, gateway.vni), *_across(facts.partner))
    yield Flow(NAT_IN, 50, unknown, send, OUTPUT, owner)
    handed_on = match((f.TUN_ID, gateway.vni), (f.ETH_DST, facts.eip.mac))
    take = (
        *(SetField(f.OUTSIDE, facts.via.network.key), _FROM_NOWHERE),
        *(*_FRESH, *NOWHERE, mark(f.HANDED_ON)),
    )
    yield Flow(TUNNEL_IN, 260, handed_on, take, OUTSIDE_IN, owner)


def _across(to: IPAddress) -> tuple[Action, ...]:
    """Return the actions that lead to the other host by table Output."""
    return (ClearTracking(), *NOWHERE, to_vtep(to))
