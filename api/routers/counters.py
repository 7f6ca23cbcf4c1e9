"""Counters of ports over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic_core import to_json

from api import resources
from api.context import actor, context
from api.openapi import describe
from api.queries import NoQuery
from api.router import Router
from api.routers.paths import PortId
from api.schemas import counters as schema

router = Router(prefix="/v1/ports", tags=["ports"])


@router.get(
    "/{port_id}/counters",
    **describe(
        "get_port_counters",
        "Show what passed at a port and what was dropped",
        answer=schema.CountersOut,
        refuses=(404, 409),
    ),
)
async def get_port_counters(
    request: Request, port_id: PortId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Read a port's counters from the switch of its host.

    409 while the port is on no host; 503 while the host's switch is not connected to this
    controller, or does not answer.
    """
    ctx, who = context(request), actor(request)

    def work() -> bytes:
        return to_json(schema.render(ctx.services.counters.of_port(who, port_id)))

    return Response(await ctx.ask(work), media_type=resources.JSON)
