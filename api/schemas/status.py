"""The network's state in numbers."""

from typing import Any

from pydantic import Field

from api.schemas.common import Output, id_field
from vpcctl.services.facade import Summary


class HostLineOut(Output):
    """One host's line."""

    id: str = id_field("host", "Id of the host.")
    name: str = Field(description="Its name.", examples=["hv-1"])
    state: str = Field(description="up, late, down or never: by report age.", examples=["up"])
    connection: str = Field(
        description="in_sync, pending, degraded or disconnected.", examples=["in_sync"]
    )
    error: str | None = Field(description="What is wrong with it, or null.", examples=[None])
    realized_revision: int = Field(
        description="Revision that its switch has acknowledged.", examples=[1042]
    )
    ports: int = Field(description="Ports that are on it now.", examples=[12])
    flows: int = Field(description="Flows that its switch holds.", examples=[480])


class SummaryOut(Output):
    """The whole network, or for a tenant what it may see of it."""

    revision: int = Field(description="Newest revision stored.", examples=[1042])
    processed_revision: int = Field(
        description="Revision up to which the southbound has read.", examples=[1042]
    )
    lag: int = Field(description="The difference of the two.", examples=[0])
    vpcs: int = Field(description="Number of VPCs.", examples=[2])
    subnets: int = Field(description="Number of subnets.", examples=[4])
    ports: int = Field(description="Number of ports.", examples=[24])
    located_ports: int = Field(description="Ports that are on a host now.", examples=[24])
    hosts: list[HostLineOut] = Field(description="One line for each host.", examples=[[]])


class HealthOut(Output):
    """A sign of life."""

    status: str = Field(description="Always `ok`.", examples=["ok"])


def render(summary: Summary) -> dict[str, Any]:
    """Return *summary* as :class:`SummaryOut` describes it."""
    names = ("revision", "processed_revision", "lag", "vpcs", "subnets", "ports", "located_ports")
    body: dict[str, Any] = {name: getattr(summary, name) for name in names}
    body["hosts"] = [
        {
            "id": host.id,
            "name": host.name,
            "state": host.state,
            "connection": host.connection,
            "error": host.error,
            "realized_revision": host.realized_revision,
            "ports": host.ports,
            "flows": host.flows,
        }
        for host in summary.hosts
    ]
    return body
