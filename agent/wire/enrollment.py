"""Enrolment and certificates as the agent says and reads them.

Told in :mod:`vpcctl.wire.enrollment`.
"""

from typing import Annotated

from msgspec import Meta

from agent.wire.base import Wire, exactly
from vpcctl.model import ids


class EnrollRequest(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.enrollment.EnrollRequest`."""

    token: str
    csr: str


class CertificateRequest(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.enrollment.CertificateRequest`."""

    csr: str


class AuthorityAnswer(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.enrollment.AuthorityAnswer`."""

    ca_certificate: str


class CertificateAnswer(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.enrollment.CertificateAnswer`."""

    host_id: Annotated[str, Meta(pattern=exactly(ids.PATTERNS["host"]))]
    certificate: str
    ca_certificate: str


class EnrollAnswer(CertificateAnswer, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.enrollment.EnrollAnswer`."""

    host_token: str
