"""DHCP option sets as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Address,
    Cidr,
    Description,
    Input,
    Name,
    Output,
    PageOut,
    Tags,
    TenantId,
    changes,
    id_field,
    no_id_of,
)
from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.services.dhcp_values import DhcpOptionsChange, DhcpOptionsCreate, DhcpOptionsView

_Domain = Annotated[str, Field(min_length=1, max_length=254)]
_Servers = Annotated[list[Address], Field(max_length=8)]
_ROUTES = [{"destination": "192.0.2.0/24", "next_hop": "10.0.1.9"}]

_Name = Annotated[Name, no_id_of("dopt")]


class RouteIn(Input):
    """An IPv4 route that guests are told."""

    destination: Cidr = Field(description="IPv4 block.", examples=["192.0.2.0/24"])
    next_hop: Address = Field(description="IPv4 address on its way.", examples=["10.0.1.9"])


class OptionsIn(Input):
    """Options of DHCP; null says nothing, an empty list says that there are none."""

    lease_time_s: int | None = Field(
        default=None,
        ge=60,
        le=31_536_000,
        description="How long a lease is good for, seconds; a day by default.",
        examples=[86_400],
    )
    dns_servers: _Servers | None = Field(
        default=None, description="Resolvers of both IP versions.", examples=[["192.0.2.53"]]
    )
    domain_name: _Domain | None = Field(
        default=None, description="DNS domain of the guests.", examples=["shop.internal"]
    )
    search_domains: Annotated[list[_Domain], Field(max_length=6)] | None = Field(
        default=None,
        description="Domains that short names are looked up in; the domain's own by default.",
        examples=[["shop.internal", "example.com"]],
    )
    ntp_servers: _Servers | None = Field(
        default=None, description="Time servers of both IP versions.", examples=[["192.0.2.123"]]
    )
    routes: Annotated[list[RouteIn], Field(max_length=16)] | None = Field(
        default=None, description="IPv4 routes beside the default one.", examples=[_ROUTES]
    )

    def to_options(self) -> DhcpOptions:
        """Return the service's value."""
        return DhcpOptions(
            lease_time_s=self.lease_time_s,
            dns_servers=_tuple(self.dns_servers),
            domain_name=self.domain_name,
            search_domains=_tuple(self.search_domains),
            ntp_servers=_tuple(self.ntp_servers),
            routes=None
            if self.routes is None
            else tuple((one.destination, one.next_hop) for one in self.routes),
        )


_OPTIONS = frozenset(OptionsIn.model_fields)


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


class DhcpOptionsIn(OptionsIn):
    """A new set of DHCP options."""

    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)
    tenant_id: TenantId | None = Field(
        default=None,
        description="The owning tenant: an admin must say which, a tenant may only name itself.",
        examples=["acme"],
    )

    def to_create(self) -> DhcpOptionsCreate:
        """Return the service's value."""
        return DhcpOptionsCreate(
            self.to_options(), self.name, self.description, self.tags, self.tenant_id
        )


class DhcpOptionsPatch(OptionsIn):
    """A partial change of a set; absent fields stay, null takes an option out."""

    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> DhcpOptionsChange:
        """Return the service's value."""
        given = changes(self)
        described = {name: value for name, value in given.items() if name not in _OPTIONS}
        return DhcpOptionsChange(self.to_options(), _OPTIONS & given.keys(), **described)


class RouteOut(Output):
    """An IPv4 route that guests are told."""

    destination: str = Field(description="IPv4 block.", examples=["192.0.2.0/24"])
    next_hop: str = Field(description="IPv4 address on its way.", examples=["10.0.1.9"])


class OptionsOut(Output):
    """Options of DHCP; null says nothing."""

    lease_time_s: int | None = Field(
        description="How long a lease is good for, seconds.", examples=[86_400]
    )
    dns_servers: list[str] | None = Field(description="Resolvers.", examples=[["192.0.2.53"]])
    domain_name: str | None = Field(description="DNS domain.", examples=["shop.internal"])
    search_domains: list[str] | None = Field(
        description="Domains that short names are looked up in.", examples=[["shop.internal"]]
    )
    ntp_servers: list[str] | None = Field(description="Time servers.", examples=[["192.0.2.123"]])
    routes: list[RouteOut] | None = Field(
        description="IPv4 routes beside the default one.", examples=[_ROUTES]
    )


class DhcpOptionsOut(OptionsOut):
    """A set of DHCP options; guests of the VPCs that have it hear of changes as they renew."""

    id: str = id_field("dopt", "Id of the set.")
    name: str = Field(description="Name for people.", examples=["shop"])
    description: str = Field(description="Free text.", examples=["What the shop's guests hear."])
    tags: dict[str, str] = Field(description="Free labels.", examples=[{"env": "prod"}])
    tenant_id: str = Field(description="The owning tenant.", examples=["acme"])
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    updated_at: datetime = Field(
        description="When it was last changed (RFC 3339, UTC).", examples=["2026-01-31T12:30:00Z"]
    )
    revision: int = Field(
        description="Revision of its last change; the ETag is this number in quotes.",
        examples=[1042],
    )


class DhcpOptionsPage(PageOut[DhcpOptionsOut]):
    """One page of sets of DHCP options."""


def render_options(options: DhcpOptions) -> dict[str, Any]:
    """Return *options* as :class:`OptionsOut` describes them."""
    routes = options.routes
    return {
        "lease_time_s": options.lease_time_s,
        "dns_servers": options.dns_servers,
        "domain_name": options.domain_name,
        "search_domains": options.search_domains,
        "ntp_servers": options.ntp_servers,
        "routes": None
        if routes is None
        else [{"destination": block, "next_hop": hop} for block, hop in routes],
    }


def render(view: DhcpOptionsView) -> dict[str, Any]:
    """Return *view* as :class:`DhcpOptionsOut` describes it."""
    meta = view.meta
    return {
        "id": meta.id,
        "name": meta.name,
        "description": meta.description,
        "tags": meta.tags,
        "tenant_id": meta.tenant_id,
        "created_at": meta.created_at,
        "updated_at": meta.updated_at,
        "revision": meta.revision,
        **render_options(view.options),
    }
