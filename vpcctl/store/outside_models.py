"""From rows to the values of :mod:`vpcctl.model` that are about the world outside."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, cast

from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.host import OutsidePort, Watch
from vpcctl.model.limits import Limits
from vpcctl.model.route_table import Route, RouteTable, Target, TargetKind
from vpcctl.store.gateways import ForwardOfEip, GatewayHost
from vpcctl.store.hosts import accepted
from vpcctl.store.route_tables import RouteOfTable
from vpcctl.store.tables import (
    EipRow,
    ExternalNetworkRow,
    HostRow,
    InternetGatewayRow,
    NatGatewayRow,
    PortRow,
    RouteTableRow,
)

LIMITED: tuple[str, ...] = ("ingress_kbps", "egress_kbps", "ingress_pps", "egress_pps")
"""Columns of a row that can be limited, without its number."""


def limits(row: EipRow | PortRow) -> Limits | None:
    """Return the limits of a row; None when it has none."""
    if row.limit_number is None:
        return None
    return Limits(
        row.limit_number, row.ingress_kbps, row.egress_kbps, row.ingress_pps, row.egress_pps
    )


def external_network(row: ExternalNetworkRow, port_mtu: int) -> ExternalNetwork:
    """Return the external network of a row, and the MTU of ports."""
    return ExternalNetwork(
        row.id,
        row.key,
        IPv4Network(row.cidr) if row.cidr else None,
        IPv4Address(row.gateway) if row.gateway else None,
        IPv6Network(row.ipv6_cidr) if row.ipv6_cidr else None,
        IPv6Address(row.ipv6_gateway) if row.ipv6_gateway else None,
        row.mtu,
        port_mtu,
    )


def internet_gateway(row: InternetGatewayRow, hosts: Iterable[GatewayHost]) -> InternetGateway:
    """Return the internet gateway of a row, and its hosts in order."""
    return InternetGateway(row.id, row.vpc_id, row.external_network_id, row.vni, *_placed(hosts))


def _placed(hosts: Iterable[GatewayHost]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return hosts in order, and those of them that are leaving."""
    found = tuple(hosts)
    return tuple(one.id for one in found), tuple(one.id for one in found if one.leaving)


def nat_gateway(
    row: NatGatewayRow, hosts: Iterable[GatewayHost], forwards: Iterable[ForwardOfEip]
) -> NatGateway:
    """Return the NAT gateway of a row, its hosts in order and its forwardings by id."""
    order, leaving = _placed(hosts)
    return NatGateway(
        row.id,
        row.vpc_id,
        row.external_network_id,
        row.vni,
        row.key,
        order,
        tuple(map(_forward, forwards)),
        leaving,
    )


def _forward(row: ForwardOfEip) -> Forward:
    return Forward(
        row.id,
        ip_address(row.address),
        cast(Literal[6, 17], row.protocol),
        (row.port_first, row.port_last),
        ip_address(row.target),
        row.target_port,
    )


def eip(row: EipRow) -> Eip:
    """Return the EIP of a row."""
    return Eip(
        row.id,
        row.external_network_id,
        row.key,
        ip_address(row.address),
        row.port_id,
        ip_address(row.fixed_ip) if row.fixed_ip else None,
        row.nat_gateway_id,
        limits(row),
    )


def route_table(
    row: RouteTableRow, routes: Iterable[RouteOfTable], dead: Iterable[str]
) -> RouteTable:
    """Return the route table of a row.

    Args:
        row: the row.
        routes: one entry a target, or one without any.
        dead: hosts that are dead, of those that its ports are on.
    """
    targets: dict[str, list[Target]] = {}
    for one in routes:
        found = targets.setdefault(one.destination, [])
        if one.target_id is not None:
            found.append(Target(cast(TargetKind, one.kind), one.target_id))
    return RouteTable(
        row.id,
        row.vpc_id,
        row.key,
        row.main_of is not None,
        tuple(_sorted_routes(targets)),
        tuple(sorted(dead)),
    )


def _sorted_routes(targets: Mapping[str, list[Target]]) -> list[Route]:
    made = (Route(ip_network(block), tuple(sorted(to))) for block, to in targets.items())
    return sorted(made, key=_place)


def _place(route: Route) -> tuple[int, int, int]:
    block = route.destination
    return block.version, int(block.network_address), block.prefixlen


def outside_ports(row: HostRow) -> tuple[OutsidePort, ...]:
    """Return how the host of a row reaches external networks."""
    return tuple(OutsidePort(network_id, ofport) for network_id, ofport, _ in accepted(row.outside))


def watches(row: HostRow) -> tuple[Watch, ...]:
    """Return which hosts the host of a row watches."""
    return tuple(Watch(host_id, ofport) for host_id, ofport, _ in row.watches)
