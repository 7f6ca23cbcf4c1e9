"""Subnets over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import SubnetId
from api.schemas import subnets as schema

KIND = resources.Kind("subnet", "subnets", lambda services: services.subnets, schema.render)

router = Router(prefix="/v1/subnets", tags=["subnets"])


class Filters(ListQuery):
    """What subnets can be filtered by."""

    name: Text | None = equal("name", "web")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")
    availability_zone: Text | None = equal("availability zone", "zone-a")
    network_acl_id: Text | None = equal("network ACL", "nacl-0a1b2c3d4e5f60718")
    route_table_id: Text | None = equal("route table", "rtb-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_subnet",
        "Create a subnet",
        status=201,
        answer=schema.SubnetOut,
        body=schema.SubnetIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_subnet(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a subnet within a block of its VPC."""
    return await resources.create(request, KIND, schema.SubnetIn, query)


@router.get("", **describe("list_subnets", "List subnets", answer=schema.SubnetPage))
async def list_subnets(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the subnets that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{subnet_id}",
    **describe(
        "get_subnet", "Show a subnet", answer=schema.SubnetOut, refuses=(404,), headers=("ETag",)
    ),
)
async def get_subnet(
    request: Request, subnet_id: SubnetId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one subnet."""
    return await resources.show(request, KIND, subnet_id)


@router.patch(
    "/{subnet_id}",
    **describe(
        "change_subnet",
        "Change a subnet",
        answer=schema.SubnetOut,
        body=schema.SubnetPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_subnet(
    request: Request, subnet_id: SubnetId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a subnet; its IPv6 block may be added, or removed when unused."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.SubnetPatch, limit)
    return await resources.change(request, KIND, subnet_id, body.to_change(), query)


@router.delete(
    "/{subnet_id}",
    **describe(
        "delete_subnet",
        "Delete a subnet",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_subnet(
    request: Request, subnet_id: SubnetId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete an empty subnet; 409 names the ports that block it."""
    return await resources.delete(request, KIND, subnet_id, query)
