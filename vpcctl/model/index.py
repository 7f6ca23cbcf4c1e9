"""Indexes: sets by key, without empty ones."""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


def discard(index: dict[K, set[str]], key: K, member: str) -> None:
    """Take *member* out of the set at *key*, and the set away when it was the last."""
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]
