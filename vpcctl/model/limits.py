"""Limits of bandwidth and packet rate."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What passes through a port or an EIP at most; directions are seen from the workload.

    Attributes:
        number: names the four meters, 1 … 2**15-1, unique among all limits.
        ingress_kbps: towards the workload, in 1,000 bit/s; None: unlimited.
        egress_kbps: from the workload.
        ingress_pps: towards the workload, packets a second.
        egress_pps: from the workload.
    """

    number: int
    ingress_kbps: int | None = None
    egress_kbps: int | None = None
    ingress_pps: int | None = None
    egress_pps: int | None = None
