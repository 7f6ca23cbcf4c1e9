"""DHCP option sets over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import DhcpOptionsId
from api.schemas import dhcp_options as schema

KIND = resources.Kind("dopt", "dhcp-options", lambda services: services.dhcp_options, schema.render)

router = Router(prefix="/v1/dhcp-options", tags=["dhcp-options"])

_NOW = WriteQuery()
"""Nothing is waited for: options are no matter of flows."""


class Filters(ListQuery):
    """What sets can be filtered by."""

    name: Text | None = equal("name", "shop")
    tenant_id: Text | None = equal("tenant", "acme")


@router.post(
    "",
    **describe(
        "create_dhcp_options",
        "Create a set of DHCP options",
        status=201,
        answer=schema.DhcpOptionsOut,
        body=schema.DhcpOptionsIn,
        refuses=(409,),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_dhcp_options(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Create a set; a VPC names it in its `dhcp_options_id`."""
    return await resources.create(request, KIND, schema.DhcpOptionsIn, _NOW)


@router.get(
    "",
    **describe("list_dhcp_options", "List sets of DHCP options", answer=schema.DhcpOptionsPage),
)
async def list_dhcp_options(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the sets that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{dhcp_options_id}",
    **describe(
        "get_dhcp_options",
        "Show a set of DHCP options",
        answer=schema.DhcpOptionsOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_dhcp_options(
    request: Request, dhcp_options_id: DhcpOptionsId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one set."""
    return await resources.show(request, KIND, dhcp_options_id)


@router.patch(
    "/{dhcp_options_id}",
    **describe(
        "change_dhcp_options",
        "Change a set of DHCP options",
        answer=schema.DhcpOptionsOut,
        body=schema.DhcpOptionsPatch,
        refuses=(404, 409, 412),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_dhcp_options(
    request: Request, dhcp_options_id: DhcpOptionsId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Change a set; guests hear of it when they renew their leases."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.DhcpOptionsPatch, limit)
    return await resources.change(request, KIND, dhcp_options_id, body.to_change(), _NOW)


@router.delete(
    "/{dhcp_options_id}",
    **describe(
        "delete_dhcp_options",
        "Delete a set of DHCP options",
        status=204,
        refuses=(404, 409, 412),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_dhcp_options(
    request: Request, dhcp_options_id: DhcpOptionsId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Delete a set that no VPC has; 409 names those that do."""
    return await resources.delete(request, KIND, dhcp_options_id, _NOW)
