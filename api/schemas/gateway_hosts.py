"""Where gateways are realised, as the API shows it."""

from typing import Any, Literal

from pydantic import Field

from api.schemas.common import Output, id_field
from vpcctl.services.routing_views import GatewayHostsView


class GatewayHostOut(Output):
    """A host that stands for a gateway."""

    host_id: str = id_field("host", "The host.")
    state: Literal["active", "standby", "unseen", "down", "draining", "drained"] = Field(
        description="active: carries the gateway's traffic; standby: takes over when those before "
        "it die; unseen: it would, but not all hosts that rely on it see it yet (BFD takes a "
        "second or two), or any more; down: it is taken to be dead; draining: it is on its way "
        "out, and goes on with what still comes to it until everybody knows who follows; drained: "
        "it would be on its way out if another one lived.",
        examples=["active"],
    )


class PlacementOut(Output):
    """Where a gateway is realised."""

    hosts: list[GatewayHostOut] = Field(
        description="At most three beside draining ones, in the order in which they take over.",
        examples=[[{"host_id": "host-0a1b2c3d4e5f60718", "state": "active"}]],
    )
    active_host_id: str | None = Field(
        description="The one that carries its traffic; null: none lives.",
        examples=["host-0a1b2c3d4e5f60718"],
    )
    since_revision: int | None = Field(
        description="Revision since which it has its place; null: it has not confirmed that yet.",
        examples=[1042],
    )
    waits_for: list[str] = Field(
        description="Hosts that have to confirm what they have been told before those that are "
        "draining go on leaving.",
        examples=[[]],
    )


def render_placement(view: GatewayHostsView) -> dict[str, Any]:
    """Return *view* as :class:`PlacementOut` describes it."""
    return {
        "hosts": [{"host_id": one.host_id, "state": one.state} for one in view.hosts],
        "active_host_id": view.active_host_id,
        "since_revision": view.since_revision,
        "waits_for": list(view.waits_for),
    }
