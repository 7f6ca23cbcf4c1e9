"""What lets a VPC work on a host before all of its flows are there: another host forwards.

The host that is loading hands over, unchanged, what its own flows cannot answer yet. The relay has
the whole VPC and takes it as if it came from a port of its own: it answers, routes or switches it,
and may send it into the tunnel again. The guards of source addresses have been passed before.

No packet can circle. A relay takes packets of a VPC only from hosts that are loading it, hands
nothing of it over itself, as it has it whole, and so whoever it sends to only delivers. Copies for
groups never go on: a relay gives these to its own ports alone.

To take a packet that the loading host has routed or switched by itself, as it does more and more,
is to do the same with it as ever: what is taken over and what comes as always need not be told
apart, and it does not matter which of the two hosts stops first.
"""

from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.tables import ARP_ND, NEIGHBOUR, OUTPUT, ROUTE, SWITCH, TUNNEL_IN
from vpcctl.model.addresses import IPAddress
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.route import TO_GATEWAY
from vpcctl.pipeline.terms import flag, mark, to_vtep


def hand_over(vpc: Vpc, via: IPAddress) -> tuple[Flow, ...]:
    """Return the flows of the host that is loading: what misses, and all that is to be routed.

    Routing changes a packet before it is known whether its destination is, so it is not begun.
    """
    scope, from_here = (f.VPC, vpc.key, None), flag(f.FROM_TUNNEL, 0)
    asked = [(f.FLAGS, bits.mask, bits.mask | f.FROM_TUNNEL.mask) for bits in (f.IS_ARP, f.IS_ND)]
    owner, send = cookie(Feature.VPC, vpc.key), (to_vtep(via),)
    return (
        Flow(ROUTE, 285, (scope, from_here, TO_GATEWAY), send, OUTPUT, owner),
        *(Flow(NEIGHBOUR, 20, (scope, question), send, OUTPUT, owner) for question in asked),
        Flow(SWITCH, 5, (scope, from_here), send, OUTPUT, owner),
    )


def take_over(subnet: Subnet, vpc: Vpc, sender: IPAddress) -> Flow:
    """Return the flow of the relay for one subnet; answers go back to the *sender*."""
    source = f.TUN_SRC if sender.version == 4 else f.TUN_IPV6_SRC
    match = ((f.TUN_ID, subnet.vni, None), (source, int(sender), None))
    actions = (
        SetField(f.VNI, subnet.vni),
        SetField(f.VPC, vpc.key),
        mark(f.RELAYED),
        to_vtep(sender),
    )
    return Flow(TUNNEL_IN, 300, match, actions, ARP_ND, cookie(Feature.VPC, vpc.key))
