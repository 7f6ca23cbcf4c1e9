"""DNS records as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import (
    Description,
    Input,
    Output,
    PageOut,
    Tags,
    changes,
    id_field,
    no_id_of,
)
from vpcctl.services.dns_views import DnsRecordChange, DnsRecordCreate, DnsRecordView

Type = Literal["A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT"]
_Values = Annotated[
    list[Annotated[str, Field(max_length=1_024)]],
    Field(
        min_length=1,
        max_length=50,
        description="What the name has. Names in it are relative to the VPC's domain, or whole "
        "with a final dot. SRV: priority, weight, port, target; MX: preference, target.",
        examples=[["10.0.1.20"]],
    ),
]
_Ttl = Annotated[
    int,
    Field(ge=1, le=604_800, description="How long it may be remembered, seconds.", examples=[60]),
]


class DnsRecordIn(Input):
    """New records of one name and type."""

    vpc_id: str = Field(
        max_length=64,
        description="The VPC in whose private zone they are.",
        examples=["vpc-0a1b2c3d4e5f60718"],
    )
    name: Annotated[str, no_id_of("rec")] = Field(
        min_length=1,
        max_length=128,
        description="Relative to the VPC's domain; `@` is the domain itself, the first label may "
        "be `*`; for PTR an address.",
        examples=["db"],
    )
    type: Type = Field(description="Type of all of them.", examples=["A"])
    values: _Values
    ttl: _Ttl = 60
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> DnsRecordCreate:
        """Return the service's value."""
        return DnsRecordCreate(
            self.vpc_id,
            self.name,
            self.type,
            tuple(self.values),
            self.ttl,
            self.description,
            self.tags,
        )


class DnsRecordPatch(Input):
    """A partial change of records; absent fields stay, `values` is the whole new list."""

    values: _Values = Field(default_factory=list)
    ttl: _Ttl = 60
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> DnsRecordChange:
        """Return the service's value."""
        return DnsRecordChange(**changes(self))


class DnsRecordOut(Output):
    """Records of one name and type; guests of the VPC hear of changes within seconds."""

    id: str = id_field("rec", "Id of the records.")
    name: str = Field(description="Relative to the VPC's domain.", examples=["db"])
    full_name: str = Field(description="With the VPC's domain.", examples=["db.vpc.internal"])
    description: str = Field(description="Free text.", examples=["The shop's database."])
    tags: dict[str, str] = Field(description="Free labels.", examples=[{"env": "prod"}])
    tenant_id: str = Field(description="The owning tenant.", examples=["acme"])
    vpc_id: str = id_field("vpc", "The VPC in whose private zone they are.")
    type: Type = Field(description="Type of all of them.", examples=["A"])
    ttl: int = Field(description="How long they may be remembered, seconds.", examples=[60])
    values: list[str] = Field(description="What the name has.", examples=[["10.0.1.20"]])
    created_at: datetime = Field(
        description="When they were made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    updated_at: datetime = Field(
        description="When they were last changed (RFC 3339, UTC).",
        examples=["2026-01-31T12:30:00Z"],
    )
    revision: int = Field(
        description="Revision of their last change; the ETag is this number in quotes.",
        examples=[1042],
    )


class DnsRecordPage(PageOut[DnsRecordOut]):
    """One page of DNS records."""


def render(view: DnsRecordView) -> dict[str, Any]:
    """Return *view* as :class:`DnsRecordOut` describes it."""
    meta = view.meta
    return {
        "id": meta.id,
        "name": meta.name,
        "full_name": view.full_name,
        "description": meta.description,
        "tags": meta.tags,
        "tenant_id": meta.tenant_id,
        "vpc_id": view.vpc_id,
        "type": view.type,
        "ttl": view.ttl,
        "values": view.values,
        "created_at": meta.created_at,
        "updated_at": meta.updated_at,
        "revision": meta.revision,
    }
