"""Texts by text, tens of thousands of them, in a tenth of the memory that a dict takes.

A dict costs some 200 bytes for each short text by another one: an entry, and two objects. Here
texts that have a place in common are one string, of some ten lines: a look for one is a search in
half a kilobyte.
"""

from collections.abc import Iterable

_A_PLACE = 10
"""Texts that share a place, on average: few, because each change writes all of them anew."""


class Table:
    """What text stands for another one.

    Neither may have tabs or line ends. Places are split one at a time (linear hashing, Litwin
    1980), so a table that grows never does more at once than what two places hold.
    """

    def __init__(self) -> None:
        self._places = ["\n"]
        self._mask = 0  # as many places as there will be when all have been split
        self._count = 0

    def __len__(self) -> int:
        """Return how many texts there are."""
        return self._count

    def _at(self, key: str) -> int:
        """Return the place of a text."""
        at = hash(key) & self._mask
        return at if at < len(self._places) else at & self._mask >> 1

    def get(self, key: str) -> str | None:
        """Return what a text stands for; None: nothing."""
        place = self._places[self._at(key)]
        found = place.find(f"\n{key}\t")
        if found < 0:
            return None
        start = found + len(key) + 2
        return place[start : place.find("\n", start)]

    def set(self, key: str, value: str) -> None:
        """Have a text stand for another one, in place of what it stood for."""
        at = self._at(key)
        place = self._places[at]
        if place.find(f"\n{key}\t") >= 0:
            self.pop(key)
            place = self._places[at]
        self._places[at] = f"{place}{key}\t{value}\n"
        self._count += 1
        if self._count > _A_PLACE * len(self._places):
            self._split()

    def pop(self, key: str) -> str | None:
        """Have a text stand for nothing; return what it stood for."""
        value = self.get(key)
        if value is not None:
            at = self._at(key)
            self._places[at] = self._places[at].replace(f"\n{key}\t{value}\n", "\n", 1)
            self._count -= 1
        return value

    def _split(self) -> None:
        """Make one place more, of those in an earlier one that belong there now."""
        new = len(self._places)
        self._mask = (1 << new.bit_length()) - 1
        old = new & self._mask >> 1
        lines = self._places[old].split("\n")[1:-1]
        self._places.append("")
        stay, go = list[str](), list[str]()
        for line in lines:
            (stay if self._at(line.partition("\t")[0]) == old else go).append(line)
        self._places[old], self._places[new] = _place(stay), _place(go)


def _place(lines: Iterable[str]) -> str:
    """Return a place: lines, with an end before the first and after the last."""
    return "".join(("\n", *(f"{line}\n" for line in lines)))
