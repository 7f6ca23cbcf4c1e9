"""External networks over HTTP."""

from typing import Annotated

from fastapi import Query, Request, Response

from api import bodies, resources
from api.context import context
from api.openapi import IDEMPOTENCY_KEY, IF_MATCH, describe
from api.queries import ListQuery, NoQuery, Text, WriteQuery, equal
from api.router import Router
from api.routers.paths import ExternalNetworkId
from api.schemas import external_networks as schema

KIND = resources.Kind(
    "ext", "external-networks", lambda services: services.external_networks, schema.render
)

router = Router(prefix="/v1/external-networks", tags=["external networks"])


class Filters(ListQuery):
    """What external networks can be filtered by."""

    name: Text | None = equal("name", "isp-100")
    provider: Text | None = equal("provider network", "isp")


@router.post(
    "",
    **describe(
        "create_external_network",
        "Create an external network",
        status=201,
        answer=schema.ExternalNetworkOut,
        body=schema.ExternalNetworkIn,
        refuses=(404, 409, 504),
        headers=("ETag", "Vpcctl-Revision", "Location", "Idempotency-Replayed"),
        parameters=(IDEMPOTENCY_KEY,),
    ),
)
async def create_external_network(
    request: Request, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Describe a network of a provider, which hosts that know the provider reach. Admins only."""
    return await resources.create(request, KIND, schema.ExternalNetworkIn, query)


@router.get(
    "",
    **describe(
        "list_external_networks", "List external networks", answer=schema.ExternalNetworkPage
    ),
)
async def list_external_networks(request: Request, query: Annotated[Filters, Query()]) -> Response:
    """List the external networks, oldest first; every tenant sees them."""
    return await resources.index(request, KIND, query)


@router.get(
    "/{ext_id}",
    **describe(
        "get_external_network",
        "Show an external network",
        answer=schema.ExternalNetworkOut,
        refuses=(404,),
        headers=("ETag",),
    ),
)
async def get_external_network(
    request: Request, ext_id: ExternalNetworkId, _query: Annotated[NoQuery, Query()]
) -> Response:
    """Show one external network and the hosts that reach it."""
    return await resources.show(request, KIND, ext_id)


@router.patch(
    "/{ext_id}",
    **describe(
        "change_external_network",
        "Change an external network",
        answer=schema.ExternalNetworkOut,
        body=schema.ExternalNetworkPatch,
        refuses=(404, 409, 412, 504),
        headers=("ETag", "Vpcctl-Revision"),
        parameters=(IF_MATCH,),
    ),
)
async def change_external_network(
    request: Request, ext_id: ExternalNetworkId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Change an external network; `pools` is the whole new list, 409 names EIPs that it lacks."""
    limit = context(request).config.body_limit
    body, _ = await bodies.read_model(request, schema.ExternalNetworkPatch, limit)
    return await resources.change(request, KIND, ext_id, body.to_change(), query)


@router.delete(
    "/{ext_id}",
    **describe(
        "delete_external_network",
        "Delete an external network",
        status=204,
        refuses=(404, 409, 412, 504),
        headers=("Vpcctl-Revision",),
        parameters=(IF_MATCH,),
    ),
)
async def delete_external_network(
    request: Request, ext_id: ExternalNetworkId, query: Annotated[WriteQuery, Query()]
) -> Response:
    """Delete an external network; 409 names the EIPs and gateways that use it."""
    return await resources.delete(request, KIND, ext_id, query)
