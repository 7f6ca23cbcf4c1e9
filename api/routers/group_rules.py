"""Rules of security groups over HTTP. Each change of them is a change of the group."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic_core import to_json

from api import bodies, resources
from api.context import actor, context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import NoQuery, PageQuery, WriteQuery, equal
from api.router import Router
from api.routers.paths import GroupId, RuleId
from api.routers.security_groups import KIND
from api.schemas import group_rules as schema

router = Router(prefix="/v1/security-groups/{sg_id}/rules", tags=["security groups"])


class Filters(PageQuery):
    """What rules can be filtered by."""

    direction: Literal["ingress", "egress"] | None = equal("direction", "ingress")


@router.post(
    "",
    **describe(
        "add_security_group_rules",
        "Add rules to a security group",
        status=201,
        answer=schema.RulesOut,
        body=schema.RuleOrRulesIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY, IF_MATCH),
    ),
)
async def add_rules(
    request: Request, sg_id: GroupId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Add one rule, or an array of rules: all, or none; an equal one is 409 and named."""
    ctx = context(request)
    raw = await bodies.read_json(request, ctx.config.body_limit)
    if raw.lstrip().startswith(b"["):
        values = bodies.parse(raw, schema.RulesIn).to_create()
    else:
        values = (bodies.parse(raw, schema.RuleIn).to_create(),)
    part = resources.Part(
        lambda services, who, expected: services.group_rules.add(who, sg_id, values, expected),
        schema.render_made,
        raw,
        201,
    )
    return await resources.add(request, KIND, sg_id, part, query)


@router.get(
    "",
    **describe(
        "list_security_group_rules",
        "List the rules of a security group",
        answer=schema.RulePage,
        refuses=(404,),
    ),
)
async def list_rules(
    request: Request, sg_id: GroupId, query: Annotated[Filters, Query()]
) -> Response:
    """List a security group's rules, oldest first."""
    ctx, who = context(request), actor(request)
    listing = query.to_listing()

    def work() -> bytes:
        page = ctx.services.group_rules.list(who, sg_id, listing)
        items = [schema.render(view) for view in page.items]
        return to_json({"items": items, "next_cursor": page.next_cursor})

    return Response(await ctx.call(work), media_type=resources.JSON)


@router.get(
    "/{sgr_id}",
    **describe(
        "get_security_group_rule",
        "Show a rule",
        answer=schema.RuleOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_rule(
    request: Request, sg_id: GroupId, sgr_id: RuleId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one rule; the ETag is its group's."""
    ctx, who = context(request), actor(request)

    def work() -> Response:
        view = ctx.services.group_rules.get(who, sg_id, sgr_id)
        headers = resources.read_headers(view.meta.revision)
        return Response(to_json(schema.render_one(view)), 200, headers, resources.JSON)

    return await ctx.call(work)


@router.patch(
    "/{sgr_id}",
    **describe(
        "change_security_group_rule",
        "Change a rule's description",
        answer=schema.RuleOut,
        body=schema.RulePatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_rule(
    request: Request, sg_id: GroupId, sgr_id: RuleId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a rule's description; what it allows never changes."""
    limit = context(request).config.body_limit
    body, raw = await bodies.read_model(request, schema.RulePatch, limit)
    part = resources.Part(
        lambda services, who, expected: services.group_rules.describe(
            who, sg_id, sgr_id, body.description, expected
        ),
        schema.render_one,
        raw,
    )
    return await resources.change_part(request, KIND, sg_id, part, query)


@router.delete(
    "/{sgr_id}",
    **describe(
        "delete_security_group_rule",
        "Delete a rule",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_rule(
    request: Request, sg_id: GroupId, sgr_id: RuleId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a rule: what it alone allowed ends at once, unless the group keeps it."""
    part = resources.Part(
        lambda services, who, expected: services.group_rules.delete(who, sg_id, sgr_id, expected),
        None,
    )
    return await resources.change_part(request, KIND, sg_id, part, query)
