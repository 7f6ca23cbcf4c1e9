"""Subnets as the API shows and takes them."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Address,
    Cidr,
    Description,
    Input,
    Name,
    PageOut,
    ResourceOut,
    Tags,
    Zone,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from vpcctl.services.views import SubnetChange, SubnetCreate, SubnetView
from vpcctl.wire.state import Ipv6Mode

_VpcId = Annotated[
    str,
    Field(max_length=64, description="The VPC it is in.", examples=["vpc-0a1b2c3d4e5f60718"]),
]
_Cidr = Annotated[
    Cidr,
    Field(description="IPv4 block within the VPC's, no host bits.", examples=["10.0.1.0/24"]),
]


_MODES = (
    "How guests get IPv6 addresses: `slaac`: they make them; `dhcpv6-stateless`: so, and the rest "
    "by DHCPv6; `dhcpv6-stateful`: by DHCPv6"
)


def _gateway(family: str, example: str) -> Any:
    return Field(
        default=None,
        description=f"{family} address of the router; the block's first usable one by default.",
        examples=[example],
    )


def _ipv6_cidr() -> Any:
    return Field(
        default=None,
        description="IPv6 /64 within the VPC's blocks; null for none.",
        examples=["fd00:10:0:1::/64"],
    )


def _zone() -> Any:
    return Field(default=None, description="Availability zone; null for any.", examples=["zone-a"])


def _acl() -> Any:
    return Field(
        default=None,
        max_length=64,
        description="Network ACL of its VPC that judges what is routed into and out of it; null: "
        "none, and all of that passes.",
        examples=["nacl-0a1b2c3d4e5f60718"],
    )


def _table() -> Any:
    return Field(
        default=None,
        max_length=64,
        description="Route table of its VPC that says where packets go that leave the VPC; null: "
        "the VPC's main one.",
        examples=["rtb-0a1b2c3d4e5f60718"],
    )


_Name = Annotated[Name, no_id_of("subnet")]


class SubnetIn(Input):
    """A new subnet."""

    vpc_id: _VpcId
    cidr: _Cidr
    gateway: Address | None = _gateway("IPv4", "10.0.1.1")
    ipv6_cidr: Cidr | None = _ipv6_cidr()
    ipv6_gateway: Address | None = _gateway("IPv6", "fd00:10:0:1::1")
    ipv6_mode: Ipv6Mode | None = Field(
        default=None,
        description=f"{_MODES}; null: `dhcpv6-stateful` with an IPv6 block.",
        examples=["slaac"],
    )
    availability_zone: Zone | None = _zone()
    network_acl_id: str | None = _acl()
    route_table_id: str | None = _table()
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> SubnetCreate:
        """Return the service's value."""
        return SubnetCreate(
            vpc_id=self.vpc_id,
            cidr=self.cidr,
            gateway=self.gateway,
            ipv6_cidr=self.ipv6_cidr,
            ipv6_gateway=self.ipv6_gateway,
            ipv6_mode=self.ipv6_mode,
            availability_zone=self.availability_zone,
            network_acl_id=self.network_acl_id,
            route_table_id=self.route_table_id,
            name=self.name,
            description=self.description,
            tags=self.tags,
        )


class SubnetPatch(Input):
    """A partial change of a subnet; absent fields stay, null clears."""

    ipv6_cidr: Cidr | None = _ipv6_cidr()
    ipv6_gateway: Address | None = _gateway("IPv6", "fd00:10:0:1::1")
    ipv6_mode: Ipv6Mode = Field(
        default="dhcpv6-stateful",
        description=f"{_MODES}; ports that there are keep their addresses.",
        examples=["slaac"],
    )
    availability_zone: Zone | None = _zone()
    network_acl_id: str | None = _acl()
    route_table_id: str | None = _table()
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> SubnetChange:
        """Return the service's value."""
        return SubnetChange(**changes(self))


class SubnetOut(ResourceOut):
    """A subnet: one layer-2 segment of a VPC."""

    id: str = id_field("subnet", "Id of the subnet.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    vni: int = Field(description="Its VXLAN network identifier.", examples=[4711])
    cidr: str = Field(description="IPv4 block.", examples=["10.0.1.0/24"])
    gateway: str = Field(description="IPv4 address of the router.", examples=["10.0.1.1"])
    ipv6_cidr: str | None = Field(description="IPv6 block, or null.", examples=["fd00:10:0:1::/64"])
    ipv6_gateway: str | None = Field(
        description="IPv6 address of the router, or null.", examples=["fd00:10:0:1::1"]
    )
    ipv6_mode: Ipv6Mode | None = Field(
        description="How guests get IPv6 addresses; null without a block.", examples=["slaac"]
    )
    availability_zone: str | None = Field(
        description="Availability zone; null for any.", examples=["zone-a"]
    )
    network_acl_id: str | None = Field(
        description="Its network ACL; null for none.", examples=["nacl-0a1b2c3d4e5f60718"]
    )
    route_table_id: str | None = Field(
        description="Its route table; null for the VPC's main one.",
        examples=["rtb-0a1b2c3d4e5f60718"],
    )
    free_addresses: int = Field(description="IPv4 addresses left to allocate.", examples=[250])


class SubnetPage(PageOut[SubnetOut]):
    """One page of subnets."""


def render(view: SubnetView) -> dict[str, Any]:
    """Return *view* as :class:`SubnetOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["vni"] = view.vni
    body["cidr"] = str(view.cidr)
    body["gateway"] = str(view.gateway)
    body["ipv6_cidr"] = None if view.ipv6_cidr is None else str(view.ipv6_cidr)
    body["ipv6_gateway"] = None if view.ipv6_gateway is None else str(view.ipv6_gateway)
    body["ipv6_mode"] = view.ipv6_mode
    body["availability_zone"] = view.availability_zone
    body["network_acl_id"] = view.network_acl_id
    body["route_table_id"] = view.route_table_id
    body["free_addresses"] = view.free_addresses
    return body
