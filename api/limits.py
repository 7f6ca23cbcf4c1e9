"""How much one token may ask: a token bucket each."""

import time
from collections import OrderedDict
from collections.abc import Callable

_KEPT = 10_000


class RateLimit:
    """Token buckets by key, bounded in number; the longest unused bucket is forgotten first.

    Args:
        rate: requests a second in the long run.
        burst: size of a bucket.
        clock: monotonic seconds.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one request from the bucket of *key*.

        Returns:
            0.0 when it may go on, else the seconds after which it may come again.
        """
        now = self._clock()
        level, then = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        wait = 0.0 if level >= 1.0 else (1.0 - level) / self._rate
        self._buckets[key] = (level - 1.0 if not wait else level, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return wait
