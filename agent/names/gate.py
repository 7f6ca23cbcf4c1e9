"""How many connections there may be at a time."""

from collections import Counter

PER_PORT, ALTOGETHER = 16, 512


class Gate:
    """Counts connections, of each port and of all."""

    def __init__(self, per_port: int = PER_PORT, altogether: int = ALTOGETHER) -> None:
        self._per_port = per_port
        self._altogether = altogether
        self._open: Counter[int] = Counter()

    def enter(self, key: int) -> bool:
        """Count one more of a port; False: it is one too many, and not counted."""
        if self._open[key] >= self._per_port or self._open.total() >= self._altogether:
            return False
        self._open[key] += 1
        return True

    def leave(self, key: int) -> None:
        """Count one less of a port."""
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]
