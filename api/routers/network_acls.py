"""Network ACLs over HTTP."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import AclId
from api.schemas import network_acls as schema
from api.schemas.traffic import Direction
from vpcctl.services.security_views import NetworkAclChange

KIND = resources.Kind("nacl", "network-acls", lambda services: services.network_acls, schema.render)

router = Router(prefix="/v1/network-acls", tags=["network ACLs"])

_Direction = Annotated[Direction, Path(description="The entry's direction.", examples=["ingress"])]
_Number = Annotated[
    int, Path(ge=1, le=schema.LARGEST_NUMBER, description="The entry's number.", examples=[100])
]


class Filters(ListQuery):
    """What network ACLs can be filtered by."""

    name: Text | None = equal("name", "edge")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_network_acl",
        "Create a network ACL",
        status=201,
        answer=schema.NetworkAclOut,
        body=schema.NetworkAclIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_network_acl(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a network ACL with its first entries: all of it, or nothing."""
    return await resources.create(request, KIND, schema.NetworkAclIn, query)


@router.get("", **describe("list_network_acls", "List network ACLs", answer=schema.NetworkAclPage))
async def list_network_acls(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the network ACLs that the token may see, without their entries, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{nacl_id}",
    **describe(
        "get_network_acl",
        "Show a network ACL",
        answer=schema.NetworkAclOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_network_acl(
    request: Request, nacl_id: AclId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one network ACL with its entries."""
    return await resources.show(request, KIND, nacl_id)


@router.patch(
    "/{nacl_id}",
    **describe(
        "change_network_acl",
        "Change a network ACL",
        answer=schema.NetworkAclOut,
        body=schema.NetworkAclPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_network_acl(
    request: Request, nacl_id: AclId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a network ACL; `entries` is the whole new list."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.NetworkAclPatch, limit)
    return await resources.change(request, KIND, nacl_id, body.to_change(), query)


@router.delete(
    "/{nacl_id}",
    **describe(
        "delete_network_acl",
        "Delete a network ACL",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_network_acl(
    request: Request, nacl_id: AclId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a network ACL; 409 names the subnets that have it."""
    return await resources.delete(request, KIND, nacl_id, query)


@router.post(
    "/{nacl_id}/entries",
    **describe(
        "add_network_acl_entries",
        "Add entries to a network ACL",
        answer=schema.NetworkAclOut,
        body=schema.EntryOrEntriesIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY, IF_MATCH),
    ),
)
async def add_entries(
    request: Request, nacl_id: AclId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Add one entry, or an array of entries: all, or none; a taken number is 409."""
    raw = await bodies.read_json(request, context(request).config.body_limit)
    is_array = raw.lstrip().startswith(b"[")
    change = schema.to_added(bodies.parse(raw, schema.EntriesIn if is_array else schema.EntryIn))
    part = resources.Part(
        lambda services, who, expected: services.network_acls.change(
            who, nacl_id, change, expected
        ),
        schema.render,
        raw,
    )
    return await resources.add(request, KIND, nacl_id, part, query)


@router.put(
    "/{nacl_id}/entries/{direction}/{number}",
    **describe(
        "put_network_acl_entry",
        "Put an entry of a network ACL",
        answer=schema.NetworkAclOut,
        body=schema.ReplacementIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def put_entry(
    request: Request,
    nacl_id: AclId,
    direction: _Direction,
    number: _Number,
    query: Annotated[WriteQuery, Query()],
) -> Response:
    """Replace the entry with this number, or add it; answers the ACL."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.ReplacementIn, limit)
    change = NetworkAclChange(put=body.to_entry(direction, number))
    return await resources.change(request, KIND, nacl_id, change, query)


@router.delete(
    "/{nacl_id}/entries/{direction}/{number}",
    **describe(
        "delete_network_acl_entry",
        "Delete an entry of a network ACL",
        answer=schema.NetworkAclOut,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def delete_entry(
    request: Request,
    nacl_id: AclId,
    direction: _Direction,
    number: _Number,
    query: Annotated[WriteQuery, Query()],
) -> Response:
    """Delete the entry with this number; answers the ACL."""
    change = NetworkAclChange(remove=(direction, number))
    return await resources.change(request, KIND, nacl_id, change, query)
