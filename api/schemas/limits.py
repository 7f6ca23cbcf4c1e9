"""Limits of bandwidth and packet rate as the API shows and takes them."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.common import Input, Output
from vpcctl.services.limit_values import MOST
from vpcctl.services.views import LimitValues

_Rate = Annotated[int, Field(ge=1, le=MOST)]
_IN_KBPS = "Towards the workload, 1,000 bit/s; null: unlimited."
_OUT_KBPS = "From the workload, 1,000 bit/s; null: unlimited."
_IN_PPS = "Towards the workload, packets a second; null: unlimited."
_OUT_PPS = "From the workload, packets a second; null: unlimited."
EXAMPLE = {"ingress_kbps": 100_000, "egress_kbps": 50_000, "ingress_pps": None, "egress_pps": None}


class LimitsIn(Input):
    """Limits of what passes; what is not given is unlimited."""

    ingress_kbps: _Rate | None = Field(default=None, description=_IN_KBPS, examples=[100_000])
    egress_kbps: _Rate | None = Field(default=None, description=_OUT_KBPS, examples=[50_000])
    ingress_pps: _Rate | None = Field(default=None, description=_IN_PPS, examples=[None])
    egress_pps: _Rate | None = Field(default=None, description=_OUT_PPS, examples=[None])

    def to_values(self) -> LimitValues:
        """Return the service's value."""
        return LimitValues(self.ingress_kbps, self.egress_kbps, self.ingress_pps, self.egress_pps)


class LimitsOut(Output):
    """Limits of what passes."""

    ingress_kbps: int | None = Field(description=_IN_KBPS, examples=[100_000])
    egress_kbps: int | None = Field(description=_OUT_KBPS, examples=[50_000])
    ingress_pps: int | None = Field(description=_IN_PPS, examples=[None])
    egress_pps: int | None = Field(description=_OUT_PPS, examples=[None])


def limits_field(what: str) -> Any:
    """Return the field of a request that limits *what*."""
    return Field(
        default=None, description=f"Limits of what passes {what}; null: none.", examples=[EXAMPLE]
    )


def to_values(limits: LimitsIn | None) -> LimitValues | None:
    """Return the service's value of limits that may be absent."""
    return None if limits is None else limits.to_values()


def render_limits(view: LimitValues | None) -> dict[str, Any] | None:
    """Return *view* as :class:`LimitsOut` describes it."""
    if view is None:
        return None
    return {
        "ingress_kbps": view.ingress_kbps,
        "egress_kbps": view.egress_kbps,
        "ingress_pps": view.ingress_pps,
        "egress_pps": view.egress_pps,
    }
