"""From rows to the values of :mod:`vpcctl.model`."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vpcctl.model.addresses import Mac
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.store.tables import HostRow, LocationRow, PortRow, SubnetRow, VpcRow

DPID_MARK = 0x7663 << 48


def vpc(row: VpcRow) -> Vpc:
    """Return the VPC of a row."""
    return Vpc(row.id, row.tenant_id, row.key, tuple(map(ip_network, row.cidrs)))


def subnet(row: SubnetRow) -> Subnet:
    """Return the subnet of a row."""
    return Subnet(
        row.id,
        row.vpc_id,
        row.vni,
        IPv4Network(row.cidr),
        IPv4Address(row.gateway),
        IPv6Network(row.ipv6_cidr) if row.ipv6_cidr else None,
        IPv6Address(row.ipv6_gateway) if row.ipv6_gateway else None,
    )


def pairs(row: PortRow) -> tuple[AddressPair, ...]:
    """Return the allowed address pairs of a port's row."""
    return tuple(
        AddressPair(ip_network(cidr), None if mac is None else Mac(mac)) for cidr, mac in row.pairs
    )


def port(row: PortRow, addresses: Iterable[str]) -> Port:
    """Return the port of a row and its addresses in order."""
    return Port(
        row.id,
        row.subnet_id,
        row.key,
        Mac(row.mac),
        tuple(map(ip_address, addresses)),
        row.port_security,
        pairs(row),
        row.admin_up,
    )


def dpid(key: int) -> int:
    """Return the datapath id of the host with *key*."""
    return DPID_MARK | key


def host(row: HostRow) -> Host:
    """Return the host of a row."""
    return Host(
        row.id,
        row.key,
        dpid(row.key),
        ip_address(row.vtep) if row.vtep else None,
        row.tunnel_ofport,
        row.nd_extensions,
        row.guest_services,
    )


def location(row: LocationRow) -> Location:
    """Return the location of a row."""
    return Location(row.port_id, row.host_id, row.ofport)
