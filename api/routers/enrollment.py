"""How machines become hosts, keep their certificates fresh, and stop being hosts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from api import bodies, resources
from api.context import actor, context
from api.openapi import describe
from api.queries import NoQuery
from api.routers.paths import HostId
from api.schemas import enrollment as schema
from vpcctl.services.pki import IssuedCertificate
from vpcctl.wire.enrollment import (
    AuthorityAnswer,
    CertificateAnswer,
    CertificateRequest,
    EnrollAnswer,
    EnrollRequest,
)

MODELS = (
    schema.EnrollmentIn,
    schema.EnrollmentOut,
    schema.CertificatesOut,
    schema.RevokedOut,
    AuthorityAnswer,
    CertificateAnswer,
    CertificateRequest,
    EnrollAnswer,
    EnrollRequest,
)
BODY_LIMIT = 16_384

router = APIRouter(prefix="/v1", tags=["enrolment"])


def _open(description: dict[str, Any]) -> dict[str, Any]:
    """Return the description of an operation that needs no bearer token (``api.auth.OPEN``)."""
    return description | {"openapi_extra": description["openapi_extra"] | {"security": []}}


@router.get(
    "/ca",
    **_open(describe("get_ca", "Get the authority", answer=AuthorityAnswer, refuses=(404,))),
)
async def get_ca(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Answer the certificate of the authority that signs this controller's and its hosts'.

    It is public, and proves nothing until its SHA-256 was compared with one from a safe place:
    an enrolment token has it.
    """
    ctx = context(request)
    pem = await ctx.call(ctx.services.pki.ca_certificate)
    answer = AuthorityAnswer(ca_certificate=pem)
    return Response(answer.model_dump_json(), media_type=resources.JSON)


@router.post(
    "/enroll",
    **_open(
        describe(
            "enroll", "Become a host", answer=EnrollAnswer, body=EnrollRequest, refuses=(404, 409)
        )
    ),
)
async def enroll(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Use an enrolment token up: answers the host's certificate and its bearer token.

    What the host held before is void from then on. A signing request that cannot be accepted
    leaves the token unused.
    """
    ctx = context(request)
    body, _ = await bodies.read_model(request, EnrollRequest, BODY_LIMIT)
    with ctx.auth.revoking():
        host = await ctx.call(ctx.services.pki.enroll, body.token, body.csr)
    ctx.wrote()
    answer = EnrollAnswer(**_issued(host.issued), host_token=host.token)
    return Response(answer.model_dump_json(), media_type=resources.JSON)


@router.post(
    "/hosts/{host_id}/enrollments",
    **describe(
        "create_enrollment",
        "Let a machine enrol as a host",
        status=201,
        answer=schema.EnrollmentOut,
        body=schema.EnrollmentIn,
        refuses=(404, 409),
    ),
)
async def create_enrollment(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Make a one-time token with which a machine becomes this host.

    An Idempotency-Key has no effect here: answers with secrets are not kept.
    """
    ctx, who = context(request), actor(request)
    body, _ = await bodies.read_model(request, schema.EnrollmentIn, BODY_LIMIT)
    view, token = await ctx.call(
        ctx.services.pki.create_enrollment, who, host_id, lifetime_s=body.lifetime_s
    )
    answer = to_json(schema.render_enrollment(view, token))
    return Response(answer, 201, media_type=resources.JSON)


@router.post(
    "/hosts/{host_id}/certificate",
    **describe(
        "renew_certificate",
        "Renew a host's certificate",
        answer=CertificateAnswer,
        body=CertificateRequest,
        refuses=(404, 409),
    ),
)
async def renew_certificate(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Answer the host's next certificate; only the host itself may ask. The present one stays."""
    ctx, who = context(request), actor(request)
    body, _ = await bodies.read_model(request, CertificateRequest, BODY_LIMIT)
    issued = await ctx.call(ctx.services.pki.renew, who, host_id, body.csr)
    answer = CertificateAnswer(**_issued(issued))
    return Response(answer.model_dump_json(), media_type=resources.JSON)


@router.get(
    "/hosts/{host_id}/certificates",
    **describe(
        "list_certificates",
        "List a host's certificates",
        answer=schema.CertificatesOut,
        refuses=(404,),
    ),
)
async def list_certificates(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """List the host's certificates that have not expired, the newest first."""
    ctx, who = context(request), actor(request)
    found = await ctx.call(ctx.services.pki.certificates, who, host_id)
    items = [schema.render_certificate(one) for one in found]
    return Response(to_json({"items": items}), media_type=resources.JSON)


@router.post(
    "/hosts/{host_id}/revoke",
    **describe(
        "revoke_host",
        "Revoke a host's credentials",
        answer=schema.RevokedOut,
        refuses=(404, 409),
        headers=("Vpcctl-Revision",),
    ),
)
async def revoke_host(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Take all certificates, bearer tokens and unused enrolments from a host.

    Its flows stay as they are until it is deleted, or enrolled anew.
    """
    ctx, who = context(request), actor(request)
    with ctx.auth.revoking():
        revoked = await ctx.call(ctx.services.pki.revoke, who, host_id)
    ctx.wrote()
    headers = {"Vpcctl-Revision": str(revoked.revision)}
    body = to_json(schema.render_revoked(revoked))
    return Response(body, headers=headers, media_type=resources.JSON)


def _issued(issued: IssuedCertificate) -> dict[str, str]:
    return {
        "host_id": issued.host_id,
        "certificate": issued.certificate,
        "ca_certificate": issued.ca_certificate,
    }
