"""Events as the stream shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from api.schemas.common import Output
from vpcctl.services.views import EventView


class EventOut(Output):
    """One event; the stream's `id` is `<revision>.<sequence>`."""

    revision: int = Field(description="Revision it belongs to.", examples=[1042])
    sequence: int = Field(description="Its place within the revision.", examples=[0])
    time: datetime = Field(
        description="When it happened (RFC 3339, UTC).", examples=["2026-01-31T12:00:00Z"]
    )
    kind: str = Field(description="Kind of resource.", examples=["port"])
    action: Literal["created", "changed", "deleted", "warning"] = Field(
        description="What happened.", examples=["created"]
    )
    resource_id: str = Field(description="The resource.", examples=["port-0a1b2c3d4e5f60718"])
    tenant_id: str = Field(description="Its tenant; empty: the operator's.", examples=["acme"])
    detail: str = Field(
        description="More about it, in a sentence.", examples=["located on host hv-1"]
    )


def render(view: EventView) -> dict[str, Any]:
    """Return *view* as :class:`EventOut` describes it."""
    return {
        "revision": view.revision,
        "sequence": view.sequence,
        "time": view.time,
        "kind": view.kind,
        "action": view.action,
        "resource_id": view.resource_id,
        "tenant_id": view.tenant_id,
        "detail": view.detail,
    }
