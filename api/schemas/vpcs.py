"""VPCs as the API shows and takes them."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Cidr,
    Description,
    Input,
    Name,
    PageOut,
    ResourceOut,
    Tags,
    TenantId,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from vpcctl.services.views import VpcChange, VpcCreate, VpcView

Cidrs = Annotated[
    list[Cidr],
    Field(
        min_length=1,
        max_length=64,
        description="IPv4 (/8 … /28) and IPv6 (/32 … /64) blocks without host bits, none "
        "overlapping another of this VPC.",
        examples=[["10.0.0.0/16", "fd00:10::/48"]],
    ),
]


DhcpOptionsId = Annotated[str, Field(max_length=64)]
DnsEnabled = Annotated[
    bool,
    Field(
        description="Whether its guests have a resolver, which knows the names of its ports.",
        examples=[True],
    ),
]
DnsDomain = Annotated[str, Field(max_length=254)]


def _dhcp_options() -> Any:
    return Field(
        default=None,
        description="A set of DHCP options of the same tenant; null: the defaults.",
        examples=["dopt-0a1b2c3d4e5f60718"],
    )


_Name = Annotated[Name, no_id_of("vpc")]


class VpcIn(Input):
    """A new VPC."""

    cidrs: Cidrs
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)
    tenant_id: TenantId | None = Field(
        default=None,
        description="The owning tenant: an admin must say which, a tenant may only name itself.",
        examples=["acme"],
    )
    dhcp_options_id: DhcpOptionsId | None = _dhcp_options()
    dns_enabled: DnsEnabled = True
    dns_domain: DnsDomain | None = Field(
        default=None,
        description="Domain of its private zone; null: vpc.internal.",
        examples=["shop.internal"],
    )

    def to_create(self) -> VpcCreate:
        """Return the service's value."""
        return VpcCreate(
            tuple(self.cidrs),
            self.name,
            self.description,
            self.tags,
            self.tenant_id,
            self.dhcp_options_id,
            self.dns_enabled,
            self.dns_domain,
        )


class VpcPatch(Input):
    """A partial change of a VPC; absent fields stay, `cidrs` is the whole new list."""

    cidrs: Cidrs = Field(default_factory=list)
    dhcp_options_id: DhcpOptionsId | None = _dhcp_options()
    dns_enabled: DnsEnabled = True
    dns_domain: DnsDomain = Field(
        default="", description="Domain of its private zone.", examples=["shop.internal"]
    )
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> VpcChange:
        """Return the service's value."""
        return VpcChange(**changes(self))


class VpcOut(ResourceOut):
    """A VPC: one tenant's isolated routing domain."""

    id: str = id_field("vpc", "Id of the VPC.")
    cidrs: list[str] = Field(description="Its blocks.", examples=[["10.0.0.0/16", "fd00:10::/48"]])
    dhcp_options_id: str | None = Field(
        description="The set of DHCP options that its guests are told; null: the defaults.",
        examples=["dopt-0a1b2c3d4e5f60718"],
    )
    dns_enabled: bool = Field(description="Whether its guests have a resolver.", examples=[True])
    dns_domain: str = Field(description="Domain of its private zone.", examples=["vpc.internal"])


class VpcPage(PageOut[VpcOut]):
    """One page of VPCs."""


def render(view: VpcView) -> dict[str, Any]:
    """Return *view* as :class:`VpcOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["cidrs"] = [str(cidr) for cidr in view.cidrs]
    body["dhcp_options_id"] = view.dhcp_options_id
    body["dns_enabled"] = view.dns_enabled
    body["dns_domain"] = view.dns_domain
    return body
