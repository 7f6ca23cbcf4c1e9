"""Ports over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import Flag, ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import PortId
from api.schemas import ports as schema

KIND = resources.Kind("port", "ports", lambda services: services.ports, schema.render)

router = Router(prefix="/v1/ports", tags=["ports"])


class Filters(ListQuery):
    """What ports can be filtered by."""

    name: Text | None = equal("name", "web-1")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")
    subnet_id: Text | None = equal("subnet", "subnet-0a1b2c3d4e5f60718")
    host_id: Text | None = equal("present host", "host-0a1b2c3d4e5f60718")
    mac_address: Text | None = equal("MAC", "0e:00:00:00:01:14")
    fixed_ip: Text | None = equal("fixed address", "10.0.1.20")
    admin_up: Flag | None = equal("administrative state", "true")
    port_security: Flag | None = equal("port security", "true")
    security_group_id: Text | None = equal("security group", "sg-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_port",
        "Create a port",
        status=201,
        answer=schema.PortOut,
        body=schema.PortIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_port(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a port; addresses and MAC that are not given are allocated."""
    return await resources.create(request, KIND, schema.PortIn, query)


@router.get("", **describe("list_ports", "List ports", answer=schema.PortPage))
async def list_ports(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the ports that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{port_id}",
    **describe("get_port", "Show a port", answer=schema.PortOut, refuses=(404,), headers=("ETag",)),
)
async def get_port(
    request: Request, port_id: PortId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one port."""
    return await resources.show(request, KIND, port_id)


@router.patch(
    "/{port_id}",
    **describe(
        "change_port",
        "Change a port",
        answer=schema.PortOut,
        body=schema.PortPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_port(
    request: Request, port_id: PortId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a port."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.PortPatch, limit)
    return await resources.change(request, KIND, port_id, body.to_change(), query)


@router.delete(
    "/{port_id}",
    **describe(
        "delete_port",
        "Delete a port",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_port(
    request: Request, port_id: PortId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a port and free its addresses."""
    return await resources.delete(request, KIND, port_id, query)
