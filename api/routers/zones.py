"""What agents fetch for names and metadata: zones by long poll, and ports' metadata."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from api import bodies, resources
from api.context import actor, context
from api.departure import departure
from api.long_answers import LongAnswer
from api.openapi import describe
from api.queries import NoQuery
from api.queries import Query as QueryModel
from api.router import Router
from api.routers.paths import HostId, PortId, VpcId
from vpcctl.model.problems import Unavailable
from vpcctl.wire.zones import ChangedZones, KnownZones, PortMetadata, ZoneDocument

router = Router(prefix="/v1/hosts/{host_id}", tags=["agents"])


class WaitQuery(QueryModel):
    """What a long poll takes."""

    timeout: float = Field(
        default=0.0,
        ge=0.0,
        le=120.0,
        allow_inf_nan=False,
        description="Seconds to wait for a change at most.",
        examples=[30.0],
    )


class SinceQuery(QueryModel):
    """What the asker has already."""

    since: int = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Revision of the zone that you have: what changed since may be all you get.",
        examples=[0],
    )


@router.post(
    "/zones",
    **describe(
        "wait_for_zones",
        "Wait for a change of zones",
        answer=ChangedZones,
        body=KnownZones,
        refuses=(404,),
        no_content="Nothing changed within the time asked for.",
    ),
)
async def wait_for_zones(
    request: Request, host_id: HostId, query: Annotated[WaitQuery, Query()]
) -> Response:
    """Answer which zones have another revision than the agent holds; else 204.

    Nothing is said of VPCs of which the host has no guest.
    """
    ctx, who = context(request), actor(request)
    body, _ = await bodies.read_model(request, KnownZones, ctx.config.body_limit)
    ctx.services.zones.allow(who, host_id)
    if ctx.zones.polls >= ctx.config.max_polls:
        raise Unavailable("too many long polls are open")
    async with departure(request) as gone:
        changed = await ctx.zones.changed(host_id, body.known, query.timeout, gone)
    if not changed:
        return Response(status_code=204)
    return Response(ChangedZones(changed=changed).model_dump_json(), media_type=resources.JSON)


@router.get(
    "/zones/{vpc_id}",
    **describe("get_zone", "Show a VPC's zone", answer=ZoneDocument, refuses=(404,)),
)
async def get_zone(
    request: Request, host_id: HostId, vpc_id: VpcId, query: Annotated[SinceQuery, Query()]
) -> Response:
    """Answer the zone of a VPC of which the host has a guest, or what has changed of it."""
    ctx, who = context(request), actor(request)

    def work() -> str:
        return ctx.services.zones.zone(who, host_id, vpc_id, query.since).model_dump_json()

    return LongAnswer(await ctx.aside(work))


@router.get(
    "/guests/{port_id}",
    **describe(
        "get_guest_metadata", "Show a guest's metadata", answer=PortMetadata, refuses=(404,)
    ),
)
async def get_guest_metadata(
    request: Request, host_id: HostId, port_id: PortId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Answer what was said for a guest of the host."""
    ctx, who = context(request), actor(request)

    def work() -> str:
        return ctx.services.zones.metadata(who, host_id, port_id).model_dump_json()

    return Response(await ctx.aside(work), media_type=resources.JSON)
