"""Hosts as the API shows and takes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import (
    Address,
    Description,
    Input,
    Output,
    PageOut,
    ResourceOut,
    Tags,
    Zone,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from vpcctl.services.views import HostChange, HostCreate, HostView

_HostName = Annotated[
    str,
    Field(min_length=1, max_length=128, description="Name for people.", examples=["hv-1"]),
    no_id_of("host"),
]


def _vtep() -> Any:
    return Field(
        default=None,
        description="Address of its VXLAN endpoint. Given, it is pinned: reports with another are "
        "refused. Null: the agent says.",
        examples=["192.0.2.11"],
    )


def _zone() -> Any:
    return Field(default=None, description="Availability zone, or null.", examples=["zone-a"])


_Gateway = Annotated[
    bool,
    Field(description="Gateways may be placed on it: it is a gateway host.", examples=[True]),
]


class HostIn(Input):
    """A new host."""

    name: _HostName
    vtep_address: Address | None = _vtep()
    availability_zone: Zone | None = _zone()
    gateway: _Gateway = False
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> HostCreate:
        """Return the service's value."""
        return HostCreate(
            self.name,
            self.vtep_address,
            self.availability_zone,
            self.gateway,
            self.description,
            self.tags,
        )


class HostPatch(Input):
    """A partial change of a host; absent fields stay, null clears."""

    vtep_address: Address | None = _vtep()
    availability_zone: Zone | None = _zone()
    gateway: _Gateway = False
    drained: bool = Field(
        default=False,
        description="Gateways are moved off it, and it gets no new ones.",
        examples=[True],
    )
    name: _HostName = "-"
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> HostChange:
        """Return the service's value."""
        return HostChange(**changes(self))


class WatchOut(Output):
    """A host that another one watches."""

    host_id: str = id_field("host", "The host.")
    up: bool = Field(description="Whether it lives, as the other one sees it.", examples=[True])


class HostOut(ResourceOut):
    """A host: a machine that runs Open vSwitch and the agent."""

    id: str = id_field("host", "Id of the host.")
    dpid: str = Field(
        description="OpenFlow datapath id of its br-int, 16 hex digits.",
        examples=["7663000000000001"],
    )
    vtep_address: str | None = Field(
        description="Address of its VXLAN endpoint; null until it is known.",
        examples=["192.0.2.11"],
    )
    availability_zone: str | None = Field(
        description="Availability zone, or null.", examples=["zone-a"]
    )
    agent_version: str | None = Field(description="Version of vpc-agent.", examples=["0.1.0"])
    ovs_version: str | None = Field(description="Version of ovs-vswitchd.", examples=["3.1.0"])
    datapath_type: str | None = Field(
        description="`system` (the kernel's) or `netdev` (userspace).", examples=["system"]
    )
    errors: list[str] = Field(
        description="Faults it reports that concern no one link.", examples=[[]]
    )
    last_report_at: datetime | None = Field(
        description="When it last reported (RFC 3339, UTC); null: never.",
        examples=["2026-01-31T12:00:00Z"],
    )
    state: Literal["up", "late", "down", "never"] = Field(
        description="By the age of its last report.", examples=["up"]
    )
    ports: int = Field(description="Ports that are on it now.", examples=[12])
    realized_revision: int = Field(
        description="Revision that its switch has acknowledged.", examples=[1042]
    )
    connection: Literal["in_sync", "pending", "degraded", "disconnected"] = Field(
        description="Its OpenFlow connection.", examples=["in_sync"]
    )
    connection_error: str | None = Field(
        description="What is wrong with the connection, or null.", examples=[None]
    )

    gateway: bool = Field(description="Whether gateways may be placed on it.", examples=[True])
    drained: bool = Field(description="Whether they are moved off it.", examples=[False])
    providers: list[str] = Field(
        description="Provider networks that its agent's settings name.", examples=[["isp"]]
    )
    external_network_ids: list[str] = Field(
        description="External networks that it reaches.", examples=[["ext-0a1b2c3d4e5f60718"]]
    )
    watches: list[WatchOut] = Field(
        description="Hosts that it watches, and whether they live.", examples=[[]]
    )
    meters: int = Field(
        description="OpenFlow meters that its datapath has; 0: no limit is enforced there.",
        examples=[200_000],
    )


class HostPage(PageOut[HostOut]):
    """One page of hosts."""


def render(view: HostView) -> dict[str, Any]:
    """Return *view* as :class:`HostOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["dpid"] = f"{view.dpid:016x}"
    body["vtep_address"] = None if view.vtep_address is None else str(view.vtep_address)
    body["availability_zone"] = view.availability_zone
    body["agent_version"] = view.agent_version
    body["ovs_version"] = view.ovs_version
    body["datapath_type"] = view.datapath_type
    body["errors"] = list(view.errors)
    body["last_report_at"] = view.last_report_at
    body["state"] = view.state
    body["ports"] = view.ports
    body["realized_revision"] = view.realized_revision
    body["connection"] = view.connection
    body["connection_error"] = view.connection_error
    body["gateway"] = view.gateway
    body["drained"] = view.drained
    body["providers"] = list(view.providers)
    body["external_network_ids"] = list(view.external_network_ids)
    body["watches"] = [{"host_id": host_id, "up": up} for host_id, up in view.watches]
    body["meters"] = view.meters
    return body
