"""Table NatIn: what conntrack has translated on its way in goes to the VPC.

What it knows is an answer to what has gone out, or comes by a port forwarding, which has marked it
as held. Anything else is nobody's: NAT gateways let no strangers in. The zone is asked for because
conntrack sends fragments of others on with any packet, see ``connection``.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import ClearTracking, SetField
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import NAT_IN, OUTSIDE_GUARD
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.gateway import NatGateway, nat_zone
from vpcctl.pipeline.residence import GatewayFacts
from vpcctl.pipeline.terms import IS_IPV4, drop

_VALID = f.CT_TRK | f.CT_INV | f.CT_NEW

STATIC: tuple[Flow, ...] = (drop(NAT_IN, 0, (), Reason.NAT_UNMATCHED),)


def gateway(facts: GatewayFacts, gateway: NatGateway) -> Iterator[Flow]:
    """Yield the flows that route what comes through a NAT gateway within its VPC."""
    enter = (
        SetField(f.VNI, 0),  # it comes from no subnet: it is routed, and no route table is asked
        SetField(f.VPC, facts.vpc.key),
        SetField(f.ETH_DST, GATEWAY_MAC),
        ClearTracking(),
    )
    zone, which = nat_zone(gateway), f.JUDGED_ZONE.mask
    known = ((f.JUDGED, zone, which), (f.CT_STATE, f.CT_TRK, _VALID))
    held = (f.JUDGED, zone | f.HELD.mask, which | f.HELD.mask)
    forwarded = (held, (f.CT_STATE, f.CT_TRK | f.CT_NEW, _VALID))
    for terms in (known, forwarded):
        whole = match(IS_IPV4, (f.CT_ZONE, zone), *terms)
        yield Flow(NAT_IN, 100, whole, enter, OUTSIDE_GUARD, facts.cookie)
