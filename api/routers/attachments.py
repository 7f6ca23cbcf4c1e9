"""A port's attachment over HTTP: the same change as PATCH makes, as a resource of its own."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IF_MATCH, describe
from api.queries import WriteQuery
from api.router import Router
from api.routers.paths import PortId
from api.routers.ports import KIND
from api.schemas import ports as schema
from vpcctl.services.views import PortChange

router = Router(prefix="/v1/ports/{port_id}/attachment", tags=["ports"])


@router.put(
    "",
    **describe(
        "attach_port",
        "Attach a port",
        answer=schema.PortOut,
        body=schema.AttachmentIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def attach_port(
    request: Request, port_id: PortId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Say how and where the port is to be attached; answers the port."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.AttachmentIn, limit)
    change = PortChange(attachment=body.to_view())
    return await resources.change(request, KIND, port_id, change, query)


@router.delete(
    "",
    **describe(
        "detach_port",
        "Detach a port",
        answer=schema.PortOut,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def detach_port(
    request: Request, port_id: PortId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Take the port's attachment away; answers the port, attached or not before."""
    change = PortChange(attachment=None)
    return await resources.change(request, KIND, port_id, change, query)
