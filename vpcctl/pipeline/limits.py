"""Limits of what a port or an EIP sends and gets, as meters: two in each direction.

A limit's number n has the meters 4n … 4n + 3: ingress in kbit/s, egress in kbit/s, ingress in
packets a second, egress in packets a second.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Resubmit
from vpcctl.flows.flow import Flow
from vpcctl.flows.meter import LIMITS, Meter
from vpcctl.model.limits import Limits
from vpcctl.pipeline.terms import mark, with_flag

LEAST_KBIT, LEAST_PACKETS = 1024, 20
"""What may always come at once. The kernel's datapath sees up to 64 KiB as one packet, before it is
segmented; a smaller bucket would never let one pass."""
_PER_S = 10
"""A bucket holds what comes in this part of a second, if that is more."""

Meters = tuple[Meter | None, Meter | None]
"""The first is there whenever the second is."""


def egress(limits: Limits | None) -> Meters:
    """Return the meters of what a workload sends."""
    if limits is None:
        return None, None
    return _pair(limits.number, 1, limits.egress_kbps, limits.egress_pps)


def ingress(limits: Limits | None) -> Meters:
    """Return the meters of what a workload gets."""
    if limits is None:
        return None, None
    return _pair(limits.number, 0, limits.ingress_kbps, limits.ingress_pps)


def metered(flow: Flow, meters: Meters) -> Iterator[Flow]:
    """Yield *flow* with meters; where there are two, a packet goes through its table twice."""
    first, second = meters
    if second is None:
        yield flow._replace(meter=first)
        return
    again = (mark(f.METERED), Resubmit(flow.table))
    before = with_flag(flow.match, f.METERED, 0)
    yield flow._replace(match=before, actions=again, goto=None, meter=first)
    done = (mark(f.METERED, 0), *flow.actions)
    yield flow._replace(match=with_flag(flow.match, f.METERED), actions=done, meter=second)


def _pair(number: int, direction: int, kbps: int | None, pps: int | None) -> Meters:
    first = LIMITS.start * number + direction
    found: list[Meter | None] = []
    if kbps is not None:
        found.append(Meter(first, "kbps", kbps, max(kbps // _PER_S, LEAST_KBIT)))
    if pps is not None:
        found.append(Meter(first + 2, "pktps", pps, max(pps // _PER_S, LEAST_PACKETS)))
    one, other, *_ = (*found, None, None)
    return one, other
