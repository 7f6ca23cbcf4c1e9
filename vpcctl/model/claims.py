"""Who claims a value that only one may have.

The database keeps such values unique, but changes may arrive in any order: for a moment two ports
can hold one address. Then nobody owns it, and nothing is forwarded by it.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Claims(Generic[K]):
    """Claimants by value; compact, because nearly every value has exactly one."""

    __slots__ = ("_by_value",)

    def __init__(self) -> None:
        self._by_value: dict[K, str | frozenset[str]] = {}

    def add(self, value: K, claimant: str) -> None:
        """Note that *claimant* claims *value*; again changes nothing."""
        present = self._by_value.get(value)
        if present is None:
            self._by_value[value] = claimant
        elif present != claimant:
            self._by_value[value] = frozenset((*_ids(present), claimant))

    def drop(self, value: K, claimant: str) -> None:
        """Note that *claimant* does not claim *value* any more."""
        left = [one for one in self.of(value) if one != claimant]
        if not left:
            self._by_value.pop(value, None)
        else:
            self._by_value[value] = left[0] if len(left) == 1 else frozenset(left)

    def of(self, value: K) -> tuple[str, ...]:
        """Return all claimants of *value*, sorted."""
        present = self._by_value.get(value)
        return () if present is None else _ids(present)

    def owner(self, value: K) -> str | None:
        """Return the only claimant of *value*, or None when there is none or more than one."""
        present = self._by_value.get(value)
        return present if isinstance(present, str) else None

    def claimed(self) -> tuple[K, ...]:
        """Return every value that is claimed."""
        return tuple(self._by_value)

    def claimants(self) -> Iterator[str]:
        """Yield who claims anything, once for each of its values."""
        for present in self._by_value.values():
            yield from _ids(present)

    def __len__(self) -> int:
        return len(self._by_value)


def _ids(present: str | frozenset[str]) -> tuple[str, ...]:
    return (present,) if isinstance(present, str) else tuple(sorted(present))
