"""A zone on disk, as the process that answers reads it.

A line of JSON for the whole, then one for each change (:class:`vpcctl.wire.zones.ZoneDocument`). A
line that is not whole yet, or never became it, is none.
"""

import json
import logging
import os
from pathlib import Path
from typing import Any

from agent.decide.names.zone import Zone

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

    def follow(self) -> None:
        """Take in what has come."""
        try:
            if not self._take():
                self._inode = 0
                if not self._take():
                    log.warning("%s does not fit together", self._path)
        except OSError as error:
            log.warning("%s cannot be read: %s", self._path, error)

    def _take(self) -> bool:
        """Take in further lines, or all of a new file; tell whether each fitted."""
        with self._path.open("rb") as stream:
            inode = os.fstat(stream.fileno()).st_ino
            if inode != self._inode:
                self._inode, self._offset = inode, 0
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                if not self._apply(line):
                    return False
                self._offset += len(line)
        return True

    def _apply(self, line: bytes) -> bool:
        try:
            document: dict[str, Any] = json.loads(line)
        except ValueError:
            return False
        if not document["since"]:
            self.zone = Zone(document) if document["enabled"] else None
        elif document["since"] != self.revision or self.zone is None:
            return False
        else:
            self.zone.add(document)
        self.revision = document["revision"]
        return True
