"""A throw-away PostgreSQL from Debian's package: on a Unix socket, in a passing directory."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

ROLE = "vpcctl"


def binaries() -> Path:
    """Return the directory of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    if not found:
        raise RuntimeError("PostgreSQL is needed: apt-get install postgresql")
    return found[-1]


class Cluster:
    """A running server.

    Attributes:
        directory: holds data and socket.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._programs = binaries()
        self._schemas = 0

    def start(self) -> None:
        """Make the cluster and start its server."""
        data = self.directory / "data"
        self._run("initdb", "-D", str(data), "-U", ROLE, "-A", "trust", "-N", "--no-instructions")
        options = (
            f"-c listen_addresses='' -c unix_socket_directories='{self.directory}' "
            "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
        )
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", str(data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once."""
        data = str(self.directory / "data")
        self._run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """Make what serves as an empty database, and return its URL.

        It is a schema of its own: making one takes milliseconds.
        """
        self._schemas += 1
        name = f"test_{self._schemas}"
        url = f"postgresql://{ROLE}@/postgres?host={quote(str(self.directory), safe='')}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{url}&options={quote(f'-c search_path={name}')}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_unprivileged(), str(self._programs / program), *arguments]
        subprocess.run(
            command,
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )


def _unprivileged() -> Sequence[str]:
    """Return the prefix of a command that must not run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster; stop and delete it afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="vpcctl-pg-"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        server = Cluster(directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
