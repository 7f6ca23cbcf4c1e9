"""Security groups over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import GroupId
from api.schemas import security_groups as schema

KIND = resources.Kind(
    "sg", "security-groups", lambda services: services.security_groups, schema.render
)

router = Router(prefix="/v1/security-groups", tags=["security groups"])


class Filters(ListQuery):
    """What security groups can be filtered by."""

    name: Text | None = equal("name", "web")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_security_group",
        "Create a security group",
        status=201,
        answer=schema.SecurityGroupOut,
        body=schema.SecurityGroupIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_security_group(
    request: Request, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Create a security group with its first rules: all of it, or nothing."""
    return await resources.create(request, KIND, schema.SecurityGroupIn, query)


@router.get(
    "",
    **describe("list_security_groups", "List security groups", answer=schema.SecurityGroupPage),
)
async def list_security_groups(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the security groups that the token may see, without their rules, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{sg_id}",
    **describe(
        "get_security_group",
        "Show a security group",
        answer=schema.SecurityGroupOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_security_group(
    request: Request, sg_id: GroupId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one security group with its rules."""
    return await resources.show(request, KIND, sg_id)


@router.patch(
    "/{sg_id}",
    **describe(
        "change_security_group",
        "Change a security group",
        answer=schema.SecurityGroupOut,
        body=schema.SecurityGroupPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_security_group(
    request: Request, sg_id: GroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a security group but for its rules."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.SecurityGroupPatch, limit)
    return await resources.change(request, KIND, sg_id, body.to_change(), query)


@router.delete(
    "/{sg_id}",
    **describe(
        "delete_security_group",
        "Delete a security group",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_security_group(
    request: Request, sg_id: GroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a security group; 409 names the ports in it and the groups whose rules name it."""
    return await resources.delete(request, KIND, sg_id, query)
