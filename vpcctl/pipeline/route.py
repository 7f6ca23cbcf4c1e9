"""Table Route: between the subnets of a VPC, on the sender's host.

A packet is routed when it is for the gateway's MAC. Its VNI becomes the destination subnet's, so
that the far host only switches it. What is for no block of the VPC is for the route table of the
subnet that it comes from. Time-exceeded messages cannot be made by flows; such packets
are counted and dropped.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from vpcctl.flows import fields as f
from vpcctl.flows.actions import OFPP_IN_PORT, Action, DecTtl, Move, Output, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import ROUTE, ROUTES, SUBNET_IN, SWITCH
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, IPNetwork, link_local
from vpcctl.model.network import Network
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.residence import table_of
from vpcctl.pipeline.terms import (
    BASE,
    ECHO6_REPLY,
    ECHO6_REQUEST,
    ECHO_REPLY,
    ECHO_REQUEST,
    IS_ICMP,
    IS_ICMP6,
    IS_IPV4,
    IS_IPV6,
    drop,
    mark,
    on_link,
    within,
)

TO_GATEWAY: Term = (f.ETH_DST, GATEWAY_MAC, None)
_OWN_TTL = 64
ON_LINK = (IPv6Network("fe80::/10"), IPv6Network("::/128"))
"""Sources that routers never forward, as they mean nothing elsewhere (RFC 4291, 2.5.2, 2.5.6)."""
_NEVER_ROUTED = (
    *(IPv4Network("0.0.0.0/8"), IPv4Network("127.0.0.0/8"), IPv4Network("169.254.0.0/16")),
    *(IPv4Network("224.0.0.0/3"), IPv6Network("fe80::/10"), IPv6Network("ff00::/8")),
)
"""Destinations that mean nothing elsewhere, or are nobody's (RFC 6890)."""
_ROUTED = (DecTtl(), SetField(f.ETH_SRC, GATEWAY_MAC), mark(f.ROUTED))
_FAMILIES = {
    4: (IS_IPV4, f.IPV4_DST, Move(f.IPV4_DST, f.LOOKUP_IPV4, 32)),
    6: (IS_IPV6, f.IPV6_DST, Move(f.IPV6_DST, f.LOOKUP_IPV6, 128)),
}
"""By IP version: how to tell a packet, its destination, and how to look that up."""


def _addressed(ip: IPAddress) -> tuple[Term, Term]:
    if ip.version == 4:
        return IS_IPV4, (f.IPV4_DST, int(ip), None)
    return IS_IPV6, (f.IPV6_DST, int(ip), None)


def _echo(ip: IPAddress, scope: Match, owner: int) -> Flow:
    """Return the flow that answers an echo request to *ip* with the request turned round."""
    actions: tuple[Action, ...]
    back = (Move(f.ETH_SRC, f.ETH_DST, 48), SetField(f.ETH_SRC, GATEWAY_MAC))
    if ip.version == 4:
        kind = (IS_ICMP, (f.IPV4_DST, int(ip), None))
        request = (*kind, (f.ICMP_TYPE, ECHO_REQUEST, None), (f.ICMP_CODE, 0, None))
        actions = (Move(f.IPV4_SRC, f.IPV4_DST, 32), SetField(f.IPV4_SRC, int(ip)))
        answer = SetField(f.ICMP_TYPE, ECHO_REPLY)
    else:
        kind = (IS_ICMP6, (f.IPV6_DST, int(ip), None))
        request = (*kind, (f.ICMP6_TYPE, ECHO6_REQUEST, None), (f.ICMP6_CODE, 0, None))
        actions = (Move(f.IPV6_SRC, f.IPV6_DST, 128), SetField(f.IPV6_SRC, int(ip)))
        answer = SetField(f.ICMP6_TYPE, ECHO6_REPLY)
    family = IS_IPV4 if ip.version == 4 else IS_IPV6
    send = (*back, *actions, answer, SetField(f.IP_TTL, _OWN_TTL), Output(OFPP_IN_PORT))
    return Flow(ROUTE, 300, (*scope, TO_GATEWAY, family, *request), send, None, owner)


def _gateway(ip: IPAddress, scope: Match, owner: int) -> Iterator[Flow]:
    yield _echo(ip, scope, owner)
    terms = (*scope, TO_GATEWAY, *_addressed(ip))
    yield drop(ROUTE, 290, terms, Reason.GATEWAY_SERVICE, owner)


def _within(block: IPNetwork) -> Match:
    family, field, _ = _FAMILIES[block.version]
    return (family, *within(field, block))


def _expired(family: Term, ttl: int) -> Flow:
    terms = (TO_GATEWAY, family, (f.IP_TTL, ttl, None))
    return drop(ROUTE, 280, terms, Reason.TTL_EXCEEDED)


STATIC: tuple[Flow, ...] = (
    *(drop(ROUTE, 310, terms, Reason.ON_LINK_ONLY) for terms in on_link(TO_GATEWAY)),
    *_gateway(link_local(GATEWAY_MAC), (), BASE),
    *(
        drop(
            ROUTE, 285, (TO_GATEWAY, IS_IPV6, *within(f.IPV6_SRC, block)), Reason.UNROUTABLE_SOURCE
        )
        for block in ON_LINK
    ),
    *(_expired(family, ttl) for family in (IS_IPV4, IS_IPV6) for ttl in (0, 1)),
    *(
        drop(ROUTE, 80, match(TO_GATEWAY, *_within(block)), Reason.NO_ROUTE)
        for block in _NEVER_ROUTED
    ),
    drop(ROUTE, 50, (TO_GATEWAY,), Reason.NO_ROUTE),
    Flow(ROUTE, 0, (), (), SWITCH, BASE),
)


def subnet(net: Network, subnet: Subnet, vpc: Vpc) -> Iterator[Flow]:
    """Yield the way into a subnet from anywhere in its VPC, and its gateways' own answers."""
    owner = cookie(Feature.SUBNET, subnet.vni)
    scope = (f.VPC, vpc.key, None)
    enter = (*_ROUTED, SetField(f.VNI, subnet.vni))
    for ip in (subnet.gateway, subnet.ipv6_gateway):
        if ip is not None and net.blocks.owner((vpc.id, ip)) is not None:
            yield from _gateway(ip, (scope,), owner)
    for block in (subnet.cidr, subnet.ipv6_cidr):
        if block is None or net.blocks.owner((vpc.id, block)) is None:
            continue
        terms, ask = (scope, TO_GATEWAY, *_within(block)), _FAMILIES[block.version][2]
        yield Flow(ROUTE, 100 + block.prefixlen, terms, (*enter, ask), SUBNET_IN, owner)
    table = table_of(net, subnet)
    if table is not None:
        ask_table = (SetField(f.ROUTE_TABLE, table.key),)
        leaving = ((f.VNI, subnet.vni, None), TO_GATEWAY)
        yield Flow(ROUTE, 60, leaving, ask_table, ROUTES, owner)


def vpc(vpc: Vpc) -> Iterator[Flow]:
    """Yield the flows that keep in a VPC what is for its own blocks, but for no subnet of it."""
    for block in dict.fromkeys(vpc.cidrs):
        terms = match((f.VPC, vpc.key), TO_GATEWAY, *_within(block))
        yield drop(ROUTE, 70, terms, Reason.NO_ROUTE, cookie(Feature.VPC, vpc.key))
