"""Address groups as the API shows and takes them."""

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
from vpcctl.services.security_views import (
    AddressGroupChange,
    AddressGroupCreate,
    AddressGroupView,
)

MOST_CIDRS = 10_000
"""Blocks in one request; the quota says how many a group may have."""

_Cidrs = Annotated[
    list[Cidr],
    Field(
        max_length=MOST_CIDRS,
        description="IPv4 and IPv6 blocks of any size without host bits, or single addresses, "
        "none twice. A rule uses those of its own family.",
        examples=[["198.51.100.0/24", "2001:db8::/32"]],
    ),
]

_Name = Annotated[Name, no_id_of("ag")]


class AddressGroupIn(Input):
    """A new address group."""

    cidrs: _Cidrs = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)
    tenant_id: TenantId | None = Field(
        default=None,
        description="The owning tenant: an admin must say which, a tenant may only name itself.",
        examples=["acme"],
    )

    def to_create(self) -> AddressGroupCreate:
        """Return the service's value."""
        return AddressGroupCreate(
            tuple(self.cidrs), self.name, self.description, self.tags, self.tenant_id
        )


class AddressGroupPatch(Input):
    """A partial change of an address group; absent fields stay, `cidrs` is the whole new list."""

    cidrs: _Cidrs = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> AddressGroupChange:
        """Return the service's value."""
        return AddressGroupChange(**changes(self))


class CidrsIn(Input):
    """Blocks to add to an address group: all, or none."""

    cidrs: Annotated[_Cidrs, Field(min_length=1)]

    def to_change(self) -> AddressGroupChange:
        """Return the service's value."""
        return AddressGroupChange(add=tuple(self.cidrs))


class AddressGroupLineOut(ResourceOut):
    """An address group without its blocks, as lists show it."""

    id: str = id_field("ag", "Id of the address group.")
    cidr_count: int = Field(description="How many blocks it has.", examples=[2])


class AddressGroupOut(AddressGroupLineOut):
    """An address group: a named set of blocks that rules can name as their remote side."""

    cidrs: list[str] = Field(
        description="Its blocks, sorted.", examples=[["198.51.100.0/24", "2001:db8::/32"]]
    )


class AddressGroupPage(PageOut[AddressGroupLineOut]):
    """One page of address groups, without their blocks."""


def render(view: AddressGroupView) -> dict[str, Any]:
    """Return *view* as :class:`AddressGroupOut` or :class:`AddressGroupLineOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["cidr_count"] = view.cidr_count
    if view.cidrs is not None:
        body["cidrs"] = [str(block) for block in view.cidrs]
    return body
