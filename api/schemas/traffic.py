"""Protocols, ports and ICMP types as rules and ACL entries show and take them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.schemas.common import Input, Output
from vpcctl.services import traffic

Direction = Literal["ingress", "egress"]
_PROTOCOL_PATTERN = "^(any|tcp|udp|sctp|icmp|icmpv6|[0-9]{1,3})$"


def _protocol(value: Any) -> Any:
    """Return a name or number: a union of both would name the field after its branches."""
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError(
        "protocol", "Input should be {accepted}", {"accepted": traffic.PROTOCOLS}
    )


Protocol = Annotated[
    Any,
    BeforeValidator(_protocol),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PROTOCOL_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": 255},
                {"type": "null"},
            ]
        }
    ),
]
Ports = Annotated[str, Field(max_length=11, json_schema_extra={"pattern": "^[0-9]+(-[0-9]+)?$"})]


_SCTP = "SCTP is judged packet by packet, by stateful groups too: its answers need a rule."


class TrafficIn(Input):
    """Which packets, but for addresses."""

    protocol: Protocol = Field(
        default=None,
        description="IP protocol, by name (tcp, udp, sctp, icmp, icmpv6) or number; `any` or null "
        f"is every one. {_SCTP}",
        examples=["tcp"],
    )
    ports: Ports | None = Field(
        default=None,
        description="Destination port or range, for tcp, udp and sctp; null for all.",
        examples=["443", "1000-1999"],
    )
    icmp_type: int | None = Field(
        default=None,
        ge=0,
        le=255,
        description="For icmp and icmpv6; null for all.",
        examples=[8],
    )
    icmp_code: int | None = Field(
        default=None,
        ge=0,
        le=255,
        description="Only with a type; null for all.",
        examples=[0],
    )


class TrafficOut(Output):
    """Which packets, but for addresses."""

    protocol: str = Field(
        description="IP protocol by name, or by number where it has none here; `any` is every one. "
        + _SCTP,
        examples=["tcp"],
    )
    ports: str | None = Field(
        description="Destination port or range; null for all.", examples=["443"]
    )
    icmp_type: int | None = Field(description="ICMP type; null for all.", examples=[8])
    icmp_code: int | None = Field(description="ICMP code; null for all.", examples=[0])


def direction_field(ingress: str, egress: str) -> Any:
    """Return the description of a direction."""
    return Field(description=f"ingress: {ingress}; egress: {egress}.", examples=["ingress"])


def given(body: TrafficIn) -> dict[str, Any]:
    """Return the members of :class:`TrafficIn` for a service's value."""
    return {
        "protocol": body.protocol,
        "ports": body.ports,
        "icmp_type": body.icmp_type,
        "icmp_code": body.icmp_code,
    }


def render(view: Any) -> dict[str, Any]:
    """Return the members that :class:`TrafficOut` describes."""
    return {
        "protocol": traffic.protocol_text(view.protocol),
        "ports": traffic.ports_text(view.ports),
        "icmp_type": view.icmp_type,
        "icmp_code": view.icmp_code,
    }
