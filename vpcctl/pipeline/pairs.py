"""Addresses and MACs that ports hold by allowed pairs: virtual addresses, for VRRP and the like.

An address that one port alone has is resolved like a fixed one. One that several share is
whoever's says so at the moment: questions about it and announcements of it are flooded in the
subnet, and routed packets go to all who share it. A fixed address or a port's own MAC always wins.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.tables import INGRESS_ACL, NEIGHBOUR, OUTPUT, RESPOND, SWITCH
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, eui64_mac, is_unicast
from vpcctl.model.network import Network, single_pairs
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.facts import PortFacts, is_gateway, port_facts
from vpcctl.pipeline.neighbour import lookup
from vpcctl.pipeline.terms import NOWHERE, flag, to_vtep


def address(net: Network, subnet_id: str, ip: IPAddress) -> Iterator[Flow]:
    """Yield the flows of an address that ports have by allowed pairs."""
    segment, live = net.segment(subnet_id), net.live_subnet(subnet_id)
    if live is None or not _resolvable(live[0], ip) or segment.fixed(ip).of(int(ip)):
        return
    if segment.macs.of(eui64_mac(ip)):
        return  # a port's link-local address is its own
    holders = [port_facts(net, port_id) for port_id in sorted(segment.pairs.get(ip, ()))]
    claims = {
        (facts.port.key, mac)
        for facts in holders
        if facts is not None
        for claimed, mac in single_pairs(facts.port)
        if claimed == ip
    }
    match = ((f.VNI, live[0].vni, None), (lookup(ip), int(ip), None))
    owner = cookie(Feature.PAIR, live[0].vni)
    if len(claims) == 1:
        found = (SetField(f.FOUND_MAC, next(mac for _, mac in claims)),)
        yield Flow(NEIGHBOUR, 100, match, found, RESPOND, owner)
    elif claims:
        macs = sorted({mac for _, mac in claims})
        copies = tuple(
            action
            for mac in macs
            for action in (*NOWHERE, SetField(f.ETH_DST, mac), Resubmit(SWITCH))
        )
        routed = tuple(sorted((*match, flag(f.ROUTED)), key=lambda term: term[0].order))
        yield Flow(NEIGHBOUR, 110, routed, copies, None, owner)
        yield Flow(NEIGHBOUR, 100, match, (), SWITCH, owner)


def _resolvable(subnet: Subnet, ip: IPAddress) -> bool:
    """Tell whether guests may ask for *ip* on this link and its ports may answer."""
    block = subnet.cidr if ip.version == 4 else subnet.ipv6_cidr
    if block is None or is_gateway(subnet, ip):
        return False
    return ip in block or (ip.version == 6 and ip.is_link_local)


def mac(net: Network, subnet_id: str, mac: int) -> Iterator[Flow]:
    """Yield the flow of a MAC that ports use beside their own."""
    segment, live = net.segment(subnet_id), net.live_subnet(subnet_id)
    if live is None or segment.macs.of(mac) or not is_unicast(mac) or mac == GATEWAY_MAC:
        return
    found = [port_facts(net, port_id) for port_id in sorted(segment.pair_macs.get(mac, ()))]
    holders = sorted((facts for facts in found if facts), key=lambda facts: facts.port.key)
    if not holders:
        return
    match = ((f.VNI, live[0].vni, None), (f.ETH_DST, mac, None))
    actions = tuple(_copies(holders))
    yield Flow(SWITCH, 100, match, actions, None, cookie(Feature.PAIR, live[0].vni))


def _copies(holders: list[PortFacts]) -> Iterator[Action]:
    """Yield the actions that give every holder one copy: here by key, elsewhere by host."""
    for facts in holders:
        yield from (*NOWHERE, SetField(f.DEST_PORT, facts.port.key), Resubmit(INGRESS_ACL))
    vteps = {facts.host.vtep for facts in holders if facts.host.vtep is not None}
    for vtep in sorted(vteps, key=lambda ip: (ip.version, int(ip))):
        yield from (*NOWHERE, SetField(f.DEST_PORT, 0), to_vtep(vtep), Resubmit(OUTPUT))
