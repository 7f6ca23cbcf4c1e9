"""A host state that shares with the one before what is the same in both.

Much of what is made of a host state is kept while nothing about it changes, and holds parts of the
state that it was made of: each would be in memory once more. What is the same object compares fast,
too.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec.structs import replace

from agent.wire.state import HostState

T = TypeVar("T")


def sharing(state: HostState, before: HostState | None) -> HostState:
    """Return *state* with the attachments and guests of *before*, as far as they are equal."""
    if before is None:
        return state
    attachments = _shared(state.attachments, before.attachments, lambda each: each.port_id)
    guests = _shared(state.guests, before.guests, lambda each: each.key)
    return replace(state, attachments=attachments, guests=guests)


def _shared(new: Iterable[T], old: Iterable[T], key: Callable[[T], object]) -> tuple[T, ...]:
    known = {key(each): each for each in old}
    found = ((each, known.get(key(each))) for each in new)
    return tuple(same if same is not None and same == each else each for each, same in found)
