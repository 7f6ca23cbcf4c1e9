"""Tables SubnetOut and SubnetIn: network ACLs, asked about what is routed, on the sender's host.

A packet goes through such a table twice: once to find its subnet's ACL, once to be judged by it.
Rules are shared by all subnets that have the ACL. The lowest number decides, and what no rule
decides is dropped; so is everything of a subnet whose ACL is not there.
"""

from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Load, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import EGRESS_ACL, NEIGHBOUR, SUBNET_IN, SUBNET_OUT, Table
from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, link_local
from vpcctl.model.network import Network
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.security_group import Direction
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.cells import PORTED, port_masks
from vpcctl.pipeline.route import TO_GATEWAY
from vpcctl.pipeline.terms import (
    BASE,
    ICMP,
    ICMP6,
    LATER_FRAGMENT,
    NOT_LATER,
    SCTP,
    TCP,
    UDP,
    drop,
    family,
    flag,
    mark,
    within,
)

_FIRST_NUMBER = 40_000
"""A rule's priority is this less its number, 1 … 32,766."""
_EXEMPT = 50_000


class _Side(NamedTuple):
    """One of the two tables.

    Attributes:
        table: the table.
        asked: set once the subnet's ACL is found.
        scope: what only the first look needs.
        after: where what is allowed goes on.
        direction: of the rules that are asked.
        source: whether the other side is the packet's source.
        denied: why a packet is dropped.
    """

    table: Table
    asked: f.Bits
    scope: Match
    after: Table
    direction: Direction
    source: bool
    denied: Reason


_OUT = _Side(
    *(SUBNET_OUT, f.ACL_OUT_ASKED, (TO_GATEWAY,), EGRESS_ACL, "egress"),
    source=False,
    denied=Reason.ACL_OUT_DENIED,
)
_IN = _Side(
    *(SUBNET_IN, f.ACL_IN_ASKED, (), NEIGHBOUR, "ingress"),
    source=True,
    denied=Reason.ACL_IN_DENIED,
)
_PORTS = {TCP: f.TCP_DST, UDP: f.UDP_DST, SCTP: f.SCTP_DST}


def _static(side: _Side) -> Iterator[Flow]:
    yield drop(side.table, 10, (flag(side.asked),), side.denied)
    yield Flow(side.table, 0, (), (), side.after, BASE)


def _to_gateway(ip: IPAddress, scope: Match, owner: int) -> Flow:
    """Return the flow that asks no ACL about what a subnet's router is to answer itself."""
    field = f.IPV4_DST if ip.version == 4 else f.IPV6_DST
    terms = match(*scope, TO_GATEWAY, family(ip.version), (field, int(ip)))
    return Flow(SUBNET_OUT, _EXEMPT, terms, (), EGRESS_ACL, owner)


STATIC: tuple[Flow, ...] = (
    *_static(_OUT),
    _to_gateway(link_local(GATEWAY_MAC), (), BASE),
    *_static(_IN),
)


def subnet(net: Network, subnet: Subnet, vpc: Vpc) -> Iterator[Flow]:
    """Yield the flows that find a subnet's ACL, and the addresses that none is asked about."""
    owner = cookie(Feature.SUBNET, subnet.vni)
    for ip in (subnet.gateway, subnet.ipv6_gateway):
        if ip is not None and net.blocks.owner((vpc.id, ip)) is not None:
            yield _to_gateway(ip, ((f.VPC, vpc.key, None),), owner)
    if subnet.acl_id is None:
        return
    acl = net.live_acl(subnet.acl_id, vpc.id)
    for side in (_OUT, _IN):
        terms = match((f.VNI, subnet.vni), *side.scope, flag(side.asked, 0))
        if acl is None:
            yield drop(side.table, 100, terms, side.denied, owner)
        else:
            find = (SetField(f.ACL, acl.key), mark(side.asked), Resubmit(side.table))
            yield Flow(side.table, 100, terms, find, None, owner)


def acl(acl: NetworkAcl) -> Iterator[Flow]:
    """Yield an ACL's rules."""
    for rule in acl.rules:
        side = _OUT if rule.direction == "egress" else _IN
        for terms in _matches(rule, side):
            yield _decide(acl, rule, side, terms)


def _decide(acl: NetworkAcl, rule: AclRule, side: _Side, terms: Match) -> Flow:
    whole = match((f.ACL, acl.key), flag(side.asked), *terms)
    priority, owner = _FIRST_NUMBER - rule.number, cookie(Feature.ACL, acl.key)
    if rule.allow:
        done = (Load(side.asked, 0),)
        return Flow(side.table, priority, whole, done, side.after, owner)
    return drop(side.table, priority, whole, side.denied, owner)


def _matches(rule: AclRule, side: _Side) -> Iterator[Match]:
    """Yield the terms that together match what *rule* is about.

    A later fragment's ports and types are not known: it is refused with those that a rule refuses,
    and not let through with those that a rule lets through. Of IPv6, Open vSwitch does not say
    either which protocol it is of.
    """
    version = rule.cidr.version
    end = (f.IPV4_SRC, f.IPV4_DST) if version == 4 else (f.IPV6_SRC, f.IPV6_DST)
    ends: Match = (family(version), *within(end[0 if side.source else 1], rule.cidr))
    terms, whole = ends, rule.ports is None and rule.icmp_type is None
    if rule.protocol is not None:
        terms = (*ends, (f.IP_PROTO, rule.protocol, None))
    if whole:
        yield terms
    else:
        yield from ((*terms, *part, NOT_LATER) for part in _parts(rule))
    if not rule.allow and version == 6 and rule.protocol is not None:
        yield (*ends, LATER_FRAGMENT)
    elif not rule.allow and not whole:
        yield (*terms, LATER_FRAGMENT)


def _parts(rule: AclRule) -> Iterator[Match]:
    """Yield the terms of ports, or of ICMP's type and code."""
    is_ipv4 = rule.cidr.version == 4
    icmp, kind, code = (
        (ICMP, f.ICMP_TYPE, f.ICMP_CODE) if is_ipv4 else (ICMP6, f.ICMP6_TYPE, f.ICMP6_CODE)
    )
    if rule.ports is not None and rule.protocol in PORTED:
        field = _PORTS[rule.protocol]
        yield from (((field, value, mask),) for value, mask in port_masks(*rule.ports))
    elif rule.icmp_type is not None and rule.protocol == icmp:
        part: tuple[Term, ...] = ((kind, rule.icmp_type, None),)
        yield part if rule.icmp_code is None else (*part, (code, rule.icmp_code, None))
