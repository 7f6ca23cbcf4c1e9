"""Table TunnelIn: the subnet of a packet that another host sent.

The sender has routed it already, so it is only switched here. A packet for the gateway's MAC has
no business in a tunnel: refusing it means that no packet can be routed twice.
"""

from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import SWITCH, TUNNEL_IN
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.terms import drop

STATIC: tuple[Flow, ...] = (
    drop(TUNNEL_IN, 200, ((f.ETH_DST, GATEWAY_MAC, None),), Reason.TUNNEL_TO_GATEWAY),
    drop(TUNNEL_IN, 0, (), Reason.UNKNOWN_VNI),
)


def subnet(subnet: Subnet, vpc: Vpc) -> tuple[Flow, ...]:
    """Return the flow that knows a subnet by its VNI."""
    actions = (SetField(f.VNI, subnet.vni), SetField(f.VPC, vpc.key))
    owner = cookie(Feature.SUBNET, subnet.vni)
    return (Flow(TUNNEL_IN, 100, ((f.TUN_ID, subnet.vni, None),), actions, SWITCH, owner),)
