"""Counters of a port."""

from typing import Any

from pydantic import Field

from api.schemas.common import Output, id_field
from vpcctl.model.counters import Count, Side
from vpcctl.services.counters import CountersView

_PACKETS = Field(description="Packets.", examples=[128])
_SIDE = {
    "allowed": {"packets": 128, "bytes": 12544},
    "dropped": [{"reason": "ingress-denied", "packets": 3, "bytes": 222}],
}
_BYTES = Field(description="Bytes of whole Ethernet frames.", examples=[12544])


class CountOut(Output):
    """Packets and bytes."""

    packets: int = _PACKETS
    bytes: int = _BYTES


class DropOut(Output):
    """What was dropped for one reason."""

    reason: str = Field(
        description="Why: `egress-denied`, `ingress-denied` (no rule of the port's groups "
        "allows it), `egress-invalid`, `ingress-invalid` (of no connection), `acl-out-denied`, "
        "`acl-in-denied` (a network ACL), `own-address` (it asks who has its own address, or "
        "sends to it), `admin-down`, `spoofed-nd` (of a port that forwards others' packets).",
        examples=["ingress-denied"],
    )
    packets: int = _PACKETS
    bytes: int = _BYTES


class SideOut(Output):
    """One direction, said from the workload's side."""

    allowed: CountOut = Field(
        description="What reached the port's filter and passed it. Address resolution does not "
        "go there.",
        examples=[{"packets": 128, "bytes": 12544}],
    )
    dropped: list[DropOut] = Field(
        description="What was dropped, by reason; reasons without packets are there too.",
        examples=[[{"reason": "ingress-denied", "packets": 3, "bytes": 222}]],
    )


class RuleCountOut(Output):
    """What a rule has let pass, in both directions of the connections that it allows."""

    id: str = Field(description="Id of the rule.", examples=["sgr-0a1b2c3d4e5f60718"])
    group_id: str = Field(description="Its security group.", examples=["sg-0a1b2c3d4e5f60718"])
    packets: int = _PACKETS
    bytes: int = _BYTES


class CountersOut(Output):
    """What a port's host has counted since the port's flows are there."""

    port_id: str = id_field("port", "The port.")
    host_id: str = id_field("host", "Where it is, and where this was counted.")
    egress: SideOut = Field(description="What the port sent.", examples=[_SIDE])
    ingress: SideOut = Field(description="What was for the port.", examples=[_SIDE])
    rules: list[RuleCountOut] = Field(
        description="Of the port's groups: what each rule let pass at all ports on this host.",
        examples=[[]],
    )


def render(view: CountersView) -> dict[str, Any]:
    """Return *view* as :class:`CountersOut` describes it."""
    found = view.counters
    return {
        "port_id": view.port_id,
        "host_id": view.host_id,
        "egress": _side(found.egress),
        "ingress": _side(found.ingress),
        "rules": [
            {"id": one.rule_id, "group_id": one.group_id, **_count(one.count)}
            for one in found.rules
        ],
    }


def _side(side: Side) -> dict[str, Any]:
    dropped = [{"reason": reason, **_count(count)} for reason, count in side.dropped.items()]
    return {"allowed": _count(side.allowed), "dropped": dropped}


def _count(count: Count) -> dict[str, int]:
    return {"packets": count.packets, "bytes": count.bytes}
