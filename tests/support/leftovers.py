"""What a run of the tests must not leave behind, known by marks that no other run shares.

Every process inherits the run's mark in its environment, temporary files are made in a directory of
the run's own, and what has a name in the kernel (namespaces, bridges, veths) is recorded by the
random tag in its name. So runs beside each other, and what else the machine does, do not count.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import wait_until

MARK = "TEST_RUN"
_RECORD = "names"


def tag(size: int) -> str:
    """Return a random tag of *size* bytes, in hex, for names; nothing with it may be left."""
    made = secrets.token_hex(size)
    if MARK in os.environ:
        with (Path(tempfile.gettempdir()) / _RECORD).open("a") as record:
            record.write(f"{made}\n")
    return made


class Run:
    """A run of the tests, from its first to its last process."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(8)
        self.directory = Path(tempfile.mkdtemp(prefix="vpcctl-test-"))
        self.directory.chmod(0o755)  # the database's server is another user
        self._temp = tempfile.gettempdir()

    def begin(self) -> None:
        """Have everything marked that is made from now on."""
        os.environ[MARK] = self.mark
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", self._temp)  # pytest keeps its last ones
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.directory)

    def end(self) -> list[str]:
        """Return what is left, a line each; files are removed."""
        with suppress(AssertionError):  # what was told to end may take a moment to do so
            wait_until(lambda: not list(self._left()), 5)
        left = list(self._left())
        shutil.rmtree(self.directory, ignore_errors=True)
        return left

    def _left(self) -> Iterator[str]:
        yield from self._processes()
        for path in sorted(self.directory.iterdir()):
            if path.name != _RECORD:
                yield f"file {path}"
        record = self.directory / _RECORD
        tags = record.read_text().split() if record.exists() else []
        for kind, directory in (("namespace", "/run/netns"), ("device", "/sys/class/net")):
            names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
            # Names begin with two letters that say what it is.
            yield from (f"{kind} {name}" for name in names if name[2:].startswith(tuple(tags)))

    def _processes(self) -> Iterator[str]:
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    yield f"process {entry.name} {command}"
            except OSError:  # ended meanwhile, or another user's
                continue
