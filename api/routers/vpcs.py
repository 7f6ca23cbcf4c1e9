"""VPCs over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import VpcId
from api.schemas import vpcs as schema

KIND = resources.Kind("vpc", "vpcs", lambda services: services.vpcs, schema.render)

router = Router(prefix="/v1/vpcs", tags=["vpcs"])


class Filters(ListQuery):
    """What VPCs can be filtered by."""

    name: Text | None = equal("name", "web")
    tenant_id: Text | None = equal("tenant", "acme")


@router.post(
    "",
    **describe(
        "create_vpc",
        "Create a VPC",
        status=201,
        answer=schema.VpcOut,
        body=schema.VpcIn,
        refuses=(409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_vpc(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a VPC with one or more blocks."""
    return await resources.create(request, KIND, schema.VpcIn, query)


@router.get("", **describe("list_vpcs", "List VPCs", answer=schema.VpcPage))
async def list_vpcs(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the VPCs that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{vpc_id}",
    **describe("get_vpc", "Show a VPC", answer=schema.VpcOut, refuses=(404,), headers=("ETag",)),
)
async def get_vpc(request: Request, vpc_id: VpcId, _query: Annotated[NoQuery, Query()]) -> Response:
    """Show one VPC."""
    return await resources.show(request, KIND, vpc_id)


@router.patch(
    "/{vpc_id}",
    **describe(
        "change_vpc",
        "Change a VPC",
        answer=schema.VpcOut,
        body=schema.VpcPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_vpc(
    request: Request, vpc_id: VpcId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a VPC's name, description, tags or blocks; a block in use cannot go."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.VpcPatch, limit)
    return await resources.change(request, KIND, vpc_id, body.to_change(), query)


@router.delete(
    "/{vpc_id}",
    **describe(
        "delete_vpc",
        "Delete a VPC",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_vpc(
    request: Request, vpc_id: VpcId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a VPC in which only its default group is left; 409 names what blocks it."""
    return await resources.delete(request, KIND, vpc_id, query)
