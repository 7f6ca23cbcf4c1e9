"""Enrolment and certificates of hosts: what agent and controller exchange."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model import ids

MAX_TOKEN = 256
MAX_CSR = 8192

TokenText = Annotated[
    str,
    Field(
        max_length=MAX_TOKEN,
        description="The enrolment token, exactly as it was shown.",
        examples=[f"enroll-0a1b2c3d4e5f60718.{'x' * 43}.{'0' * 64}"],
    ),
]
CsrText = Annotated[
    str,
    Field(
        max_length=MAX_CSR,
        description="PKCS #10 signing request, PEM. Only its public key is used.",
        examples=["-----BEGIN CERTIFICATE REQUEST-----\n…\n-----END CERTIFICATE REQUEST-----\n"],
    ),
]
CertificateText = Annotated[
    str,
    Field(
        description="X.509 certificate, PEM.",
        examples=["-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n"],
    ),
]
HostIdText = Annotated[
    str,
    Field(
        pattern=ids.PATTERNS["host"],
        description="The host.",
        examples=["host-0a1b2c3d4e5f60718"],
    ),
]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class EnrollRequest(_Request):
    """What an agent sends to become a host: its one-time token and its signing request."""

    token: TokenText
    csr: CsrText


class CertificateRequest(_Request):
    """A host's signing request for its next certificate."""

    csr: CsrText


class AuthorityAnswer(_Answer):
    """The authority's certificate: public, and worth nothing until its fingerprint is checked."""

    ca_certificate: CertificateText


class CertificateAnswer(_Answer):
    """A host's certificate and the authority that signed it."""

    host_id: HostIdText
    certificate: CertificateText
    ca_certificate: CertificateText


class EnrollAnswer(CertificateAnswer):
    """What a host has after enrolment: its certificate and its bearer token."""

    host_token: Annotated[
        str, Field(description="The host's bearer token, shown this once.", examples=["…"])
    ]
