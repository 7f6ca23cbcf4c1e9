"""EIPs as the API shows and takes them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import (
    Address,
    Description,
    Input,
    Name,
    Output,
    PageOut,
    ResourceOut,
    Tags,
    TenantId,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from api.schemas.limits import (
    EXAMPLE,
    LimitsIn,
    LimitsOut,
    limits_field,
    render_limits,
    to_values,
)
from vpcctl.services.outside_views import Association, EipChange, EipCreate, EipView

_Id = Annotated[str, Field(max_length=64)]

_Name = Annotated[Name, no_id_of("eip")]


class EipIn(Input):
    """A new EIP."""

    external_network_id: _Id = Field(
        description="The external network whose address it is to be.",
        examples=["ext-0a1b2c3d4e5f60718"],
    )
    address: Address | None = Field(
        default=None,
        description="A free address of the network's pools; null: the next one.",
        examples=["203.0.113.17"],
    )
    limits: LimitsIn | None = limits_field("through it")
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)
    tenant_id: TenantId | None = Field(
        default=None,
        description="The owning tenant; only an admin may say it.",
        examples=["acme"],
    )

    def to_create(self) -> EipCreate:
        """Return the service's value."""
        return EipCreate(
            self.external_network_id,
            self.address,
            to_values(self.limits),
            self.name,
            self.description,
            self.tags,
            self.tenant_id,
        )


class EipPatch(Input):
    """A partial change of an EIP; absent fields stay, null clears."""

    limits: LimitsIn | None = limits_field("through it")
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> EipChange:
        """Return the service's value."""
        given = changes(self)
        if "limits" in given:
            given["limits"] = to_values(self.limits)
        return EipChange(**given)


class AssociationIn(Input):
    """What an EIP is to stand for."""

    port_id: _Id = Field(
        description="A port of the EIP's tenant, in a VPC with an internet gateway to the EIP's "
        "external network.",
        examples=["port-0a1b2c3d4e5f60718"],
    )
    fixed_ip: Address | None = Field(
        default=None,
        description="One of the port's IPv4 addresses; null: the first.",
        examples=["10.0.1.20"],
    )
    move: bool = Field(
        default=False,
        description="Take the EIP from what it stands for now; without, that is refused.",
        examples=[True],
    )

    def to_change(self) -> EipChange:
        """Return the service's value."""
        return EipChange(association=Association(self.port_id, self.fixed_ip, self.move))


class EipPlacementOut(Output):
    """Where an EIP is realised."""

    mode: Literal["distributed", "gateway"] | None = Field(
        description="distributed: on its port's host, which reaches the external network; gateway: "
        "on a gateway host; null: nowhere.",
        examples=["distributed"],
    )
    host_id: str | None = Field(
        description="The host that answers for it, or null.", examples=["host-0a1b2c3d4e5f60718"]
    )
    since_revision: int | None = Field(
        description="Revision since which it does; null: that host has not confirmed it yet.",
        examples=[1042],
    )
    limits_enforced: bool | None = Field(
        description="Whether that host can enforce the limits; null: there are none.",
        examples=[True],
    )


class EipOut(ResourceOut):
    """An EIP: an address of an external network that belongs to a tenant."""

    id: str = id_field("eip", "Id of the EIP.")
    external_network_id: str = id_field("ext", "The external network.")
    address: str = Field(description="The address.", examples=["203.0.113.17"])
    port_id: str | None = Field(
        description="The port that it stands for, or null.", examples=["port-0a1b2c3d4e5f60718"]
    )
    vpc_id: str | None = Field(
        description="The VPC of that port, or null.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    fixed_ip: str | None = Field(
        description="The port's address that it is translated to, or null.", examples=["10.0.1.20"]
    )
    nat_gateway_id: str | None = Field(
        description="The NAT gateway that uses it, or null.", examples=[None]
    )
    limits: LimitsOut | None = Field(
        description="Limits of what passes through it; null: none.", examples=[EXAMPLE]
    )
    placement: EipPlacementOut = Field(
        description="Where it is realised.",
        examples=[
            {
                "mode": "distributed",
                "host_id": "host-0a1b2c3d4e5f60718",
                "since_revision": 1042,
                "limits_enforced": True,
            }
        ],
    )
    warning: str | None = Field(
        description="Why nobody outside gets an answer from its port, although it is realised: the "
        "port's route table has no IPv4 route to the internet gateway. null: it has.",
        examples=[None],
    )


class EipPage(PageOut[EipOut]):
    """One page of EIPs."""


def render(view: EipView) -> dict[str, Any]:
    """Return *view* as :class:`EipOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["external_network_id"] = view.external_network_id
    body["address"] = str(view.address)
    body["port_id"] = view.port_id
    body["vpc_id"] = view.vpc_id
    body["fixed_ip"] = None if view.fixed_ip is None else str(view.fixed_ip)
    body["nat_gateway_id"] = view.nat_gateway_id
    body["limits"] = render_limits(view.limits)
    body["placement"] = {
        "mode": view.placement.mode,
        "host_id": view.placement.host_id,
        "since_revision": view.placement.since_revision,
        "limits_enforced": view.placement.limits_enforced,
    }
    body["warning"] = view.warning
    return body
