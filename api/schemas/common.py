"""What all resources' schemas share.

Inputs are validated by these models; outputs are rendered straight from the services' views
and only described by them (the tests hold both together).
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from vpcctl.model import ids
from vpcctl.services.views import Meta, Page, Status

T = TypeVar("T")
View = TypeVar("View")

Name = Annotated[
    str,
    Field(
        max_length=128, description="Name for people; need not be unique.", examples=["web-tier"]
    ),
]
Description = Annotated[
    str,
    Field(max_length=1024, description="Free text.", examples=["Front ends of the shop."]),
]
_TagKey = Annotated[str, Field(min_length=1, max_length=128)]
_TagValue = Annotated[str, Field(max_length=256)]
Tags = Annotated[
    dict[_TagKey, _TagValue],
    Field(
        max_length=50,
        description="Free labels; lists filter by them.",
        examples=[{"env": "prod", "team": "shop"}],
    ),
]
TenantId = Annotated[
    str,
    Field(min_length=1, max_length=64, description="The owning tenant.", examples=["acme"]),
]
Zone = Annotated[
    str,
    Field(min_length=1, max_length=64, description="Availability zone.", examples=["zone-a"]),
]
Cidr = Annotated[str, Field(max_length=64)]
Address = Annotated[str, Field(max_length=64)]


def no_id_of(kind: ids.Kind) -> AfterValidator:
    """Return what refuses a name that has the form of an id of *kind*, which it is taken for."""

    def check(name: str) -> str:
        if ids.is_id(kind, name):
            raise PydanticCustomError("name_is_id", "name of the form of an id", {"kind": kind})
        return name

    return AfterValidator(check)


class Input(BaseModel):
    """Base of request bodies: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(BaseModel):
    """Base of response bodies."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StatusOut(Output):
    """How far a resource has come on the hosts."""

    state: Literal["pending", "active", "degraded", "error"] = Field(
        description="pending: not yet on every host; active: on all; degraded: some host has a "
        "fault; error: it cannot be realised.",
        examples=["active"],
    )
    reason: str | None = Field(
        description="Why it is not active, in one sentence; null when active.",
        examples=["host-0a1b2c3d4e5f60718 is disconnected"],
    )
    realized_revision: int = Field(
        description="Lowest revision that all hosts concerned have acknowledged.", examples=[1042]
    )
    hosts: int = Field(description="Number of hosts concerned.", examples=[3])


class ResourceOut(Output):
    """What every resource has."""

    name: str = Field(description="Name for people.", examples=["web-tier"])
    description: str = Field(description="Free text.", examples=["Front ends of the shop."])
    tags: dict[str, str] = Field(description="Free labels.", examples=[{"env": "prod"}])
    tenant_id: str = Field(
        description="The owning tenant; empty for what belongs to the operator (hosts).",
        examples=["acme"],
    )
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    updated_at: datetime = Field(
        description="When it was last changed through the API (RFC 3339, UTC).",
        examples=["2026-01-31T12:30:00Z"],
    )
    revision: int = Field(
        description="Revision of its last change; the ETag is this number in quotes.",
        examples=[1042],
    )
    status: StatusOut = Field(
        description="How far it has come on the hosts.",
        examples=[{"state": "active", "reason": None, "realized_revision": 1042, "hosts": 3}],
    )


class PageOut(Output, Generic[T]):
    """One page of a list."""

    items: list[T] = Field(description="The page's items, oldest first.", examples=[[]])
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last.",
        examples=["MjAyNi0wMS0zMXxwb3J0LTBh"],
    )


def id_field(kind: ids.Kind, what: str) -> Any:
    """Return the description of a response field that holds an id of *kind*."""
    return Field(
        description=what,
        examples=[f"{kind}-0a1b2c3d4e5f60718"],
        json_schema_extra={"pattern": ids.PATTERNS[kind]},
    )


def render_meta(meta: Meta, status: Status) -> dict[str, Any]:
    """Return the members that every resource has."""
    return {
        "id": meta.id,
        "name": meta.name,
        "description": meta.description,
        "tags": meta.tags,
        "tenant_id": meta.tenant_id,
        "created_at": meta.created_at,
        "updated_at": meta.updated_at,
        "revision": meta.revision,
        "status": {
            "state": status.state,
            "reason": status.reason,
            "realized_revision": status.realized_revision,
            "hosts": status.hosts,
        },
    }


def changes(body: BaseModel) -> dict[str, Any]:
    """Return only the fields that a partial change names; lists become tuples."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }


def next_cursor(page: Page[Any]) -> str | None:
    """Return the cursor of the page after *page*."""
    return page.next_cursor
