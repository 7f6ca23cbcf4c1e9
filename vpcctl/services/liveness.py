"""Is a host up? From the age of its last report. Pure."""

from datetime import datetime, timedelta

from vpcctl.services.views import HostLiveness

LATE_AFTER, DOWN_AFTER = 3, 6
"""Report intervals without a report after which a host is late, and down."""
SWITCH_LOST_AFTER = timedelta(seconds=20)
"""A switch that says nothing for 15 s is not connected any more (docs/southbound.md), so that much
after a host was cut off it is known that its switch cannot be told anything either."""


def thresholds(now: datetime, interval_s: float) -> tuple[datetime, datetime]:
    """Return the moments before which a last report means late, and down."""
    interval = timedelta(seconds=interval_s)
    return now - LATE_AFTER * interval, now - DOWN_AFTER * interval


def liveness(last: datetime | None, now: datetime, interval_s: float) -> HostLiveness:
    """Return the liveness of a host that reported last at *last*."""
    if last is None:
        return "never"
    late_before, down_before = thresholds(now, interval_s)
    if last < down_before:
        return "down"
    return "late" if last < late_before else "up"
