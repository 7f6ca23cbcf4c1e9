"""The ports of one subnet that are placed on one host, in order of their keys.

Flood copies go through a tree of bounded fan-out over these keys: of 64 keys, of 64 times that, and
of all. The tree is not kept, as its branches are quickly found in the sorted keys: a port costs two
words here, where sets and dictionaries of so few members would cost it 250 bytes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

_BITS = (6, 12, 32)
"""Of keys that are below one branch of each level."""


def branch(key: int) -> tuple[tuple[int, int], ...]:
    """Return the (level, number) of a port's key: of 64 keys, of 64 times that, and of all."""
    return tuple((level, key >> bits) for level, bits in enumerate(_BITS))


class Residents:
    """Ids of ports by key; in a network that is not complete, several may have one key."""

    __slots__ = ("_ids", "_keys")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._ids: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, key: int, port_id: str) -> None:
        """Take a port that is not here."""
        index = bisect_right(self._keys, key)
        self._keys.insert(index, key)
        self._ids.insert(index, port_id)

    def discard(self, key: int, port_id: str) -> None:
        """Forget a port; one that is not here changes nothing."""
        for index in range(bisect_left(self._keys, key), bisect_right(self._keys, key)):
            if self._ids[index] == port_id:
                del self._keys[index], self._ids[index]
                return

    def leaf(self, number: int) -> list[str]:
        """Return the ids of the ports below a branch of level 0, by key."""
        first, end = (bisect_left(self._keys, one << _BITS[0]) for one in (number, number + 1))
        return self._ids[first:end]

    def below(self, level: int, number: int) -> list[int]:
        """Return the numbers of the branches below one of level 1 or 2, in order."""
        first, end = (bisect_left(self._keys, one << _BITS[level]) for one in (number, number + 1))
        return list(self._numbers(level - 1, first, end))

    def branches(self) -> Iterator[tuple[int, int]]:
        """Yield the (level, number) of every branch that has anything below."""
        for level in range(len(_BITS)):
            yield from ((level, one) for one in self._numbers(level, 0, len(self._keys)))

    def _numbers(self, level: int, first: int, end: int) -> Iterator[int]:
        """Yield the numbers of a level's branches that the keys from *first* to *end* are in."""
        bits = _BITS[level]
        while first < end:
            number = self._keys[first] >> bits
            yield number
            first = bisect_left(self._keys, (number + 1) << bits, first, end)
