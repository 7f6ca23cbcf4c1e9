"""What creating, reading, changing and deleting have in common over all kinds of resources.

A handler translates HTTP to a service call and back. The view is rendered to JSON in the same
thread that made the call, once; nothing is validated on the way out.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from api import bodies, idempotency, preconditions
from api.context import Context, actor, context
from api.queries import ListQuery, WriteQuery
from api.realized import wait_realized
from vpcctl.model.problems import NotFound, Stale
from vpcctl.services.facade import Concern, Services, StoredResponse
from vpcctl.services.views import Actor

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource.

    Attributes:
        name: as in ids and events.
        plural: as in paths.
        service: picks its service.
        render: makes the JSON members of a view.
    """

    name: str
    plural: str
    service: Callable[[Services], Any]
    render: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is stored."""

    id: str
    revision: int
    status: int
    body: bytes
    headers: dict[str, str]

    def response(self) -> Response:
        """Return the answer."""
        media = JSON if self.body else None
        return Response(self.body, self.status, self.headers, media)


@dataclass(frozen=True, slots=True)
class Part:
    """A write to a part of a resource: a change of the resource that may show the part alone.

    Attributes:
        call: makes it; its view has the resource's meta.
        render: makes the JSON members of that view; None: the answer has no body.
        raw: the body as it was sent.
        status: of the answer.
    """

    call: Callable[[Services, Actor, int | None], Any]
    render: Callable[[Any], dict[str, Any]] | None
    raw: bytes = b""
    status: int = 200


def read_headers(revision: int) -> dict[str, str]:
    """Return the headers of an answer that shows a resource."""
    return {"ETag": preconditions.etag(revision)}


def write_headers(revision: int) -> dict[str, str]:
    """Return the headers of an answer to a write that shows the resource."""
    return {"ETag": preconditions.etag(revision), "Vpcctl-Revision": str(revision)}


def written(kind: Kind, view: Any, status: int = 200) -> Written:
    """Return the answer that shows *view* after a write."""
    meta = view.meta
    headers = write_headers(meta.revision)
    if status == 201:
        headers["Location"] = f"/v1/{kind.plural}/{meta.id}"
    return Written(meta.id, meta.revision, status, to_json(kind.render(view)), headers)


async def create(
    request: Request, kind: Kind, model: type[BaseModel], query: WriteQuery
) -> Response:
    """Create a resource from the body, once per Idempotency-Key."""
    ctx, who = context(request), actor(request)
    body, raw = await bodies.read_model(request, model, ctx.config.body_limit)
    values = body.to_create()  # type: ignore[attr-defined]

    def work() -> Any:
        return kind.service(ctx.services).create(who, values)

    def respond(view: Any) -> Written:
        return written(kind, view, 201)

    made = await _once(request, raw, work, respond)
    ctx.wrote()
    return await _settled(ctx, who, kind, made, query)


async def add(
    request: Request, kind: Kind, identity: str, part: Part, query: WriteQuery
) -> Response:
    """Add to a resource what the body says, once per Idempotency-Key, if If-Match allows."""
    work, respond = _part_work(request, kind, identity, part)
    made = await _once(request, part.raw, work, respond)
    return await _told(request, kind, part, replace(made, id=identity), query)


async def change_part(
    request: Request, kind: Kind, identity: str, part: Part, query: WriteQuery
) -> Response:
    """Change a part of a resource, if If-Match allows."""
    work, respond = _part_work(request, kind, identity, part)
    made = await context(request).call(lambda: respond(work()))
    return await _told(request, kind, part, made, query)


Respond = Callable[[Any], Written]


def _part_work(
    request: Request, kind: Kind, identity: str, part: Part
) -> tuple[Callable[[], Any], Respond]:
    ctx, who = context(request), actor(request)
    accepted = preconditions.if_match(request.headers.get("if-match"))

    def work() -> Any:
        expected = _expected(kind.service(ctx.services), who, identity, accepted)
        return part.call(ctx.services, who, expected)

    def respond(view: Any) -> Written:
        revision = view.meta.revision
        if part.render is None:
            return Written(identity, revision, 204, b"", {"Vpcctl-Revision": str(revision)})
        body = to_json(part.render(view))
        return Written(identity, revision, part.status, body, write_headers(revision))

    return work, respond


async def _told(
    request: Request, kind: Kind, part: Part, made: Written, query: WriteQuery
) -> Response:
    """Wake who listens, wait if the query says so, and answer what was made.

    What shows the whole resource shows it as it is after the wait.
    """
    ctx, who = context(request), actor(request)
    ctx.wrote()
    if part.render is kind.render:
        return await _settled(ctx, who, kind, made, query)
    if query.wait is not None:
        await _wait(ctx, who, kind, made, query)
    return made.response()


async def _once(request: Request, raw: bytes, work: Callable[[], Any], respond: Respond) -> Written:
    """Do *work*, once for an Idempotency-Key if the request has one."""
    ctx, key = context(request), idempotency.key_of(request)
    if key is None:
        return await ctx.call(lambda: respond(work()))
    this = idempotency.Keyed(actor(request), key, idempotency.request_hash(request, raw))

    def stored(view: Any) -> StoredResponse:
        made = respond(view)
        return StoredResponse(made.status, made.headers, made.body)

    async with ctx.keys.lock(this.actor, this.key):
        answer, replayed = await ctx.call(idempotency.once, ctx.services, this, work, stored)
    headers = dict(answer.headers)
    revision = int(headers.get("Vpcctl-Revision", "0"))
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    identity = headers.get("Location", "").rpartition("/")[2]
    return Written(identity, revision, answer.status, answer.body, headers)


async def show(request: Request, kind: Kind, identity: str) -> Response:
    """Answer one resource."""
    ctx, who = context(request), actor(request)

    def work() -> tuple[bytes, int]:
        view = kind.service(ctx.services).get(who, identity)
        return to_json(kind.render(view)), view.meta.revision

    body, revision = await ctx.call(work)
    return Response(body, headers=read_headers(revision), media_type=JSON)


async def index(request: Request, kind: Kind, query: ListQuery) -> Response:
    """Answer one page of resources."""
    ctx, who = context(request), actor(request)
    listing = query.to_listing()

    def work() -> bytes:
        page = kind.service(ctx.services).list(who, listing)
        items = [kind.render(view) for view in page.items]
        return to_json({"items": items, "next_cursor": page.next_cursor})

    return Response(await ctx.call(work), media_type=JSON)


async def change(
    request: Request, kind: Kind, identity: str, values: Any, query: WriteQuery
) -> Response:
    """Change a resource, if If-Match allows."""
    ctx, who = context(request), actor(request)
    accepted = preconditions.if_match(request.headers.get("if-match"))

    def work() -> Written:
        service = kind.service(ctx.services)
        expected = _expected(service, who, identity, accepted)
        return written(kind, service.change(who, identity, values, expected))

    made = await ctx.call(work)
    ctx.wrote()
    return await _settled(ctx, who, kind, made, query)


async def delete(request: Request, kind: Kind, identity: str, query: WriteQuery) -> Response:
    """Delete a resource, if If-Match allows."""
    ctx, who = context(request), actor(request)
    accepted = preconditions.if_match(request.headers.get("if-match"))

    def work() -> tuple[Written, Concern | None]:
        service = kind.service(ctx.services)
        expected = _expected(service, who, identity, accepted)
        concern = ctx.services.status.concern(who, kind.name, identity) if query.wait else None
        revision = service.delete(who, identity, expected)
        return Written(identity, revision, 204, b"", {"Vpcctl-Revision": str(revision)}), concern

    # A host's tokens go with it.
    with ctx.auth.revoking() if kind.name == "host" else nullcontext():
        made, concern = await ctx.call(work)
    ctx.wrote()
    if concern is not None:
        await wait_realized(ctx, concern, made.revision, identity, query.timeout)
    return made.response()


def _expected(
    service: Any, who: Actor, identity: str, accepted: tuple[int, ...] | None
) -> int | None:
    """Return the one revision to demand of the service; several are compared here first."""
    if accepted is None or len(accepted) == 1:
        return accepted[0] if accepted else None
    present = service.get(who, identity).meta.revision
    if present not in accepted:
        raise Stale(
            f"{identity} is at revision {present}",
            field="If-Match",
            accepted=preconditions.etag(present),
        )
    return present


async def _settled(
    ctx: Context, who: Actor, kind: Kind, made: Written, query: WriteQuery
) -> Response:
    """Wait for realisation if the query says so, and show the resource as it is then."""
    if query.wait is None:
        return made.response()
    try:
        await _wait(ctx, who, kind, made, query)
        view = await ctx.aside(kind.service(ctx.services).get, who, made.id)
    except NotFound:  # deleted by somebody else in the meantime
        return made.response()
    if view.meta.revision != made.revision:
        return made.response()
    return replace(made, body=to_json(kind.render(view))).response()


async def _wait(ctx: Context, who: Actor, kind: Kind, made: Written, query: WriteQuery) -> None:
    """Wait until a write to a resource is realised.

    Raises:
        NotFound: the resource has been deleted in the meantime.
        Lagging: it is not realised in time.
    """
    concern = await ctx.aside(ctx.services.status.concern, who, kind.name, made.id)
    await wait_realized(ctx, concern, made.revision, made.id, query.timeout)
