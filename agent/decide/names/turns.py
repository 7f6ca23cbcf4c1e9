"""How much of the process's time one tenant may take: always less than leaves others none."""

PERIOD_S = 0.1
_LONGEST_S = 0.005
"""What one answer counts at most: beyond that the processor was busy with something else."""


class Turns:
    """Time that answers have taken, in periods of a tenth of a second.

    A tenant may take half of what the others have left of a period. However many ports ask, the
    next tenant finds as much again as is left, and who asks little notices nothing.
    """

    def __init__(self) -> None:
        self._period = -1
        self._total = 0.0
        self._used: dict[str, float] = {}

    def may(self, tenant: str, now: float) -> bool:
        """Tell whether a tenant's question may be looked at, at *now* seconds."""
        period = int(now / PERIOD_S)
        if period != self._period:
            self._period = period
            self._total = 0.0
            self._used.clear()
        used = self._used.get(tenant, 0.0)
        return 2 * used < PERIOD_S - (self._total - used)

    def took(self, tenant: str, seconds: float) -> None:
        """Count what an answer to a tenant has taken."""
        counted = min(seconds, _LONGEST_S)
        self._used[tenant] = self._used.get(tenant, 0.0) + counted
        self._total += counted
