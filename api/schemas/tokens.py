"""Tokens as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from api.schemas.common import Description, Input, Output, PageOut, TenantId
from vpcctl.services.views import TokenView

_ROLES = "admin: everything; tenant: its own tenant's resources; host: its own host's reports."
_HostId = Annotated[str, Field(max_length=64)]


class TokenIn(Input):
    """A new token."""

    role: Literal["admin", "tenant", "host"] = Field(description=_ROLES, examples=["tenant"])
    tenant_id: TenantId | None = Field(
        default=None, description="For the role tenant: which.", examples=["acme"]
    )
    host_id: _HostId | None = Field(
        default=None,
        description="For the role host: which.",
        examples=["host-0a1b2c3d4e5f60718"],
    )
    description: Description = ""
    expires_at: AwareDatetime | None = Field(
        default=None,
        description="When it ends (RFC 3339 with an offset); null: never.",
        examples=["2027-01-01T00:00:00Z"],
    )


class TokenOut(Output):
    """A token without its secret."""

    id: str = Field(description="Id of the token.", examples=["token-0a1b2c3d4e5f60718"])
    role: Literal["admin", "tenant", "host"] = Field(description=_ROLES, examples=["tenant"])
    tenant_id: str | None = Field(description="Its tenant, or null.", examples=["acme"])
    host_id: str | None = Field(
        description="Its host, or null.", examples=["host-0a1b2c3d4e5f60718"]
    )
    description: str = Field(description="Free text.", examples=["CI of the shop"])
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    expires_at: datetime | None = Field(
        description="When it ends (RFC 3339, UTC); null: never.", examples=[None]
    )


class TokenCreatedOut(Output):
    """A new token with its secret, which is shown this once."""

    token: TokenOut = Field(
        description="The token.",
        examples=[
            {
                "id": "token-0a1b2c3d4e5f60718",
                "role": "tenant",
                "tenant_id": "acme",
                "host_id": None,
                "description": "CI of the shop",
                "created_at": "2026-01-31T12:00:00Z",
                "expires_at": None,
            }
        ],
    )
    secret: str = Field(
        description="Send it as `Authorization: Bearer <secret>`; it is stored hashed only.",
        examples=["an-example-secret"],
    )


class TokenPage(PageOut[TokenOut]):
    """One page of tokens."""


def render(view: TokenView) -> dict[str, Any]:
    """Return *view* as :class:`TokenOut` describes it."""
    return {
        "id": view.id,
        "role": view.role,
        "tenant_id": view.tenant_id,
        "host_id": view.host_id,
        "description": view.description,
        "created_at": view.created_at,
        "expires_at": view.expires_at,
    }
