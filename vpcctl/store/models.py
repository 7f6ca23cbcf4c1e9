"""From rows to the values of :mod:`vpcctl.model`."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from sys import intern

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPNetwork, Mac
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.security_group import (
    AddressGroupRemote,
    AnyRemote,
    GroupRemote,
    Remote,
    Rule,
    SecurityGroup,
)
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.store import outside_models
from vpcctl.store.tables import (
    AclEntryRow,
    AddressGroupRow,
    GroupRuleRow,
    HostRow,
    LocationRow,
    NetworkAclRow,
    PortRow,
    SecurityGroupRow,
    SubnetRow,
    VpcRow,
)

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
        row.acl_id,
        row.route_table_id,
    )


def pairs(row: PortRow) -> tuple[AddressPair, ...]:
    """Return the allowed address pairs of a port's row."""
    return tuple(
        AddressPair(ip_network(cidr), None if mac is None else Mac(mac)) for cidr, mac in row.pairs
    )


def port(row: PortRow, addresses: Iterable[str], groups: Iterable[str]) -> Port:
    """Return the port of a row, its addresses in order and its groups, sorted."""
    return Port(
        intern(row.id),
        intern(row.subnet_id),
        row.key,
        Mac(row.mac),
        tuple(map(ip_address, addresses)),
        row.port_security,
        pairs(row),
        row.admin_up,
        tuple(map(intern, groups)) if row.port_security else None,
        row.source_dest_check,
        outside_models.limits(row),
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
        outside_models.outside_ports(row),
        outside_models.watches(row),
    )


def location(row: LocationRow) -> Location:
    """Return the location of a row."""
    return Location(intern(row.port_id), intern(row.host_id), row.ofport)


def address_group(row: AddressGroupRow, blocks: Iterable[str]) -> AddressGroup:
    """Return the address group of a row and its blocks in any order."""
    return AddressGroup(row.id, row.tenant_id, row.key, sorted_blocks(blocks))


def sorted_blocks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """Return blocks in the order of families, addresses and lengths."""
    return tuple(sorted(map(ip_network, texts), key=_place))


def _place(block: IPNetwork) -> tuple[int, int, int]:
    return block.version, int(block.network_address), block.prefixlen


def security_group(row: SecurityGroupRow, rules: Iterable[GroupRuleRow]) -> SecurityGroup:
    """Return the security group of a row and its rules in the order of keys."""
    return SecurityGroup(
        row.id,
        row.vpc_id,
        row.key,
        tuple(map(rule, rules)),
        row.stateful,
        row.keep_established,
    )


def rule(row: GroupRuleRow) -> Rule:
    """Return the rule of a row."""
    return Rule(
        row.id,
        row.key,
        "ingress" if row.direction == "ingress" else "egress",
        4 if row.family == 4 else 6,
        row.protocol,
        ports_of(row),
        row.icmp_type,
        row.icmp_code,
        _remote(row),
    )


def ports_of(row: GroupRuleRow | AclEntryRow) -> tuple[int, int] | None:
    """Return the first and last port that a row names; None: all."""
    if row.port_first is None or row.port_last is None:
        return None
    return row.port_first, row.port_last


def _remote(row: GroupRuleRow) -> Remote:
    if row.remote_group_id is not None:
        return GroupRemote(row.remote_group_id)
    if row.remote_address_group_id is not None:
        return AddressGroupRemote(row.remote_address_group_id)
    # A block of length 0 is everybody in the rule's family, as no block is.
    if row.remote_cidr is None or row.remote_cidr.endswith("/0"):
        return AnyRemote()
    return ip_network(row.remote_cidr)


def network_acl(row: NetworkAclRow, entries: Iterable[AclEntryRow]) -> NetworkAcl:
    """Return the network ACL of a row and its entries by direction and number."""
    return NetworkAcl(row.id, row.vpc_id, row.key, tuple(map(_acl_rule, entries)))


def _acl_rule(row: AclEntryRow) -> AclRule:
    return AclRule(
        row.number,
        "ingress" if row.direction == "ingress" else "egress",
        row.allow,
        ip_network(row.cidr),
        row.protocol,
        ports_of(row),
        row.icmp_type,
        row.icmp_code,
    )
