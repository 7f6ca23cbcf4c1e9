"""The network's state in numbers, and what machines ask of the process itself."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic_core import to_json

from api import resources
from api.context import ACTOR, SELF, Context, actor, context
from api.openapi import describe, describe_open
from api.queries import NoQuery
from api.schemas import status as schema
from vpcctl.model.counters import Drops
from vpcctl.model.problems import Problem, Unavailable

router = APIRouter()


@router.get(
    "/v1/status",
    tags=["status"],
    **describe("get_status", "Show the network's state", answer=schema.SummaryOut),
)
async def get_status(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Show revisions, lag and hosts."""
    ctx, who = context(request), actor(request)

    def work() -> bytes:
        return to_json(schema.render(ctx.services.status.summary(who)))

    return Response(await ctx.call(work), media_type=resources.JSON)


@router.get(
    "/healthz",
    tags=["process"],
    **describe_open("healthz", "Tell that the process lives", answer=schema.HealthOut),
)
async def healthz() -> Response:
    """Answer at once, whatever the database does."""
    return Response(b'{"status":"ok"}', media_type=resources.JSON)


@router.get(
    "/readyz",
    tags=["process"],
    **describe_open("readyz", "Tell whether requests can be served", answer=schema.HealthOut),
)
async def readyz(request: Request) -> Response:
    """Answer 200 when the database answers and the southbound keeps up, else 503."""
    ctx = context(request)
    await ctx.aside(ctx.southbound.check)
    return Response(b'{"status":"ok"}', media_type=resources.JSON)


@router.get(
    "/metrics",
    tags=["process"],
    **describe_open("metrics", "Give Prometheus metrics", answer=None),
)
async def metrics(request: Request) -> Response:
    """Give requests, hosts by state, revisions' lag and drops by reason in Prometheus' text format.

    With an admin's token NAT gateways and hosts' drops are told of, too, each by its id.
    """
    ctx, who = context(request), request.scope.get(ACTOR)
    is_admin = who is not None and who.role == "admin"

    def work() -> bytes:
        if ctx.metrics.is_stale():
            try:
                ctx.metrics.summarise(ctx.services.status.summary(SELF))
                ctx.metrics.count_nat(ctx.services.nat_gateways.counted(SELF))
            except Problem:  # what the process itself counts is worth telling all the same
                ctx.metrics.database_up.set(0)
            ctx.metrics.count_drops(_drops(ctx))
        return ctx.metrics.render(of_each=is_admin)

    return Response(await ctx.aside(work), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _drops(ctx: Context) -> Drops | None:
    """Return what hosts drop; None while the southbound does not answer."""
    try:
        return ctx.services.counters.drops()
    except Unavailable:
        return None
