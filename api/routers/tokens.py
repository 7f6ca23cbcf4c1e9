"""Tokens over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic_core import to_json

from api import bodies, resources
from api.context import actor, context
from api.openapi import describe
from api.queries import ListQuery, NoQuery, Text, equal
from api.router import Router
from api.routers.paths import TokenId
from api.schemas import tokens as schema

KIND = resources.Kind("token", "tokens", lambda services: services.tokens, schema.render)

router = Router(prefix="/v1/tokens", tags=["tokens"])


class Filters(ListQuery):
    """What tokens can be filtered by."""

    role: Text | None = equal("role", "tenant")
    tenant_id: Text | None = equal("tenant", "acme")
    host_id: Text | None = equal("host", "host-0a1b2c3d4e5f60718")


@router.post(
    "",
    **describe(
        "create_token",
        "Create a token",
        status=201,
        answer=schema.TokenCreatedOut,
        body=schema.TokenIn,
        refuses=(404, 409),
    ),
)
async def create_token(request: Request, _query: Annotated[NoQuery, Query()]) -> Response:
    """Create a token; its secret is in this answer and nowhere else."""
    ctx, who = context(request), actor(request)
    body, _ = await bodies.read_model(request, schema.TokenIn, ctx.config.body_limit)

    def work() -> bytes:
        view, secret = ctx.services.tokens.create(
            who,
            body.role,
            tenant_id=body.tenant_id,
            host_id=body.host_id,
            description=body.description,
            expires_at=body.expires_at,
        )
        return to_json({"token": schema.render(view), "secret": secret})

    return Response(await ctx.call(work), 201, media_type=resources.JSON)


@router.get("", **describe("list_tokens", "List tokens", answer=schema.TokenPage))
async def list_tokens(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List tokens without their secrets, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{token_id}",
    **describe("get_token", "Show a token", answer=schema.TokenOut, refuses=(404,)),
)
async def get_token(
    request: Request, token_id: TokenId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one token without its secret."""
    ctx, who = context(request), actor(request)
    view = await ctx.call(ctx.services.tokens.get, who, token_id)
    return Response(to_json(schema.render(view)), media_type=resources.JSON)


@router.delete(
    "/{token_id}",
    **describe("revoke_token", "Revoke a token", status=204, refuses=(404, 409)),
)
async def revoke_token(
    request: Request, token_id: TokenId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Revoke a token: nobody can use it from now on."""
    ctx, who = context(request), actor(request)
    with ctx.auth.revoking():
        await ctx.call(ctx.services.tokens.revoke, who, token_id)
    return Response(status_code=204)
