"""What planning a write costs follows the change: the same with few ports and with many."""

import dataclasses
import ipaddress
import sys
from types import FrameType
from typing import NamedTuple

import pytest

from tests.support import networks as n
from vpcctl.compile import HostChange, plan_changes
from vpcctl.model.address_group import AddressGroup
from vpcctl.model.changes import Change, Resource
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import Host, OutsidePort, Watch
from vpcctl.model.limits import Limits
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.network_acl import NetworkAcl
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable
from vpcctl.model.security_group import SecurityGroup
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

FEW, MANY = 30, 300
_SPARE = 40
"""Calls of functions more that are none per port: some indexes are trees."""

# --- a network of any size ------------------------------------------------------------------------

EXT, OTHER_EXT = n.outside(1, "203.0.113.0/24", "2001:db8:77::/64"), n.outside(2, "198.51.100.0/24")
_BARE = [n.host(number) for number in range(1, 7)]
HOSTS = [n.reaching(one, (EXT, 8)) if one.key < 3 else one for one in _BARE]
VPC, EMPTY = n.vpc(1), n.vpc(2)
SUBNET = n.subnet(1, VPC, "10.0.0.0/16", "fd00:1::/64")
SPARE = n.subnet(2, VPC, "10.1.0.0/24", "fd00:2::/64")
FAR = n.subnet(3, EMPTY, "10.2.0.0/24")
FRIENDS, NAMED = n.address_group(1, "192.0.2.0/24"), n.address_group(2, "10.0.0.0/8")
RULES = (
    n.allow("ingress", n.group_id(1)),
    n.allow("egress"),
    n.allow("ingress", NAMED, protocol=6, ports=(80, 80)),
)
GROUP = n.group(1, VPC, *RULES)
FEW_IN = n.group(2, VPC, n.allow("egress"))
ACL = n.acl(1, VPC, n.line(100, "ingress", "allow", "0.0.0.0/0"))
IGW = n.igw(1, VPC, EXT, *HOSTS[:2])
NAT = n.nat(1, VPC, EXT, *HOSTS[:2])
MAIN = n.table(1, VPC, n.route("0.0.0.0/0", IGW), n.route("::/0", IGW))
SIDE = n.table(2, VPC, n.route("0.0.0.0/0", NAT), main=False)
GUEST = n.port(9001, SUBNET, "0e:00:00:00:ff:01", "10.0.255.1", "fd00:1::ffff", groups=(GROUP.id,))
PLACE, ALONE = n.at(GUEST, HOSTS[3], 9001), n.at(GUEST, HOSTS[5], 9001)
EIP, NAT_EIP = n.eip(1, EXT, "203.0.113.10", GUEST), n.eip(2, EXT, "203.0.113.11", NAT)


def _crowd(count: int) -> list[Resource]:
    """Ports of the subnet, spread over all hosts but the last, all in one group."""
    made: list[Resource] = []
    for number in range(1, count + 1):
        mac = f"0e:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        ips = f"10.0.{number >> 8}.{number & 255}", f"fd00:1::1:{number:x}"
        guest = n.port(number, SUBNET, mac, *ips, groups=(GROUP.id,))
        made += [guest, n.at(guest, HOSTS[number % 5], 10 + number)]
    return made


def _network(count: int) -> Network:
    outward = (EXT, OTHER_EXT, IGW, NAT, MAIN, SIDE, EIP, NAT_EIP)
    inner = (VPC, EMPTY, SUBNET, SPARE, FAR, GROUP, FEW_IN, FRIENDS, NAMED, ACL)
    return n.network(*HOSTS, *inner, *outward, *_crowd(count), GUEST, PLACE)


# --- writes ---------------------------------------------------------------------------------------

NEVER = {
    Vpc: {"key"},
    Subnet: {"vpc_id", "vni", "cidr", "gateway"},
    Port: {"subnet_id", "key"},
    Location: {"port_id"},
    Host: {"key", "dpid"},
    SecurityGroup: {"vpc_id", "key"},
    AddressGroup: {"tenant_id", "key"},
    NetworkAcl: {"vpc_id", "key"},
    ExternalNetwork: {"key"},
    InternetGateway: {"vpc_id", "vni"},
    NatGateway: {"vpc_id", "vni", "key"},
    Eip: {"key", "external_network_id", "address"},
    RouteTable: {"vpc_id", "key"},
}
"""What stays what it was when the resource was made."""

GROWING = {
    "subnet ipv6_cidr": "each port is a link-local address",
    "location + the first of its VPC": "the host has no port of the VPC yet and needs to know all",
    "location - the last of its VPC": "all that the host knows of the VPC goes",
    "host vtep": "what leads to each port on the host names it",
    "host outside from none": "each port on the host may be the way in",
    "sg stateful": "each member's filter says so",
    "sg keep_established": "each member's filter says so",
    "sg rules the first to name a group": "each member's addresses are looked up from now on",
}
"""Writes that cost more in a larger network, with the reason."""


class Write(NamedTuple):
    """A change, after some others that are not looked at."""

    name: str
    change: Change
    before: tuple[Change, ...] = ()


def _fields(resource: Resource, **values: object) -> list[Write]:
    """Changes of one field each; after two underscores, what is special about one."""
    kind, made = n.put(resource).kind, []
    for name, value in values.items():
        field, _, special = name.partition("__")
        changed = n.put(dataclasses.replace(resource, **{field: value}))
        made.append(Write(f"{kind} {field} {special.replace('_', ' ')}".strip(), changed))
    return made


_LIMITS = Limits(1, 1000, None, None, None)
_NAMING = n.allow("ingress", n.group_id(1))
_NEXT = dataclasses.replace(
    GROUP, rules=(*GROUP.rules, dataclasses.replace(n.allow("egress"), id="sgr-9", key=1009))
)
CHANGES = [
    *_fields(VPC, tenant_id="other", cidrs=(ipaddress.ip_network("10.0.0.0/8"),)),
    *_fields(SUBNET, acl_id=ACL.id, route_table_id=SIDE.id, ipv6_cidr=None, ipv6_gateway=None),
    *_fields(
        GUEST,
        mac=n.parse_mac("0e:00:00:00:ff:02"),
        ips=(n.ip("10.0.255.2"),),
        port_security=False,
        allowed_pairs=(n.pair("10.0.255.9/32"),),
        admin_up=False,
        groups=(GROUP.id, FEW_IN.id),
        checks_addresses=False,
        limits=_LIMITS,
    ),
    *_fields(PLACE, host_id=HOSTS[4].id, ofport=9002),
    *_fields(
        HOSTS[0],
        vtep=n.ip("192.0.2.99"),
        tunnel_ofport=2,
        nd_extensions=False,
        guest_services=False,
        outside=(OutsidePort(EXT.id, 8), OutsidePort(OTHER_EXT.id, 9)),
        watches=(Watch(HOSTS[1].id, 7),),
    ),
    *_fields(HOSTS[4], outside__from_none=(OutsidePort(EXT.id, 8),)),
    *_fields(GROUP, rules=_NEXT.rules, stateful=False, keep_established=True),
    Write(
        "sg rules the first to name a group",
        n.put(GROUP),
        (n.put(dataclasses.replace(GROUP, rules=())),),
    ),
    *_fields(
        FEW_IN,
        rules__naming_a_named_group=(
            *FEW_IN.rules,
            dataclasses.replace(_NAMING, id="sgr-8", key=2009),
        ),
    ),
    *_fields(NAMED, cidrs=(ipaddress.ip_network("172.16.0.0/12"),)),
    *_fields(ACL, rules=(*ACL.rules, n.line(50, "egress", "deny", "192.0.2.0/24"))),
    *_fields(
        EXT,
        cidr=ipaddress.ip_network("203.0.112.0/23"),
        gateway=None,
        ipv6_cidr=None,
        ipv6_gateway=None,
        mtu=1400,
        port_mtu=1400,
    ),
    *_fields(IGW, external_network_id=OTHER_EXT.id, hosts=(HOSTS[1].id,), leaving=(HOSTS[0].id,)),
    *_fields(
        NAT,
        external_network_id=OTHER_EXT.id,
        hosts=(HOSTS[1].id,),
        forwards=(n.forward("203.0.113.11", 6, (80, 80), "10.0.255.1", 80),),
        leaving=(HOSTS[0].id,),
    ),
    *_fields(EIP, port_id=None, fixed_ip=n.ip("10.0.255.2"), nat_gateway_id=NAT.id, limits=_LIMITS),
    *_fields(MAIN, is_main=False, routes=MAIN.routes[:1], dead_hosts=(HOSTS[0].id,)),
    *_fields(SIDE, routes__of_another=()),
    Write("location + the first of its VPC", n.put(ALONE), (n.gone(PLACE),)),
    Write("location - the last of its VPC", n.gone(ALONE), (n.put(ALONE),)),
]

_THINGS: tuple[tuple[Resource, tuple[Change, ...]], ...] = (
    (n.vpc(7), ()),
    (n.subnet(7, VPC, "10.7.0.0/24", "fd00:7::/64"), ()),
    (n.port(9007, SUBNET, "0e:00:00:00:ff:07", "10.0.255.7", groups=(GROUP.id,)), ()),
    (PLACE, (n.gone(PLACE),)),
    (n.host(7), ()),
    (n.group(7, VPC, n.allow("ingress", n.group_id(1))), ()),
    (n.address_group(7, "192.0.2.0/24"), ()),
    (n.acl(7, VPC, n.line(100, "ingress", "allow", "0.0.0.0/0")), ()),
    (n.outside(7, "198.51.100.0/24"), ()),
    (n.igw(7, VPC, OTHER_EXT, HOSTS[0]), ()),
    (n.nat(7, VPC, EXT, HOSTS[0]), ()),
    (n.eip(7, EXT, "203.0.113.17", GUEST), (n.gone(EIP),)),
    (n.table(7, VPC, n.route("192.0.2.0/24", GUEST), main=False), ()),
)
MADE = [Write(f"{n.put(one).kind} +", n.put(one), before) for one, before in _THINGS]
ENDED = [
    Write(f"{n.put(one).kind} -", n.gone(one), (*before, n.put(one))) for one, before in _THINGS
]
WRITES = {write.name: write for write in (*MADE, *CHANGES, *ENDED)}


class Cost(NamedTuple):
    """Of planning one write: pieces compiled, flows that hosts get or lose, calls of functions."""

    pieces: int
    flows: int
    calls: int


def _cost(net: Network, write: Write) -> Cost:
    plan_changes(net, n.batch(*write.before))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        transition = plan_changes(net, n.batch(write.change))
    finally:
        sys.setprofile(None)
    flows = sum(map(_flows, transition.hosts.values()))
    return Cost(len(transition.touched), flows, calls)


def _flows(change: HostChange) -> int:
    """Return how many flows a host gets or loses; of VPCs that leave it, cookies."""
    parts = (*change.written, *change.removed, *change.program())
    return sum(map(len, parts)) + len(change.departed)


@pytest.mark.parametrize("name", WRITES)
def test_a_write_costs_the_same_in_a_large_network(name: str) -> None:
    few, many = (_cost(_network(count), WRITES[name]) for count in (FEW, MANY))
    if name in GROWING:
        assert many.flows > few.flows + (MANY - FEW) / len(HOSTS)
        return
    assert many.pieces == few.pieces
    assert many.flows == few.flows
    assert many.calls <= few.calls + _SPARE


def test_every_field_that_may_change_is_among_the_writes() -> None:
    changed = {name.split()[0]: set[str]() for name in WRITES}
    for name in WRITES:
        kind, field = name.split()[:2]
        changed[kind].add(field)
    for one, _ in _THINGS:
        named = {field.name for field in dataclasses.fields(one)} - {"id"} - NEVER[type(one)]
        assert named | {"+", "-"} <= changed[n.put(one).kind]
    assert GROWING.keys() <= WRITES.keys()
