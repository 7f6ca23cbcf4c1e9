"""Messages of pieces that several hosts have, made once for all switches that are compared.

Switches often come one after the other: a host is upgraded, then the next. Audits do not use this:
they compile everything again, so what they compare with does not depend on anything remembered.
"""

import asyncio
from collections.abc import Iterable

from vpcctl.pipeline.pieces import Piece, own_host
from vpcctl.southbound.encoded import Encoded

_KEPT_S = 300.0
"""Everything is forgotten so long after the first was remembered: long before transaction ids,
which are in the messages, come round again."""
_OBJECTS = 700
"""Bytes of a piece's objects and of its place here, beside its messages."""


class Shared:
    """Keeps encoded pieces for a while.

    Args:
        most_bytes: that it may take, objects included; 0: it keeps nothing.
    """

    def __init__(self, most_bytes: int = 64 << 20) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[Piece, Encoded] = {}
        self._bytes = 0
        self._end: asyncio.TimerHandle | None = None

    def get(self, piece: Piece) -> Encoded | None:
        """Return a piece's messages; None: to be made."""
        return self._kept.get(piece)

    def put(self, piece: Piece, encoded: Encoded) -> None:
        """Keep a piece's messages, if others may need them; meters are each switch's own matter."""
        if encoded.meters or own_host(piece) is not None:
            return
        if self._bytes + _weight(encoded) > self._most_bytes:
            return
        self._kept[piece] = encoded
        self._bytes += _weight(encoded)
        if self._end is None:
            self._end = asyncio.get_running_loop().call_later(_KEPT_S, self.clear)

    def drop(self, pieces: Iterable[Piece]) -> None:
        """Forget what has changed."""
        if self._kept:
            for piece in pieces:
                found = self._kept.pop(piece, None)
                self._bytes -= 0 if found is None else _weight(found)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0
        if self._end is not None:
            self._end.cancel()
            self._end = None


def _weight(encoded: Encoded) -> int:
    return len(encoded.data) + _OBJECTS
