"""Hosts over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import HostId
from api.schemas import hosts as schema

KIND = resources.Kind("host", "hosts", lambda services: services.hosts, schema.render)

router = Router(prefix="/v1/hosts", tags=["hosts"])


class Filters(ListQuery):
    """What hosts can be filtered by."""

    name: Text | None = equal("name", "hv-1")
    availability_zone: Text | None = equal("availability zone", "zone-a")
    vtep_address: Text | None = equal("VXLAN endpoint", "192.0.2.11")


@router.post(
    "",
    **describe(
        "create_host",
        "Create a host",
        status=201,
        answer=schema.HostOut,
        body=schema.HostIn,
        refuses=(409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_host(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a host; its agent then needs a host token."""
    return await resources.create(request, KIND, schema.HostIn, query)


@router.get("", **describe("list_hosts", "List hosts", answer=schema.HostPage))
async def list_hosts(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the hosts that the token may see, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{host_id}",
    **describe("get_host", "Show a host", answer=schema.HostOut, refuses=(404,), headers=("ETag",)),
)
async def get_host(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one host."""
    return await resources.show(request, KIND, host_id)


@router.patch(
    "/{host_id}",
    **describe(
        "change_host",
        "Change a host",
        answer=schema.HostOut,
        body=schema.HostPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_host(
    request: Request, host_id: HostId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a host."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.HostPatch, limit)
    return await resources.change(request, KIND, host_id, body.to_change(), query)


@router.delete(
    "/{host_id}",
    **describe(
        "delete_host",
        "Delete a host",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_host(
    request: Request, host_id: HostId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a host; 409 names the ports whose attachment needs it."""
    return await resources.delete(request, KIND, host_id, query)
