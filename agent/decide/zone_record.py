"""The record of conntrack zones on disk, as text.

A first line says what it is true of, each further one a zone: whose entries it may hold, ``-`` for
nobody's. Later lines go before earlier ones, so that a change is one more line; a last line that
is not whole was never relied on.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.decide.zones import Use
from vpcctl.model import ids

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Header:
    """What a record is true of.

    Attributes:
        host_id: the host.
        kernel: boot id of the kernel: with another one there are no entries at all.
        complete: a zone without a line is empty.
    """

    host_id: str
    kernel: str
    complete: bool


def write(header: Header, uses: Mapping[int, Use | None]) -> str:
    """Return a whole record."""
    fields = {"host_id": header.host_id, "kernel": header.kernel, "complete": header.complete}
    return f"{json.dumps({'version': _VERSION, **fields})}\n{lines(uses)}"


def lines(uses: Mapping[int, Use | None]) -> str:
    """Return what is added to a record when these zones change."""
    return "".join(f"{zone} {_words(use)}\n" for zone, use in uses.items())


def _words(use: Use | None) -> str:
    return "-" if use is None else f"{use.port_id} {use.interface_uuid}"


def read(text: str) -> tuple[Header, dict[int, Use | None]] | None:
    """Return what a record says; None when any of it cannot be read."""
    whole, _, _ = text.rpartition("\n")
    first, *rest = whole.split("\n")
    try:
        found = json.loads(first)
        if found["version"] != _VERSION or not isinstance(found["complete"], bool):
            return None
        header = Header(str(found["host_id"]), str(found["kernel"]), found["complete"])
        return header, _uses(rest)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _uses(rest: Iterable[str]) -> dict[int, Use | None]:
    """Return zone → use.

    Raises:
        ValueError: a line says neither.
    """
    uses: dict[int, Use | None] = {}
    for line in rest:
        zone, port_id, *more = line.split(" ")
        if port_id == "-" and not more:
            uses[int(zone)] = None
            continue
        (uuid,) = more
        if not ids.is_id("port", port_id):
            raise ValueError(line)
        uses[int(zone)] = Use(port_id, uuid)
    return uses
