"""Table Neighbour: whose MAC an address of a subnet has."""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import NEIGHBOUR, RESPOND
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, link_local
from vpcctl.model.network import Network
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.facts import PortFacts, is_gateway
from vpcctl.pipeline.terms import BASE, drop, flag

_GATEWAY = (SetField(f.FOUND_MAC, GATEWAY_MAC),)

STATIC: tuple[Flow, ...] = (
    Flow(
        NEIGHBOUR,
        120,
        ((f.LOOKUP_IPV6, int(link_local(GATEWAY_MAC)), None),),
        _GATEWAY,
        RESPOND,
        BASE,
    ),
    drop(NEIGHBOUR, 10, (flag(f.IS_ARP),), Reason.ARP_UNANSWERED),
    drop(NEIGHBOUR, 10, (flag(f.IS_ND),), Reason.ND_UNANSWERED),
    drop(NEIGHBOUR, 0, (), Reason.NO_NEIGHBOUR),
)


def lookup(ip: IPAddress) -> f.Field:
    """Return the register that an address of *ip*'s family is looked up by."""
    return f.LOOKUP_IPV4 if ip.version == 4 else f.LOOKUP_IPV6


def subnet(subnet: Subnet) -> Iterator[Flow]:
    """Yield the flows that know a subnet's gateways."""
    owner = cookie(Feature.SUBNET, subnet.vni)
    for ip in (subnet.gateway, subnet.ipv6_gateway):
        if ip is not None:
            match = ((f.VNI, subnet.vni, None), (lookup(ip), int(ip), None))
            yield Flow(NEIGHBOUR, 100, match, _GATEWAY, RESPOND, owner)


def port(net: Network, facts: PortFacts) -> Iterator[Flow]:
    """Yield the flows that know a port by the addresses that it alone has."""
    port, subnet = facts.port, facts.subnet
    segment = net.segments[subnet.id]
    vni, owner = (f.VNI, subnet.vni, None), facts.cookie
    actions = (SetField(f.FOUND_MAC, port.mac),)
    for ip in port.ips:
        number = int(ip)
        if segment.fixed(ip).owner(number) is None or is_gateway(subnet, ip):
            continue
        field = f.LOOKUP_IPV4 if ip.version == 4 else f.LOOKUP_IPV6
        yield Flow(NEIGHBOUR, 100, (vni, (field, number, None)), actions, RESPOND, owner)
    if subnet.ipv6_cidr is not None and segment.macs.owner(port.mac) is not None:
        number = int(link_local(port.mac))
        match = (vni, (f.LOOKUP_IPV6, number, None))
        yield Flow(NEIGHBOUR, 100, match, actions, RESPOND, owner)
