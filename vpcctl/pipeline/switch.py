"""Table Switch: the port and the host of a destination MAC."""

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, SetField
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import FLOOD, INGRESS_ACL, SWITCH
from vpcctl.model.network import Network
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.terms import BASE, TO_GROUP, drop

STATIC: tuple[Flow, ...] = (
    Flow(SWITCH, 90, (TO_GROUP,), (), FLOOD, BASE),
    drop(SWITCH, 0, (), Reason.UNKNOWN_UNICAST),
)


def port(net: Network, facts: PortFacts) -> tuple[Flow, ...]:
    """Return the flow that knows a port by the MAC that it alone has."""
    port, subnet, vtep = facts.port, facts.subnet, facts.host.vtep
    if net.segments[subnet.id].macs.owner(port.mac) is None:
        return ()
    actions: tuple[Action, ...] = (SetField(f.DEST_PORT, port.key),)
    if vtep is not None:
        tunnel = f.TUN_DST if vtep.version == 4 else f.TUN_IPV6_DST
        actions = (actions[0], SetField(tunnel, int(vtep)))
    match = ((f.VNI, subnet.vni, None), (f.ETH_DST, port.mac, None))
    return (Flow(SWITCH, 100, match, actions, INGRESS_ACL, facts.cookie),)
