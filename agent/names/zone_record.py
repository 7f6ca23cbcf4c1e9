"""A zone on disk, as the agent writes and verifies it; see :mod:`agent.names.zone_file`."""

import logging
import os
from pathlib import Path

from agent.statedir import write_atomically
from agent.wire.base import Unreadable
from agent.wire.zones import Sealed, ZoneDocument, unsealed

log = logging.getLogger(__name__)

_LEAST_BYTES = 1 << 16
"""Of changes that are kept however short the whole is."""
_PORT = 64
"""Bytes of a zone for each port, more or less."""


class ZoneRecord:
    """A zone's file.

    Attributes:
        revision: of what it says; 0: nothing that can be relied on.
    """

    def __init__(self, path: Path) -> None:
        self.revision = 0
        self._path = path
        self._lines = self._bytes = 0  # that may still be added

    @property
    def since(self) -> int:
        """Revision whose changes may be added; 0: the whole is to be written next."""
        return self.revision if self._lines > 0 and self._bytes > 0 else 0

    def load(self) -> None:
        """See what an earlier agent has left; the rest after a line that is damaged is cut off."""
        try:
            whole = self._verify()
            if whole < self._path.stat().st_size:
                log.warning("%s is damaged after %d bytes", self._path, whole)
                os.truncate(self._path, whole)
        except OSError as error:
            self.revision = 0
            log.warning("%s cannot be read: %s", self._path, error)

    def _verify(self) -> int:
        """Read line after line; return how many bytes of them follow from each other."""
        whole = 0
        with self._path.open("rb") as stream:
            for line in stream:
                document = _document(line)
                if document is None or document.said.since != self.revision:
                    break
                self._note(document)
                whole += len(line)
        return whole

    def keep(self, document: Sealed[ZoneDocument]) -> None:
        """Write a whole zone in place of what is there, or add a change to it.

        Raises:
            OSError: it cannot be written; the whole is to be written next.
        """
        line = document.text.decode() + "\n"
        lines, self._lines = self._lines, 0
        if document.said.since not in (0, self.revision):
            return
        if not document.said.since:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path, line)
        else:
            with self._path.open("a") as stream:
                stream.write(line)
        self._lines = lines
        self._note(document)

    def _note(self, document: Sealed[ZoneDocument]) -> None:
        self.revision, size = document.said.revision, len(document.text)
        if document.said.since:
            self._lines -= 1
            self._bytes -= size
        else:
            # So many that reading them costs about as much as reading the whole: a line has a
            # cost of its own, and one with all of a tenant's records may be longer than all names.
            self._lines = 100 + size // _PORT // 4
            self._bytes = max(_LEAST_BYTES, 2 * size)

    def drop(self) -> None:
        """Remove it."""
        self._path.unlink(missing_ok=True)


def _document(line: bytes) -> Sealed[ZoneDocument] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return unsealed(ZoneDocument, line[:-1])
    except Unreadable:
        return None
