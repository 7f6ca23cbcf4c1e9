"""Route tables over HTTP."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import RouteTableId
from api.schemas import route_tables as schema
from vpcctl.services.routing_views import RouteTableChange, RouteWanted

KIND = resources.Kind("rtb", "route-tables", lambda services: services.route_tables, schema.render)

router = Router(prefix="/v1/route-tables", tags=["route tables"])


class Filters(ListQuery):
    """What route tables can be filtered by."""

    name: Text | None = equal("name", "main")
    tenant_id: Text | None = equal("tenant", "acme")
    vpc_id: Text | None = equal("VPC", "vpc-0a1b2c3d4e5f60718")


class Removal(WriteQuery):
    """Which routes to take out of a table."""

    destination: list[Annotated[str, Field(max_length=64)]] = Field(
        min_length=1,
        max_length=100,
        description="A route's destination; may be given several times.",
        examples=[["0.0.0.0/0"]],
    )


@router.post(
    "",
    **describe(
        "create_route_table",
        "Create a route table",
        status=201,
        answer=schema.RouteTableOut,
        body=schema.RouteTableIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_route_table(request: Request, query: Annotated[WriteQuery, Query()]) -> Response:
    """Create a route table with its first routes: all of it, or nothing."""
    return await resources.create(request, KIND, schema.RouteTableIn, query)


@router.get("", **describe("list_route_tables", "List route tables", answer=schema.RouteTablePage))
async def list_route_tables(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the route tables that the token may see, without their routes, oldest first."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{rtb_id}",
    **describe(
        "get_route_table",
        "Show a route table",
        answer=schema.RouteTableOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_route_table(
    request: Request, rtb_id: RouteTableId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one route table with its routes."""
    return await resources.show(request, KIND, rtb_id)


@router.patch(
    "/{rtb_id}",
    **describe(
        "change_route_table",
        "Change a route table",
        answer=schema.RouteTableOut,
        body=schema.RouteTablePatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_route_table(
    request: Request, rtb_id: RouteTableId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change a route table; `routes` is the whole new list."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.RouteTablePatch, limit)
    return await resources.change(request, KIND, rtb_id, body.to_change(), query)


@router.delete(
    "/{rtb_id}",
    **describe(
        "delete_route_table",
        "Delete a route table",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_route_table(
    request: Request, rtb_id: RouteTableId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete a route table; 409 names the subnets that have it. A main one goes with its VPC."""
    return await resources.delete(request, KIND, rtb_id, query)


@router.post(
    "/{rtb_id}/routes",
    **describe(
        "add_routes",
        "Add routes to a route table",
        answer=schema.RouteTableOut,
        body=schema.TableRouteOrRoutesIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY, IF_MATCH),
    ),
)
async def add_routes(
    request: Request, rtb_id: RouteTableId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Add one route, or an array: all, or none; a destination that is there already is 409."""
    part = await _part(request, rtb_id, lambda routes: RouteTableChange(add=routes))
    return await resources.add(request, KIND, rtb_id, part, query)


@router.put(
    "/{rtb_id}/routes",
    **describe(
        "put_routes",
        "Replace routes of a route table",
        answer=schema.RouteTableOut,
        body=schema.TableRouteOrRoutesIn,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def put_routes(
    request: Request, rtb_id: RouteTableId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Replace the routes with these destinations, or add them: all at once, or none.

    Routes to other destinations stay; PATCH of the table replaces all of them.
    """
    part = await _part(request, rtb_id, lambda routes: RouteTableChange(put=routes))
    return await resources.change_part(request, KIND, rtb_id, part, query)


@router.delete(
    "/{rtb_id}/routes",
    **describe(
        "remove_routes",
        "Take routes out of a route table",
        answer=schema.RouteTableOut,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def remove_routes(
    request: Request, rtb_id: RouteTableId, query: Annotated[Removal, Query()]
) -> Response:
    """Take out the routes to these destinations: all, or none; one that is not there is 404."""
    change = RouteTableChange(remove=tuple(query.destination))
    return await resources.change(request, KIND, rtb_id, change, query)


async def _part(
    request: Request, rtb_id: str, make: Callable[[tuple[RouteWanted, ...]], RouteTableChange]
) -> resources.Part:
    """Return the change of a table that the routes in the body make."""
    raw = await bodies.read_json(request, context(request).config.body_limit)
    is_array = raw.lstrip().startswith(b"[")
    body = bodies.parse(raw, schema.TableRoutesIn if is_array else schema.TableRouteIn)
    change = make(schema.to_wanted(body))
    return resources.Part(
        lambda services, who, expected: services.route_tables.change(who, rtb_id, change, expected),
        schema.render,
        raw,
    )
