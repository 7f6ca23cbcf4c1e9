"""Internet gateways as the API shows and takes them."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import (
    Description,
    Input,
    Name,
    PageOut,
    ResourceOut,
    Tags,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from api.schemas.gateway_hosts import PlacementOut, render_placement
from vpcctl.services.outside_views import (
    InternetGatewayChange,
    InternetGatewayCreate,
    InternetGatewayView,
)

_Name = Annotated[Name, no_id_of("igw")]


class InternetGatewayIn(Input):
    """A new internet gateway."""

    vpc_id: str = Field(
        max_length=64, description="The VPC that it leads from.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    external_network_id: str = Field(
        max_length=64,
        description="The external network that it leads to, one gateway for each.",
        examples=["ext-0a1b2c3d4e5f60718"],
    )
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> InternetGatewayCreate:
        """Return the service's value."""
        return InternetGatewayCreate(
            self.vpc_id, self.external_network_id, self.name, self.description, self.tags
        )


class InternetGatewayPatch(Input):
    """A partial change of an internet gateway; VPC and external network are for good."""

    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> InternetGatewayChange:
        """Return the service's value."""
        return InternetGatewayChange(**changes(self))


class InternetGatewayOut(ResourceOut):
    """An internet gateway: the way between a VPC and an external network."""

    id: str = id_field("igw", "Id of the internet gateway.")
    vpc_id: str = id_field("vpc", "The VPC that it leads from.")
    external_network_id: str = id_field("ext", "The external network that it leads to.")
    placement: PlacementOut = Field(
        description="Gateway hosts for ports whose hosts do not reach the external network.",
        examples=[{"hosts": [], "active_host_id": None, "since_revision": None}],
    )
    distributed_host_ids: list[str] | None = Field(
        description="Hosts with ports of the VPC that reach the external network themselves, and "
        "need no gateway host; null in lists.",
        examples=[["host-0a1b2c3d4e5f60718"]],
    )


class InternetGatewayPage(PageOut[InternetGatewayOut]):
    """One page of internet gateways."""


def render(view: InternetGatewayView) -> dict[str, Any]:
    """Return *view* as :class:`InternetGatewayOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["external_network_id"] = view.external_network_id
    body["placement"] = render_placement(view.placement)
    themselves = view.distributed_host_ids
    body["distributed_host_ids"] = None if themselves is None else list(themselves)
    return body
