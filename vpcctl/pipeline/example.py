"""The fixed network of the pipeline's document: small, and with one of everything."""

import ipaddress

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import Mac
from vpcctl.model.changes import Change
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.host import Host, OutsidePort, Watch
from vpcctl.model.limits import Limits
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.security_group import (
    AddressGroupRemote,
    GroupRemote,
    Remote,
    Rule,
    SecurityGroup,
)
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

HERE, THERE = "host-00000000000000001", "host-00000000000000002"
_VPC, _WEB, _DATA = "vpc-00000000000000001", "subnet-00000000000000011", "subnet-00000000000000012"
_CLIENTS, _SERVERS = "sg-00000000000000031", "sg-00000000000000032"
_PROVIDER, _TABLE = "ext-00000000000000007", "rtb-00000000000000061"
_IGW, _NAT = "igw-00000000000000080", "nat-00000000000000081"
_OFFICES, _ACL = "ag-00000000000000041", "nacl-00000000000000051"


def example() -> Network:
    """Return one VPC with two subnets and six ports on two hosts.

    Ports 0x101 and 0x102 share 10.0.1.77 by allowed pairs; 0x104 has no port security. Port 0x105
    serves those of the group of 0x103, and offices; its subnet has a network ACL. The VPC reaches
    an external network directly, where 0x101 has the EIP 203.0.113.10, and by a NAT gateway with
    two EIPs, for which the first host stands by. Port 0x106
    is limited in both directions.
    """
    net = Network()
    for host_id, number in ((HERE, 1), (THERE, 2)):
        vtep = ipaddress.ip_address(f"192.0.2.{number}")
        host = Host(
            *(host_id, number, 0x7663 << 48 | number, vtep, 1),
            nd_extensions=True,
            guest_services=True,
            outside=(OutsidePort(_PROVIDER, 9),),
            watches=(Watch(THERE if host_id == HERE else HERE, 8),),
        )
        net.apply_one(Change("host", host_id, host))
    net.apply_one(
        Change("vpc", _VPC, Vpc(_VPC, "tenant-red", 1, (ipaddress.ip_network("10.0.0.0/16"),)))
    )
    _guard(net)
    _open(net)
    for subnet in (_subnet(_WEB, 0x11, 1), _subnet(_DATA, 0x12, 2)):
        net.apply_one(Change("subnet", subnet.id, subnet))
    shared = (AddressPair(ipaddress.ip_network("10.0.1.77/32")),)
    _attach(net, Port("port-101", _WEB, 0x101, _mac(1), _ips(1, 10), allowed_pairs=shared), HERE)
    _attach(net, Port("port-102", _WEB, 0x102, _mac(2), _ips(1, 11), allowed_pairs=shared), THERE)
    clients, servers = (_CLIENTS,), (_SERVERS,)
    _attach(net, Port("port-103", _DATA, 0x103, _mac(1), _ips(2, 10), groups=clients), THERE)
    _attach(net, Port("port-105", _DATA, 0x105, _mac(5), _ips(2, 15)[:1], groups=servers), HERE)
    _attach(net, Port("port-104", _DATA, 0x104, _mac(2), _ips(2, 11), port_security=False), HERE)
    limits = Limits(7, ingress_kbps=50_000, ingress_pps=5_000, egress_kbps=50_000, egress_pps=5_000)
    _attach(net, Port("port-106", _DATA, 0x106, _mac(6), _ips(2, 16)[:1], limits=limits), HERE)
    return net


def _mac(number: int) -> Mac:
    return Mac(0x0E_00_00_00_00_00 | number)


def _ips(third: int, last: int) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    return (
        ipaddress.IPv4Address(f"10.0.{third}.{last}"),
        ipaddress.IPv6Address(f"fd00:{third}::{last}"),
    )


def _subnet(subnet_id: str, vni: int, third: int) -> Subnet:
    block = ipaddress.IPv4Network(f"10.0.{third}.0/24")
    block6 = ipaddress.IPv6Network(f"fd00:{third}::/64")
    acl_id = _ACL if subnet_id == _DATA else None
    return Subnet(subnet_id, _VPC, vni, block, block[1], block6, block6[1], acl_id)


def _guard(net: Network) -> None:
    """Add the groups, the address group and the ACL."""
    offices = AddressGroup(_OFFICES, "tenant-red", 0x41, (ipaddress.ip_network("198.51.100.0/24"),))
    out = Rule("sgr-311", 0x311, "egress", 4)
    rules = (
        _rule(0x321, GroupRemote(_CLIENTS), (8080, 8083)),
        _rule(0x322, AddressGroupRemote(_OFFICES), (443, 443)),
        _rule(0x323, ipaddress.ip_network("10.0.1.0/24"), None),
    )
    lines = (
        AclRule(100, "egress", allow=True, cidr=ipaddress.ip_network("0.0.0.0/0")),
        AclRule(100, "ingress", False, ipaddress.ip_network("10.0.1.0/28"), 6, (22, 22)),
        AclRule(200, "ingress", allow=True, cidr=ipaddress.ip_network("0.0.0.0/0")),
    )
    for change in (
        Change("ag", _OFFICES, offices),
        Change("sg", _CLIENTS, SecurityGroup(_CLIENTS, _VPC, 0x31, (out,), keep_established=True)),
        Change("sg", _SERVERS, SecurityGroup(_SERVERS, _VPC, 0x32, rules)),
        Change("nacl", _ACL, NetworkAcl(_ACL, _VPC, 0x51, lines)),
    ):
        net.apply_one(change)


def _open(net: Network) -> None:
    """Add the external network, the gateways, their EIPs and the route table."""
    block = ipaddress.IPv4Network("203.0.113.0/24")
    six = ipaddress.IPv6Network("2001:db8:77::/64")
    forward = Forward("fwd-81", _eip(0x72).address, 6, (8080, 8080), _ips(2, 15)[0], 80)
    nat = NatGateway(_NAT, _VPC, _PROVIDER, 0x81, 0x8, (THERE, HERE), (forward,))
    routes = (
        Route(ipaddress.ip_network("0.0.0.0/0"), (Target("nat", _NAT),)),
        Route(ipaddress.ip_network("192.0.2.0/24")),
        Route(
            ipaddress.ip_network("198.51.100.0/24"), (Target("internet", _IGW), Target("nat", _NAT))
        ),
    )
    for change in (
        Change(
            "ext",
            _PROVIDER,
            ExternalNetwork(_PROVIDER, 7, block, block[1], six, six[1], 1500, 1450),
        ),
        Change("igw", _IGW, InternetGateway(_IGW, _VPC, _PROVIDER, 0x80, (HERE, THERE))),
        Change("nat", _NAT, nat),
        Change("rtb", _TABLE, RouteTable(_TABLE, _VPC, 0x61, is_main=True, routes=routes)),
        *(Change("eip", eip.id, eip) for eip in map(_eip, (0x71, 0x72, 0x73))),
    ):
        net.apply_one(change)


def _eip(number: int) -> Eip:
    """Return the EIP of port 0x101, 203.0.113.10, or one of the NAT gateway's, .11 and .12."""
    address = ipaddress.ip_address("203.0.113.10") + number - 0x71
    if number == 0x71:
        return Eip("eip-71", _PROVIDER, number, address, "port-101", _ips(1, 10)[0])
    return Eip(f"eip-{number:x}", _PROVIDER, number, address, nat_gateway_id=_NAT)


def _rule(key: int, remote: Remote, ports: tuple[int, int] | None) -> Rule:
    return Rule(f"sgr-{key:x}", key, "ingress", 4, 6, ports, remote=remote)


def _attach(net: Network, port: Port, host_id: str) -> None:
    net.apply_one(Change("port", port.id, port))
    location = Location(port.id, host_id, 10 + port.key % 0x100)
    net.apply_one(Change("location", port.id, location))
