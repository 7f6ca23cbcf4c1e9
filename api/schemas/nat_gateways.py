"""NAT gateways and their port forwards as the API shows and takes them."""

from datetime import datetime
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
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from api.schemas.gateway_hosts import PlacementOut, render_placement
from api.schemas.traffic import Ports
from vpcctl.services import traffic
from vpcctl.services.routing_views import (
    ForwardsView,
    ForwardView,
    ForwardWanted,
    NatCountersView,
    NatGatewayChange,
    NatGatewayCreate,
    NatGatewayView,
    PortsInUse,
)

_Id = Annotated[str, Field(max_length=64)]
_Eips = Annotated[
    list[_Id],
    Field(
        max_length=64,
        description="Its EIPs, of its external network, which nothing else uses: one or more. "
        "Several share the connections by their source.",
        examples=[["eip-0a1b2c3d4e5f60718"]],
    ),
]
_PROTOCOL = Field(description="Transport protocol.", examples=["tcp"])

_Name = Annotated[Name, no_id_of("nat")]


class NatGatewayIn(Input):
    """A new NAT gateway."""

    vpc_id: str = Field(
        max_length=64, description="The VPC it is in.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    external_network_id: str = Field(
        max_length=64,
        description="The external network that it leads to.",
        examples=["ext-0a1b2c3d4e5f60718"],
    )
    eip_ids: _Eips
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> NatGatewayCreate:
        """Return the service's value."""
        return NatGatewayCreate(
            self.vpc_id,
            self.external_network_id,
            tuple(self.eip_ids),
            self.name,
            self.description,
            self.tags,
        )


class NatGatewayPatch(Input):
    """A partial change of a NAT gateway; absent fields stay, `eip_ids` is the whole new list."""

    eip_ids: _Eips = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> NatGatewayChange:
        """Return the service's value."""
        return NatGatewayChange(**changes(self))


class ForwardIn(Input):
    """A new port forward."""

    eip_id: _Id | None = Field(
        default=None,
        description="One of the gateway's EIPs; null: its only one.",
        examples=["eip-0a1b2c3d4e5f60718"],
    )
    protocol: Literal["tcp", "udp"] = _PROTOCOL
    ports: Ports = Field(
        description="Port or range of the EIP that no other forward of the protocol has.",
        examples=["443"],
    )
    address: Address = Field(
        description="A fixed IPv4 address of a port of the gateway's VPC.", examples=["10.0.1.20"]
    )
    target_port: int | None = Field(
        default=None,
        ge=1,
        le=traffic.LARGEST_PORT,
        description="What the first port becomes, the others follow it; null: the same ports.",
        examples=[8443],
    )
    description: Description = ""

    def to_wanted(self) -> ForwardWanted:
        """Return the service's value."""
        return ForwardWanted(
            self.protocol,
            self.ports,
            self.address,
            self.eip_id,
            self.target_port,
            self.description,
        )


class ForwardOut(Output):
    """A port forward of a NAT gateway."""

    id: str = id_field("fwd", "Id of the port forward.")
    eip_id: str = id_field("eip", "The EIP whose ports it forwards.")
    eip_address: str = Field(description="The EIP's address.", examples=["203.0.113.7"])
    protocol: Literal["tcp", "udp"] = _PROTOCOL
    ports: str = Field(description="Port or range of the EIP.", examples=["443"])
    address: str = Field(description="Where they lead.", examples=["10.0.1.20"])
    port_id: str = id_field("port", "The port that has that address.")
    target_ports: str = Field(description="What the ports become.", examples=["8443"])
    description: str = Field(description="Free text.", examples=["The shop."])
    created_at: datetime = Field(
        description="When it was made (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    warning: str | None = Field(
        description="Why nobody outside gets an answer through it, although it is realised: the "
        "port's route table has no IPv4 route to the NAT gateway. null: it has.",
        examples=[None],
    )


class GatewayEipOut(Output):
    """An EIP of a NAT gateway."""

    id: str = id_field("eip", "Id of the EIP.")
    address: str = Field(description="Its address.", examples=["203.0.113.7"])


class PortsInUseOut(Output):
    """How many ports of an EIP are in use."""

    eip_id: str = id_field("eip", "The EIP.")
    address: str = Field(description="Its address.", examples=["203.0.113.7"])
    in_use: int = Field(
        description="TCP and UDP ports; one that leads to several places counts once.",
        examples=[812],
    )


class NatCountersOut(Output):
    """What the active host of a NAT gateway has counted of it."""

    connections: int | None = Field(
        description="Connections that there are now, in both directions; null: its host has too "
        "many in all to count those of one gateway.",
        examples=[1040],
    )
    ports: list[PortsInUseOut] | None = Field(
        description="Ports in use by EIP; null: its host has too many connections in all to look "
        "at each.",
        examples=[[{"eip_id": "eip-0a1b2c3d4e5f60718", "address": "203.0.113.7", "in_use": 812}]],
    )
    failures: int | None = Field(
        description="Packets of new connections for which no port was left, since the gateway is "
        "active on its host; null: the host's datapath does not say.",
        examples=[0],
    )
    reported_at: datetime = Field(
        description="When the host reported last (RFC 3339, UTC).",
        examples=["2026-01-31T12:00:00Z"],
    )


class NatGatewayLineOut(ResourceOut):
    """A NAT gateway without its port forwards, as lists show it."""

    id: str = id_field("nat", "Id of the NAT gateway.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    external_network_id: str = id_field("ext", "The external network that it leads to.")
    eips: list[GatewayEipOut] = Field(
        description="Its EIPs, oldest first.",
        examples=[[{"id": "eip-0a1b2c3d4e5f60718", "address": "203.0.113.7"}]],
    )
    forward_count: int = Field(description="How many port forwards it has.", examples=[1])
    placement: PlacementOut = Field(
        description="Where it is realised.",
        examples=[{"hosts": [], "active_host_id": None, "since_revision": None}],
    )
    counters: NatCountersOut | None = Field(
        description="What its active host has counted; null: nothing yet.", examples=[None]
    )


class NatGatewayOut(NatGatewayLineOut):
    """A NAT gateway: the way out for subnets without EIPs, and port forwards into them."""

    forwards: list[ForwardOut] = Field(
        description="Its port forwards, oldest first.", examples=[[]]
    )


class NatGatewayPage(PageOut[NatGatewayLineOut]):
    """One page of NAT gateways, without their port forwards."""


def render(view: NatGatewayView) -> dict[str, Any]:
    """Return *view* as :class:`NatGatewayOut` or :class:`NatGatewayLineOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["external_network_id"] = view.external_network_id
    body["eips"] = [{"id": eip.id, "address": str(eip.address)} for eip in view.eips]
    body["forward_count"] = view.forward_count
    body["placement"] = render_placement(view.placement)
    body["counters"] = None if view.counters is None else _render_counters(view.counters)
    if view.forwards is not None:
        body["forwards"] = [render_forward(forward) for forward in view.forwards]
    return body


def _render_counters(view: NatCountersView) -> dict[str, Any]:
    ports = None if view.ports is None else [_render_ports(one) for one in view.ports]
    return {
        "connections": view.connections,
        "ports": ports,
        "failures": view.failures,
        "reported_at": view.reported_at,
    }


def _render_ports(view: PortsInUse) -> dict[str, Any]:
    return {"eip_id": view.eip.id, "address": str(view.eip.address), "in_use": view.count}


def render_forward(view: ForwardView) -> dict[str, Any]:
    """Return *view* as :class:`ForwardOut` describes it."""
    return {
        "id": view.id,
        "eip_id": view.eip_id,
        "eip_address": str(view.eip_address),
        "protocol": view.protocol,
        "ports": traffic.ports_text(view.ports),
        "address": str(view.address),
        "port_id": view.port_id,
        "target_ports": traffic.ports_text(view.target_ports),
        "description": view.description,
        "created_at": view.created_at,
        "warning": view.warning,
    }


def render_made(view: ForwardsView) -> dict[str, Any]:
    """Return the one port forward of *view*."""
    (forward,) = view.forwards
    return render_forward(forward)
