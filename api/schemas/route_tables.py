"""Route tables as the API shows and takes them."""

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from api.schemas.common import (
    Cidr,
    Description,
    Input,
    Name,
    Output,
    PageOut,
    ResourceOut,
    Tags,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from vpcctl.services.routing_views import (
    RouteTableChange,
    RouteTableCreate,
    RouteTableView,
    RouteView,
    RouteWanted,
)

MOST_ROUTES = 1000
"""Routes in one request; the quota says how many a table may have."""

_Id = Annotated[str, Field(max_length=64)]
_DESTINATION = Field(
    description="A block without host bits; the longest that holds a packet's destination decides. "
    "It may hold the VPC's own blocks, which go before, but not lie in one.",
    examples=["0.0.0.0/0"],
)

_Name = Annotated[Name, no_id_of("rtb")]


class TableRouteIn(Input):
    """A route."""

    destination: Cidr = _DESTINATION
    targets: Annotated[list[_Id], Field(max_length=64)] = Field(
        default_factory=list,
        description="Ids of internet gateways, NAT gateways or ports of the VPC. Several share the "
        "connections; with none the route is a blackhole.",
        examples=[["igw-0a1b2c3d4e5f60718"]],
    )
    description: Description = ""

    def to_wanted(self, at: str = "") -> RouteWanted:
        """Return the service's value of the route that stands at *at* in the request."""
        return RouteWanted(self.destination, tuple(self.targets), self.description, at)


class TableRoutesIn(
    RootModel[Annotated[list[TableRouteIn], Field(min_length=1, max_length=MOST_ROUTES)]]
):
    """Several routes: all of them, or none."""


class TableRouteOrRoutesIn(RootModel[TableRouteIn | TableRoutesIn]):
    """One route, or an array of routes: all of them, or none."""


_Routes = Annotated[
    list[TableRouteIn],
    Field(
        max_length=MOST_ROUTES,
        description="Its routes; what none holds is dropped.",
        examples=[[{"destination": "0.0.0.0/0", "targets": ["igw-0a1b2c3d4e5f60718"]}]],
    ),
]


def to_wanted(body: TableRouteIn | TableRoutesIn) -> tuple[RouteWanted, ...]:
    """Return the service's values of one route or several."""
    if isinstance(body, TableRoutesIn):
        return _wanted(body.root)
    return (body.to_wanted(),)


def _wanted(found: list[TableRouteIn], at: str = "") -> tuple[RouteWanted, ...]:
    return tuple(route.to_wanted(f"{at}{number}") for number, route in enumerate(found))


class RouteTableIn(Input):
    """A new route table."""

    vpc_id: str = Field(
        max_length=64, description="The VPC it is in.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    routes: _Routes = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> RouteTableCreate:
        """Return the service's value."""
        routes = _wanted(self.routes, "routes.")
        return RouteTableCreate(self.vpc_id, routes, self.name, self.description, self.tags)


class RouteTablePatch(Input):
    """A partial change of a route table; absent fields stay, `routes` is the whole new list."""

    routes: _Routes = Field(default_factory=list)
    main: bool = Field(
        default=False,
        description="True makes it the main table of its VPC, in the place of the one that is; "
        "both in one step. A main table stops being it only by another one's becoming it.",
        examples=[True],
    )
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> RouteTableChange:
        """Return the service's value."""
        given = changes(self)
        if "routes" in given:
            given["routes"] = _wanted(self.routes, "routes.")
        return RouteTableChange(**given)


class TargetStateOut(Output):
    """Whether a target of a route gets packets."""

    id: str = Field(description="The target.", examples=["igw-0a1b2c3d4e5f60718"])
    state: Literal["live", "dead"] = Field(
        description="dead: the others share what would be its.", examples=["live"]
    )
    reason: str | None = Field(
        description="Why it is dead, null when it lives.", examples=["it is on no host"]
    )


class TableRouteOut(Output):
    """A route."""

    destination: str = _DESTINATION
    targets: list[str] = Field(
        description="Where it leads; several share the connections, none is a blackhole.",
        examples=[["igw-0a1b2c3d4e5f60718"]],
    )
    target_states: list[TargetStateOut] = Field(
        description="Which of its targets live.",
        examples=[[{"id": "igw-0a1b2c3d4e5f60718", "state": "live", "reason": None}]],
    )
    description: str = Field(description="Free text.", examples=["To the office."])


class RouteTableLineOut(ResourceOut):
    """A route table without its routes, as lists show it."""

    id: str = id_field("rtb", "Id of the route table.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    main: bool = Field(
        description="Whether it is that of the VPC's subnets that name none.", examples=[True]
    )
    route_count: int = Field(description="How many routes it has.", examples=[1])
    subnet_count: int = Field(description="How many subnets name it.", examples=[0])


class RouteTableOut(RouteTableLineOut):
    """A route table: where packets of its subnets go that leave the VPC's own blocks."""

    routes: list[TableRouteOut] = Field(
        description="Its routes, by family, address and length.", examples=[[]]
    )


class RouteTablePage(PageOut[RouteTableLineOut]):
    """One page of route tables, without their routes."""


def render(view: RouteTableView) -> dict[str, Any]:
    """Return *view* as :class:`RouteTableOut` or :class:`RouteTableLineOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["main"] = view.main
    body["route_count"] = view.route_count
    body["subnet_count"] = view.subnet_count
    if view.routes is not None:
        body["routes"] = [_render_route(route) for route in view.routes]
    return body


def _render_route(view: RouteView) -> dict[str, Any]:
    return {
        "destination": str(view.destination),
        "targets": list(view.targets),
        "target_states": [
            {
                "id": target.id,
                "state": "live" if target.dead is None else "dead",
                "reason": target.dead,
            }
            for target in view.states
        ],
        "description": view.description,
    }
