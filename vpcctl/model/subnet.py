"""A subnet: one layer-2 segment of a VPC."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subnet:
    """A layer-2 segment with its own VNI.

    Attributes:
        id: ``subnet-…``.
        vpc_id: the VPC that routes for it.
        vni: VXLAN network identifier, 1 … 2**24-1; also the subnet's key in flows.
        cidr: IPv4 block.
        gateway: IPv4 address of the VPC's router in this subnet.
        ipv6_cidr: IPv6 block, or None.
        ipv6_gateway: IPv6 address of the router, or None exactly when ``ipv6_cidr`` is.
        acl_id: id of its network ACL; one that is not there lets nothing through. None: all passes.
        route_table_id: id of its route table; one that is not there leads nowhere. None: its VPC's
            main one.
    """

    id: str
    vpc_id: str
    vni: int
    cidr: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address
    ipv6_cidr: ipaddress.IPv6Network | None = None
    ipv6_gateway: ipaddress.IPv6Address | None = None
    acl_id: str | None = None
    route_table_id: str | None = None
