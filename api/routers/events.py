"""The stream of events over HTTP (server-sent events)."""

from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.auth import secret_of
from api.context import actor, context
from api.events import parse_position
from api.openapi import LAST_EVENT_ID, describe
from api.problems import TooManyRequests
from api.queries import Query as QueryModel
from api.router import Router
from api.schemas.events import EventOut
from vpcctl.model.problems import Forbidden, Unavailable

router = Router(prefix="/v1/events", tags=["events"])


class EventsQuery(QueryModel):
    """Where to begin."""

    after: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"^[0-9]{1,18}(\.[0-9]{1,9})?$",
        description="Only events after this revision or event id; absent: from now.",
        examples=["1042"],
    )


@router.get(
    "",
    **describe(
        "stream_events",
        "Stream events",
        answer=EventOut,
        media="text/event-stream",
        parameters=(LAST_EVENT_ID,),
    ),
)
async def stream_events(request: Request, query: Annotated[EventsQuery, Query()]) -> Response:
    """Stream changes and warnings of what the token may see, resumable by the last event's id.

    Each event's data is one JSON object. An event named `reset` says that events since the
    position asked for are gone: list again. Comments keep an idle connection alive. The stream ends
    with its token.
    """
    ctx, who = context(request), actor(request)
    if who.role == "host":
        raise Forbidden("a host token may not read events")
    if ctx.events.streams >= ctx.config.max_streams:
        raise Unavailable("too many event streams are open")
    most = ctx.config.max_streams_of_tenant
    if who.role == "tenant" and ctx.events.streams_of(who.tenant_id or "") >= most:
        raise TooManyRequests(
            f"this tenant has {most} event streams open", accepted="fewer streams"
        )
    last = request.headers.get("last-event-id")
    position = None
    if last is not None:
        position = parse_position(last, "Last-Event-ID")
    elif query.after is not None:
        position = parse_position(query.after, "after")
    return StreamingResponse(
        ctx.events.stream(who, position, partial(ctx.auth.stands, secret_of(request.scope))),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )
