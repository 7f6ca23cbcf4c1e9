"""Messages of pieces that several hosts have, made once for all switches that are compared.

Switches often come one after the other: a host is upgraded, then the next. Audits do not use this:
they compile everything again, so what they compare with does not depend on anything remembered.
"""

import asyncio
from collections.abc import Iterable

from vpcctl.pipeline.pieces import Piece, own_host
from vpcctl.southbound.encoded import Encoded

_MOST_BYTES = 64 << 20
_REST_S = 300.0
"""How long nobody may be compared before everything is forgotten."""


class Shared:
    """Keeps encoded pieces as long as switches are compared, and a while longer."""

    def __init__(self) -> None:
        self._kept: dict[Piece, Encoded] = {}
        self._bytes = 0
        self._users = 0
        self._rest: asyncio.TimerHandle | None = None

    def enter(self) -> None:
        """Note that a switch is to be compared."""
        self._users += 1
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def leave(self) -> None:
        """Note that a switch has been compared."""
        self._users -= 1
        if self._users == 0:
            self._rest = asyncio.get_running_loop().call_later(_REST_S, self.clear)

    def get(self, piece: Piece) -> Encoded | None:
        """Return a piece's messages; None: to be made."""
        return self._kept.get(piece)

    def put(self, piece: Piece, encoded: Encoded) -> None:
        """Keep a piece's messages, if others may need them; meters are each switch's own matter."""
        if self._users == 0 or encoded.meters or own_host(piece) is not None:
            return
        if self._bytes + len(encoded.data) <= _MOST_BYTES:
            self._kept[piece] = encoded
            self._bytes += len(encoded.data)

    def drop(self, pieces: Iterable[Piece]) -> None:
        """Forget what has changed."""
        if self._kept:
            for piece in pieces:
                found = self._kept.pop(piece, None)
                self._bytes -= len(found.data) if found is not None else 0

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0
