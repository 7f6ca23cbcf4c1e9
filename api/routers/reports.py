"""What agents use: link reports, and the host's state by long poll."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from api import bodies
from api.context import actor, context
from api.departure import departure
from api.long_answers import LongAnswer
from api.openapi import describe
from api.queries import NoQuery
from api.queries import Query as QueryModel
from api.router import Router
from api.routers.paths import HostId
from vpcctl.model.problems import Unavailable
from vpcctl.wire.report import LinkReport, ReportAnswer
from vpcctl.wire.state import HostState

router = Router(prefix="/v1/hosts/{host_id}", tags=["agents"])


class StateQuery(QueryModel):
    """What a long poll takes."""

    after: int = Field(
        default=0,
        ge=0,
        le=2**63 - 1,
        description="Revision of the state that the agent has; 0: none.",
        examples=[1042],
    )
    timeout: float = Field(
        default=0.0,
        ge=0.0,
        le=120.0,
        allow_inf_nan=False,
        description="Seconds to wait for a state other than that at most.",
        examples=[30.0],
    )


@router.post(
    "/reports",
    **describe(
        "report_links",
        "Send a link report",
        answer=ReportAnswer,
        body=LinkReport,
        refuses=(404, 409),
    ),
)
async def report_links(
    request: Request, host_id: HostId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Take what a host sees of its links; answers what the host has to do, if that is news."""
    ctx, who = context(request), actor(request)
    raw = await bodies.read_json(request, ctx.config.report_limit)

    def work() -> tuple[str, bool]:
        # Parsed here, in a thread: a full report may be long.
        report = bodies.parse(raw, LinkReport)
        answer = ctx.services.reports.accept(who, host_id, report)
        return answer.model_dump_json(), report.links is not None

    answer, may_change = await ctx.call(work)
    if may_change:
        ctx.wrote()
    return LongAnswer(answer)


@router.get(
    "/state",
    **describe(
        "get_host_state",
        "Wait for a host's state",
        answer=HostState,
        refuses=(404,),
        no_content="Nothing changed within the time asked for.",
    ),
)
async def get_host_state(
    request: Request, host_id: HostId, query: Annotated[StateQuery, Query()]
) -> Response:
    """Answer what the host has to do as soon as it is not what the agent has; else 204."""
    ctx, who = context(request), actor(request)
    if ctx.polls.polls >= ctx.config.max_polls:
        raise Unavailable("too many long polls are open")
    async with departure(request) as gone:
        if not await ctx.polls.newer(
            who, host_id, after=query.after, timeout=query.timeout, gone=gone
        ):
            return Response(status_code=204)

    def work() -> str:
        return ctx.services.hosts.state(who, host_id).model_dump_json()

    return LongAnswer(await ctx.aside(work))
