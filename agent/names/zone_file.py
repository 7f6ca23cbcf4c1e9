"""A zone on disk, as the process that answers reads it.

A line of JSON for the whole, then one for each change (:class:`vpcctl.wire.zones.ZoneDocument`). A
line that is not whole yet, or never became it, is none.
"""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

from agent.decide.names.zone import Zone
from agent.names.whole import parts
from vpcctl import memory

log = logging.getLogger(__name__)


class ZoneFile:
    """Follows a zone's file.

    Attributes:
        zone: what it says; None: nothing that can be read, or the VPC has no resolver.
        revision: of that; 0: nothing.
    """

    def __init__(self, path: Path) -> None:
        self.zone: Zone | None = None
        self.revision = 0
        self._path = path
        self._inode, self._offset = 0, 0

    def is_at(self, revision: int) -> bool:
        """Tell whether the file is the one that was read, and has been read up to a revision.

        Another one may have the same: that of a controller restored from an older copy.
        """
        try:
            return self.revision == revision and self._path.stat().st_ino == self._inode
        except OSError:
            return False

    async def follow(self, revision: int = 0) -> None:
        """Take in what has come; others run in between.

        Args:
            revision: that is there at least. Without it, this is another file than it seems to be:
                file systems give the number of a file that is gone to the next one.
        """
        try:
            if not await self._take() or self.revision < revision:
                self._inode = 0
                if not await self._take() or self.revision < revision:
                    log.warning("%s does not fit together", self._path)
        except OSError as error:
            log.warning("%s cannot be read: %s", self._path, error)

    async def _take(self) -> bool:
        """Take in further lines, or all of a new file; tell whether each fitted."""
        with self._path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            if found.st_ino != self._inode or found.st_size < self._offset:
                self._inode, self._offset = found.st_ino, 0
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                if not await self._apply(line, is_first=not self._offset):
                    return False
                self._offset += len(line)
        return True

    async def _apply(self, line: bytes, *, is_first: bool) -> bool:
        """Take in a line; the first one is the whole zone. Tell whether it fitted."""
        try:
            if is_first:
                self.zone, self.revision = await _built(line.decode())
                memory.give_back()  # the zone that was there before
                return True
            document: dict[str, Any] = json.loads(line)
        except (ValueError, KeyError):
            return False
        if document["since"] != self.revision or self.zone is None:
            return False
        self.zone.add(document)
        self.revision = document["revision"]
        return True


async def _built(line: str) -> tuple[Zone | None, int]:
    """Return the zone of a whole line, and its revision.

    It is made some ports at a time: guests are answered from the old one meanwhile.

    Raises:
        ValueError: the line cannot be read, or is a change.
        KeyError: it lacks something.
    """
    said: dict[str, Any] = {"ports": {}}
    zone: Zone | None = None
    for name, value in parts(line):
        if name == "ports":
            zone = zone or Zone({**said, "records": None})
            zone.take(value)
            await asyncio.sleep(0)
        else:
            said[name] = value
    if zone is None or said["since"]:
        raise ValueError("a change, and nothing to add it to")
    zone.add(said)
    return zone if said["enabled"] else None, said["revision"]
