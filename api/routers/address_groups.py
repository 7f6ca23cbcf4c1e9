"""Address groups over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import AddressGroupId
from api.schemas import address_groups as schema
from vpcctl.services.security_views import AddressGroupChange

KIND = resources.Kind(
    "ag", "address-groups", lambda services: services.address_groups, schema.render
)

router = Router(prefix="/v1/address-groups", tags=["address groups"])


class Filters(ListQuery):
    """What address groups can be filtered by."""

    name: Text | None = equal("name", "office")
    tenant_id: Text | None = equal("tenant", "acme")


class Removal(WriteQuery):
    """Which blocks to take out of an address group."""

    cidr: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1,
        max_length=500,
        description="A block to take out; may be given several times: all go, or none.",
        examples=[["198.51.100.0/24"]],
    )


@router.post(
    "",
    **describe(
        "create_address_group",
        "Create an address group",
        status=201,
        answer=schema.AddressGroupOut,
        body=schema.AddressGroupIn,
        refuses=(409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_address_group(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create an address group."""
    return await resources.create(request, KIND, schema.AddressGroupIn, query)


@router.get(
    "", **describe("list_address_groups", "List address groups", answer=schema.AddressGroupPage)
)
async def list_address_groups(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the address groups that the token may see, without their blocks, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{ag_id}",
    **describe(
        "get_address_group",
        "Show an address group",
        answer=schema.AddressGroupOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_address_group(
    request: Request, ag_id: AddressGroupId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one address group with its blocks."""
    return await resources.show(request, KIND, ag_id)


@router.patch(
    "/{ag_id}",
    **describe(
        "change_address_group",
        "Change an address group",
        answer=schema.AddressGroupOut,
        body=schema.AddressGroupPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_address_group(
    request: Request, ag_id: AddressGroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change an address group; `cidrs` is the whole new list. Rules that name it follow."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.AddressGroupPatch, limit)
    return await resources.change(request, KIND, ag_id, body.to_change(), query)


@router.delete(
    "/{ag_id}",
    **describe(
        "delete_address_group",
        "Delete an address group",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_address_group(
    request: Request, ag_id: AddressGroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete an address group; 409 names the security groups whose rules name it."""
    return await resources.delete(request, KIND, ag_id, query)


@router.post(
    "/{ag_id}/cidrs",
    **describe(
        "add_address_group_cidrs",
        "Add blocks to an address group",
        answer=schema.AddressGroupOut,
        body=schema.CidrsIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY, IF_MATCH),
    ),
)
async def add_cidrs(
    request: Request, ag_id: AddressGroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Add blocks: all, or none; one that is in the group already is 409. Answers the group."""
    limit = context(request).config.body_limit
    body, raw = await bodies.read_model(request, schema.CidrsIn, limit)
    change = body.to_change()
    part = resources.Part(
        lambda services, who, expected: services.address_groups.change(
            who, ag_id, change, expected
        ),
        schema.render,
        raw,
    )
    return await resources.add(request, KIND, ag_id, part, query)


@router.delete(
    "/{ag_id}/cidrs",
    **describe(
        "remove_address_group_cidrs",
        "Take blocks out of an address group",
        answer=schema.AddressGroupOut,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def remove_cidrs(
    request: Request, ag_id: AddressGroupId, query: Annotated[Removal, Query()]
) -> Response:
    """Take blocks out: all, or none; one that is not in the group is 409. Answers the group."""
    change = AddressGroupChange(remove=tuple(query.cidr))
    return await resources.change(request, KIND, ag_id, change, query)
