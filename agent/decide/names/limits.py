"""How much of the time of all one port may take."""

PORT_RATE = 1_024
"""Questions of one port that are answered in a second, as in AWS."""


class Limits:
    """Counts the questions of ports in periods of a second.

    What is kept is a number for each port that asked in this period.
    """

    def __init__(self, rate: int = PORT_RATE) -> None:
        self._rate = rate
        self._period = -1
        self._used: dict[int, int] = {}

    def take(self, key: int, now: float) -> bool:
        """Count a question of a port at *now*, seconds; tell whether it may be answered."""
        if int(now) != self._period:
            self._period = int(now)
            self._used.clear()
        used = self._used[key] = self._used.get(key, 0) + 1
        return used <= self._rate
