"""What may become of a packet where several things may: each in its turn."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


class Ways:
    """Chooses for a judgement that is made once for each way that its choices may go."""

    def __init__(self) -> None:
        self._chosen: list[tuple[int, int]] = []  # which, of how many, in the order of the choices
        self._asked = 0

    def pick(self, options: Sequence[T]) -> T:
        """Return one of *options*: another one in each judgement, until each has had its turn."""
        if self._asked == len(self._chosen):
            self._chosen.append((0, len(options)))
        self._asked += 1
        return options[self._chosen[self._asked - 1][0]]

    def all(self, judge: Callable[[], T]) -> Iterator[T]:
        """Yield what *judge* returns, by each way."""
        self._chosen = []
        while True:
            self._asked = 0
            yield judge()
            while self._chosen and self._chosen[-1][0] + 1 == self._chosen[-1][1]:
                self._chosen.pop()
            if not self._chosen:
                return
            at, count = self._chosen[-1]
            self._chosen[-1] = (at + 1, count)
