"""NAT gateways and their port forwards over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import ForwardId, NatGatewayId
from api.schemas import nat_gateways as schema

KIND = resources.Kind("nat", "nat-gateways", lambda services: services.nat_gateways, schema.render)

router = Router(prefix="/v1/nat-gateways", tags=["NAT gateways"])


class Filters(ListQuery):
    """What NAT gateways can be filtered by."""

    name: Text | None = equal("name", "out")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")
    external_network_id: Text | None = equal("external network", "ext-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_nat_gateway",
        "Create a NAT gateway",
        status=201,
        answer=schema.NatGatewayOut,
        body=schema.NatGatewayIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_nat_gateway(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a NAT gateway with its EIPs; gateway hosts are chosen for it.

    Nothing uses it before a route leads to it.
    """
    return await resources.create(request, KIND, schema.NatGatewayIn, query)


@router.get("", **describe("list_nat_gateways", "List NAT gateways", answer=schema.NatGatewayPage))
async def list_nat_gateways(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the NAT gateways that the token may see, without their port forwards, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{nat_id}",
    **describe(
        "get_nat_gateway",
        "Show a NAT gateway",
        answer=schema.NatGatewayOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_nat_gateway(
    request: Request, nat_id: NatGatewayId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one NAT gateway with its port forwards and the hosts that it is on."""
    return await resources.show(request, KIND, nat_id)


@router.patch(
    "/{nat_id}",
    **describe(
        "change_nat_gateway",
        "Change a NAT gateway",
        answer=schema.NatGatewayOut,
        body=schema.NatGatewayPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_nat_gateway(
    request: Request, nat_id: NatGatewayId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a NAT gateway; `eip_ids` is the whole new list."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.NatGatewayPatch, limit)
    return await resources.change(request, KIND, nat_id, body.to_change(), query)


@router.delete(
    "/{nat_id}",
    **describe(
        "delete_nat_gateway",
        "Delete a NAT gateway",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_nat_gateway(
    request: Request, nat_id: NatGatewayId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a NAT gateway with its port forwards; its EIPs stay the tenant's.

    409 names the route tables whose routes lead to it.
    """
    return await resources.delete(request, KIND, nat_id, query)


@router.post(
    "/{nat_id}/forwards",
    **describe(
        "add_port_forward",
        "Forward ports of a NAT gateway",
        status=201,
        answer=schema.ForwardOut,
        body=schema.ForwardIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY, IF_MATCH),
    ),
)
async def add_forward(
    request: Request, nat_id: NatGatewayId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Forward a port or range of an EIP to a fixed address; 409 names the forward that has it."""
    limit = context(request).config.body_limit
    body, raw = await bodies.read_model(request, schema.ForwardIn, limit)
    part = resources.Part(
        lambda services, who, expected: services.nat_gateways.add_forward(
            who, nat_id, body.to_wanted(), expected
        ),
        schema.render_made,
        raw,
        201,
    )
    return await resources.add(request, KIND, nat_id, part, query)


@router.delete(
    "/{nat_id}/forwards/{fwd_id}",
    **describe(
        "delete_port_forward",
        "Delete a port forward",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_forward(
    request: Request,
    nat_id: NatGatewayId,
    fwd_id: ForwardId,
    query: Annotated[WriteQuery, Query()],
) -> Response:
    """Delete a port forward: its connections end."""
    part = resources.Part(
        lambda services, who, expected: services.nat_gateways.drop_forward(
            who, nat_id, fwd_id, expected
        ),
        None,
    )
    return await resources.change_part(request, KIND, nat_id, part, query)
