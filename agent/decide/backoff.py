"""How long to wait after a failure: exponential, with jitter given from outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from ``first`` to ``limit`` seconds.

    Attributes:
        first: upper bound of the first delay, seconds.
        limit: upper bound of any delay, seconds.
    """

    first: float = 0.2
    limit: float = 5.0

    def delay(self, failures: int, jitter: float) -> float:
        """Return the delay after *failures* in a row (1 = the first), seconds.

        Args:
            failures: how many in a row, at least 1.
            jitter: a random number in 0 … 1; the delay is between half and all of the bound.
        """
        bound = min(self.limit, self.first * 2 ** min(failures - 1, 16))
        return bound * (0.5 + 0.5 * jitter)
