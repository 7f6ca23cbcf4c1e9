"""Internet gateways over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import InternetGatewayId
from api.schemas import internet_gateways as schema

KIND = resources.Kind(
    "igw", "internet-gateways", lambda services: services.internet_gateways, schema.render
)

router = Router(prefix="/v1/internet-gateways", tags=["internet gateways"])


class Filters(ListQuery):
    """What internet gateways can be filtered by."""

    name: Text | None = equal("name", "out")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")
    external_network_id: Text | None = equal("external network", "ext-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_internet_gateway",
        "Create an internet gateway",
        status=201,
        answer=schema.InternetGatewayOut,
        body=schema.InternetGatewayIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_internet_gateway(
    request: Request, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Attach a VPC to an external network; 409 when their blocks overlap, or it is already."""
    return await resources.create(request, KIND, schema.InternetGatewayIn, query)


@router.get(
    "",
    **describe(
        "list_internet_gateways", "List internet gateways", answer=schema.InternetGatewayPage
    ),
)
async def list_internet_gateways(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the internet gateways that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{igw_id}",
    **describe(
        "get_internet_gateway",
        "Show an internet gateway",
        answer=schema.InternetGatewayOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_internet_gateway(
    request: Request, igw_id: InternetGatewayId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one internet gateway."""
    return await resources.show(request, KIND, igw_id)


@router.patch(
    "/{igw_id}",
    **describe(
        "change_internet_gateway",
        "Change an internet gateway",
        answer=schema.InternetGatewayOut,
        body=schema.InternetGatewayPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_internet_gateway(
    request: Request, igw_id: InternetGatewayId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change what an internet gateway is called."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.InternetGatewayPatch, limit)
    return await resources.change(request, KIND, igw_id, body.to_change(), query)


@router.delete(
    "/{igw_id}",
    **describe(
        "delete_internet_gateway",
        "Delete an internet gateway",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_internet_gateway(
    request: Request, igw_id: InternetGatewayId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete an internet gateway; 409 names the EIPs and route tables that need it."""
    return await resources.delete(request, KIND, igw_id, query)
