"""Small builders of networks for tests."""

import dataclasses
import ipaddress

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPAddress, IPNetwork, parse_mac
from vpcctl.model.changes import Change, ChangeBatch, Resource, ResourceKind
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.host import Host, OutsidePort, Watch
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.security_group import (
    AddressGroupRemote,
    AnyRemote,
    Direction,
    GroupRemote,
    Remote,
    Rule,
    SecurityGroup,
)
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

TUNNEL_OFPORT = 1
_KINDS: dict[type, ResourceKind] = {
    Vpc: "vpc",
    Subnet: "subnet",
    Port: "port",
    Host: "host",
    Location: "location",
    SecurityGroup: "sg",
    AddressGroup: "ag",
    NetworkAcl: "nacl",
    ExternalNetwork: "ext",
    InternetGateway: "igw",
    NatGateway: "nat",
    Eip: "eip",
    RouteTable: "rtb",
}


def put(resource: Resource) -> Change:
    """The change that makes *resource* what it is."""
    key = resource.port_id if isinstance(resource, Location) else resource.id
    return Change(_KINDS[type(resource)], key, resource)


def gone(resource: Resource) -> Change:
    """The change that removes *resource*."""
    change = put(resource)
    return Change(change.kind, change.id, None)


def batch(*changes: Change, revision: int = 1) -> ChangeBatch:
    return ChangeBatch(revision, changes)


def network(*resources: Resource) -> Network:
    net = Network()
    net.apply(put(resource) for resource in resources)
    return net


def ip(text: str) -> IPAddress:
    return ipaddress.ip_address(text)


def host(number: int, **other: object) -> Host:
    facts = {
        "vtep": ip(f"192.0.2.{number}"),
        "tunnel_ofport": TUNNEL_OFPORT,
        "nd_extensions": True,
        "guest_services": True,
    }
    facts.update(other)
    return Host(f"host-{number:017x}", number, 0x7663 << 48 | number, **facts)  # type: ignore[arg-type]


def vpc(number: int) -> Vpc:
    return Vpc(f"vpc-{number:017x}", f"tenant-{number}", number, ())


def subnet(number: int, owner: Vpc, cidr: str, ipv6: str | None = None) -> Subnet:
    """A subnet whose gateways are the first addresses of its blocks."""
    block = ipaddress.IPv4Network(cidr)
    block6 = None if ipv6 is None else ipaddress.IPv6Network(ipv6)
    return Subnet(
        f"subnet-{number:017x}",
        owner.id,
        number,
        block,
        block[1],
        block6,
        None if block6 is None else block6[1],
    )


def port(number: int, owner: Subnet, mac: str, *ips: str, **other: object) -> Port:
    addresses = tuple(ip(text) for text in ips)
    return Port(f"port-{number:017x}", owner.id, number, parse_mac(mac), addresses, **other)  # type: ignore[arg-type]


def pair(cidr: str, mac: str | None = None) -> AddressPair:
    return AddressPair(ipaddress.ip_network(cidr), None if mac is None else parse_mac(mac))


def at(guest: Port, where: Host, ofport: int) -> Location:
    return Location(guest.id, where.id, ofport)


def group_id(number: int) -> str:
    return f"sg-{number:017x}"


def group(number: int, owner: Vpc, *rules: Rule, **other: object) -> SecurityGroup:
    """A security group; its rules' keys follow from its own."""
    kept = tuple(
        dataclasses.replace(rule, id=f"sgr-{number * 1000 + i:017x}", key=number * 1000 + i)
        for i, rule in enumerate(rules, 1)
    )
    return SecurityGroup(group_id(number), owner.id, number, kept, **other)  # type: ignore[arg-type]


def allow(direction: Direction, remote: object = None, family: int = 4, **other: object) -> Rule:
    """A rule; its remote side is a group, an address group, a block in text, or anybody."""
    return Rule("sgr-0", 1, direction, family, remote=_remote(remote), **other)  # type: ignore[arg-type]


def _remote(given: object) -> Remote:
    match given:
        case None:
            return AnyRemote()
        case SecurityGroup(id=found):
            return GroupRemote(found)
        case AddressGroup(id=found):
            return AddressGroupRemote(found)
        case str() if given.startswith("sg-"):
            return GroupRemote(given)
        case str() if given.startswith("ag-"):
            return AddressGroupRemote(given)
        case _:
            return ipaddress.ip_network(given)  # type: ignore[arg-type]


def address_group(number: int, *blocks: str) -> AddressGroup:
    cidrs: tuple[IPNetwork, ...] = tuple(ipaddress.ip_network(one) for one in sorted(blocks))
    return AddressGroup(f"ag-{number:017x}", "tenant-1", number, cidrs)


def acl(number: int, owner: Vpc, *rules: AclRule) -> NetworkAcl:
    ordered = tuple(sorted(rules, key=lambda rule: (rule.direction, rule.number)))
    return NetworkAcl(f"nacl-{number:017x}", owner.id, number, ordered)


def line(number: int, direction: Direction, verdict: str, cidr: str, **other: object) -> AclRule:
    """A line of an ACL; *verdict* is ``allow`` or ``deny``."""
    block = ipaddress.ip_network(cidr)
    return AclRule(number, direction, verdict == "allow", block, **other)  # type: ignore[arg-type]


def outside(number: int, cidr: str, ipv6: str | None = None) -> ExternalNetwork:
    """An external network whose routers have the first addresses of its blocks."""
    block = ipaddress.IPv4Network(cidr)
    block6 = None if ipv6 is None else ipaddress.IPv6Network(ipv6)
    router6 = None if block6 is None else block6[1]
    return ExternalNetwork(f"ext-{number:017x}", number, block, block[1], block6, router6)


def reaching(where: Host, *ways: tuple[ExternalNetwork, int]) -> Host:
    """A host that reaches external networks, each by an ofport."""
    ports = tuple(OutsidePort(network.id, ofport) for network, ofport in ways)
    return dataclasses.replace(where, outside=ports)


def watching(where: Host, *others: tuple[Host, int]) -> Host:
    """A host that watches others, each by an ofport."""
    watches = tuple(Watch(other.id, ofport) for other, ofport in others)
    return dataclasses.replace(where, watches=watches)


def igw(number: int, owner: Vpc, network: ExternalNetwork, *hosts: Host) -> InternetGateway:
    """An internet gateway; its VNI is 0x800 and its number."""
    ids = tuple(one.id for one in hosts)
    return InternetGateway(f"igw-{number:017x}", owner.id, network.id, 0x800 + number, ids)


def nat(
    number: int, owner: Vpc, network: ExternalNetwork, *hosts: Host, forwards: tuple = ()
) -> NatGateway:
    """A NAT gateway; its VNI is 0x900 and its number."""
    ids = tuple(one.id for one in hosts)
    identity = (f"nat-{number:017x}", owner.id, network.id, 0x900 + number, number)
    return NatGateway(*identity, ids, forwards)


def forward(to: str, protocol: int, ports: tuple[int, int], target: str, first: int) -> Forward:
    return Forward(f"fwd-{protocol}-{ports[0]}", ip(to), protocol, ports, ip(target), first)  # type: ignore[arg-type]


def eip(number: int, network: ExternalNetwork, address: str, user: object = None) -> Eip:
    """An EIP of a port's first IPv4 address, of a NAT gateway, or of nobody."""
    facts: dict[str, object] = {}
    if isinstance(user, Port):
        fixed = next(one for one in user.ips if one.version == 4)
        facts = {"port_id": user.id, "fixed_ip": fixed}
    elif isinstance(user, NatGateway):
        facts = {"nat_gateway_id": user.id}
    return Eip(f"eip-{number:017x}", network.id, number, ip(address), **facts)  # type: ignore[arg-type]


def route(destination: str, *targets: Port | InternetGateway | NatGateway) -> Route:
    kinds = {Port: "port", InternetGateway: "internet", NatGateway: "nat"}
    found = tuple(Target(kinds[type(one)], one.id) for one in targets)  # type: ignore[arg-type]
    return Route(ipaddress.ip_network(destination), found)


def table(number: int, owner: Vpc, *routes: Route, main: bool = True) -> RouteTable:
    ordered = tuple(sorted(routes, key=lambda one: str(one.destination)))
    return RouteTable(f"rtb-{number:017x}", owner.id, number, main, ordered)
