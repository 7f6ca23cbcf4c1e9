"""The agent's directory: its id, its boot counter and the last host state.

Everything in it is a convenience: without it the agent makes a new id, counts boots by the clock
and waits for the controller before it removes anything.
"""

import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from agent.wire.base import Unreadable, read, written
from agent.wire.state import HostState

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner alone.

    Raises:
        OSError: it cannot be written; the old content stays.
    """
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


class StateDir:
    """Reads and writes the directory; what cannot be read counts as not there.

    Attributes:
        error: why the last write failed; None when it went well.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.error: str | None = None

    def _read(self, name: str) -> str:
        try:
            return (self._path / name).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def _write(self, name: str, text: str) -> None:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(self._path / name, text)
        except OSError as error:
            self.error = f"cannot write {self._path / name}: {error.strerror}"
            log.warning("%s", self.error)
        else:
            self.error = None

    def agent_id(self) -> str:
        """Return the id made at the first start."""
        text = self._read("agent_id")
        if _ID.fullmatch(text):
            return text
        fresh = secrets.token_hex(16)
        self._write("agent_id", fresh)
        return fresh

    def next_boot(self) -> int:
        """Return a boot number greater than every earlier one, and remember it."""
        text = self._read("boot")
        saved = int(text) if text.isdecimal() and len(text) < 19 else 0
        boot = max(saved + 1, int(time.time()))
        self.save_boot(boot)
        return boot

    def save_boot(self, boot: int) -> None:
        """Remember a boot number."""
        self._write("boot", str(boot))

    def load_state(self, host_id: str) -> HostState | None:
        """Return the last host state; None when there is none, or it is another host's."""
        text = self._read("host_state.json")
        if not text:
            return None
        try:
            state = read(HostState, text)
        except Unreadable as error:
            log.warning("host state on disk cannot be read: %s", error)
            return None
        return state if state.host_id == host_id else None

    def load_counts(self, kind: str) -> dict[str, int]:
        """Return what the agent counted of a kind of questions, as it wrote it down last."""
        try:
            found = json.loads(self._read(f"{kind}.json") or "{}")
        except ValueError:
            return {}
        return {str(name): count for name, count in found.items() if isinstance(count, int)}

    def save_counts(self, kind: str, counts: Mapping[str, int]) -> None:
        """Write down what was counted of a kind of questions: ``guests`` or ``outside``."""
        self._write(f"{kind}.json", json.dumps(counts, sort_keys=True))

    def save_state(self, state: HostState) -> None:
        """Remember the host state."""
        self._write("host_state.json", written(state).decode())
