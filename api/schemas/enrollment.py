"""Enrolments and certificates as the API shows and takes them."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.common import Input, Output
from vpcctl.services.pki import DEFAULT_LIFETIME_S, LIFETIMES_S, EnrollmentView, Revoked
from vpcctl.store.certificates import Certificate


class EnrollmentIn(Input):
    """A new enrolment of a host."""

    lifetime_s: int = Field(
        default=DEFAULT_LIFETIME_S,
        ge=LIFETIMES_S[0],
        le=LIFETIMES_S[1],
        description="Seconds until the token expires.",
        examples=[DEFAULT_LIFETIME_S],
    )


class EnrollmentOut(Output):
    """A new enrolment with its token, which is shown this once."""

    id: str = Field(description="Id of the enrolment.", examples=["enroll-0a1b2c3d4e5f60718"])
    host_id: str = Field(
        description="The host that it is for.", examples=["host-0a1b2c3d4e5f60718"]
    )
    token: str = Field(
        description="For `vpc-agent enroll` on the host: works once; it is stored hashed only. "
        "Its last part is the SHA-256 of the authority's certificate.",
        examples=[f"enroll-0a1b2c3d4e5f60718.{'x' * 43}.{'0' * 64}"],
    )
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    expires_at: datetime = Field(
        description="When it ends (RFC 3339, UTC).", examples=["2026-01-31T13:00:00Z"]
    )


class CertificateOut(Output):
    """A certificate that a host was given."""

    serial: str = Field(
        description="Serial number, hexadecimal.",
        examples=["6c0f1e2d3c4b5a69788796a5b4c3d2e1f0a1b2c3"],
    )
    host_id: str = Field(description="The host.", examples=["host-0a1b2c3d4e5f60718"])
    issued_at: datetime = Field(
        description="When it was issued (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    not_after: datetime = Field(
        description="When it ends (RFC 3339, UTC).", examples=["2026-03-02T12:00:00Z"]
    )
    revoked_at: datetime | None = Field(
        description="When it was revoked (RFC 3339, UTC); null: it was not.", examples=[None]
    )


class CertificatesOut(Output):
    """A host's certificates that have not expired, the newest first."""

    items: list[CertificateOut] = Field(description="The certificates.", examples=[[]])


class RevokedOut(Output):
    """What was taken from a host."""

    certificates: int = Field(description="Certificates revoked.", examples=[1])
    tokens: int = Field(description="Bearer tokens revoked.", examples=[1])
    enrollments: int = Field(description="Unused enrolments withdrawn.", examples=[0])


def render_enrollment(view: EnrollmentView, token: str) -> dict[str, Any]:
    """Return *view* as :class:`EnrollmentOut` describes it."""
    return {
        "id": view.id,
        "host_id": view.host_id,
        "token": token,
        "created_at": view.created_at,
        "expires_at": view.expires_at,
    }


def render_certificate(view: Certificate) -> dict[str, Any]:
    """Return *view* as :class:`CertificateOut` describes it."""
    return {
        "serial": view.serial,
        "host_id": view.host_id,
        "issued_at": view.issued_at,
        "not_after": view.not_after,
        "revoked_at": view.revoked_at,
    }


def render_revoked(view: Revoked) -> dict[str, Any]:
    """Return *view* as :class:`RevokedOut` describes it."""
    return {
        "certificates": view.certificates,
        "tokens": view.tokens,
        "enrollments": view.enrollments,
    }
