"""EIPs over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import EipId
from api.schemas import eips as schema
from vpcctl.services.outside_views import EipChange

KIND = resources.Kind("eip", "eips", lambda services: services.eips, schema.render)

router = Router(prefix="/v1/eips", tags=["EIPs"])


class Filters(ListQuery):
    """What EIPs can be filtered by."""

    name: Text | None = equal("name", "web")
    tenant_id: Text | None = equal("tenant", "acme")
    external_network_id: Text | None = equal("external network", "ext-0a1b2c3d4e5f60718")
    address: Text | None = equal("address", "203.0.113.17")
    port_id: Text | None = equal("port", "port-0a1b2c3d4e5f60718")
    vpc_id: Text | None = equal("VPC of the port", "vpc-0a1b2c3d4e5f60718")
    nat_gateway_id: Text | None = equal("NAT gateway", "nat-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_eip",
        "Allocate an EIP",
        status=201,
        answer=schema.EipOut,
        body=schema.EipIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_eip(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Allocate an EIP: the address that is asked for, or the next free one."""
    return await resources.create(request, KIND, schema.EipIn, query)


@router.get("", **describe("list_eips", "List EIPs", answer=schema.EipPage))
async def list_eips(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the EIPs that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{eip_id}",
    **describe(
        "get_eip",
        "Show an EIP",
        answer=schema.EipOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_eip(request: Request, eip_id: EipId, _query: Annotated[NoQuery, Query()]) -> Response:
    """Show one EIP, and where it is realised."""
    return await resources.show(request, KIND, eip_id)


@router.patch(
    "/{eip_id}",
    **describe(
        "change_eip",
        "Change an EIP",
        answer=schema.EipOut,
        body=schema.EipPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_eip(
    request: Request, eip_id: EipId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change an EIP: its limits and what it is called."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.EipPatch, limit)
    return await resources.change(request, KIND, eip_id, body.to_change(), query)


@router.delete(
    "/{eip_id}",
    **describe(
        "delete_eip",
        "Release an EIP",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_eip(
    request: Request, eip_id: EipId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Release an EIP that nothing uses; 409 names the port or NAT gateway that does."""
    return await resources.delete(request, KIND, eip_id, query)


@router.put(
    "/{eip_id}/association",
    **describe(
        "associate_eip",
        "Associate an EIP",
        answer=schema.EipOut,
        body=schema.AssociationIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def associate_eip(
    request: Request, eip_id: EipId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Let an EIP stand for a port's fixed address, with `move` taken from another; answers it."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.AssociationIn, limit)
    return await resources.change(request, KIND, eip_id, body.to_change(), query)


@router.delete(
    "/{eip_id}/association",
    **describe(
        "disassociate_eip",
        "Disassociate an EIP",
        answer=schema.EipOut,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def disassociate_eip(
    request: Request, eip_id: EipId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Let an EIP stand for nothing; answers the EIP, associated or not before."""
    return await resources.change(request, KIND, eip_id, EipChange(association=None), query)
