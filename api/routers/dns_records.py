"""DNS records over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import DnsRecordId
from api.schemas import dns_records as schema

KIND = resources.Kind("rec", "dns-records", lambda services: services.dns_records, schema.render)

router = Router(prefix="/v1/dns-records", tags=["dns-records"])

_NOW = WriteQuery()
"""Nothing is waited for: names are no matter of flows."""


class Filters(ListQuery):
    """What records can be filtered by."""

    name: Text | None = equal("name", "db")
    type: Text | None = equal("type", "A")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")
    tenant_id: Text | None = equal("tenant", "acme")


@router.post(
    "",
    **describe(
        "create_dns_record",
        "Create DNS records of a name",
        status=201,
        answer=schema.DnsRecordOut,
        body=schema.DnsRecordIn,
        refuses=(409,),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_dns_record(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Create the records of one name and type in a VPC's private zone."""
    return await resources.create(request, KIND, schema.DnsRecordIn, _NOW)


@router.get(
    "",
    **describe("list_dns_records", "List DNS records", answer=schema.DnsRecordPage),
)
async def list_dns_records(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the records that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{dns_record_id}",
    **describe(
        "get_dns_record",
        "Show DNS records of a name",
        answer=schema.DnsRecordOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_dns_record(
    request: Request, dns_record_id: DnsRecordId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show the records of one name and type."""
    return await resources.show(request, KIND, dns_record_id)


@router.patch(
    "/{dns_record_id}",
    **describe(
        "change_dns_record",
        "Change DNS records of a name",
        answer=schema.DnsRecordOut,
        body=schema.DnsRecordPatch,
        refuses=(404, 409, 412),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_dns_record(
    request: Request, dns_record_id: DnsRecordId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Change what a name has, or for how long."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.DnsRecordPatch, limit)
    return await resources.change(request, KIND, dns_record_id, body.to_change(), _NOW)


@router.delete(
    "/{dns_record_id}",
    **describe(
        "delete_dns_record",
        "Delete DNS records of a name",
        status=204,
        refuses=(404, 409, 412),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_dns_record(
    request: Request, dns_record_id: DnsRecordId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Delete the records of one name and type."""
    return await resources.delete(request, KIND, dns_record_id, _NOW)
