"""A private Open vSwitch whose keys tests exchange."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent import pki
from tests.support.hosts import SCHEMA
from tests.support.waiting import wait_until
from vpcctl.pki.files import Credentials


class Switch:
    """A private ovsdb-server and ovs-vswitchd on the dummy datapath."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environment = os.environ | {
            f"OVS_{name}DIR": str(directory) for name in ("RUN", "LOG", "DB", "SYSCONF")
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        database, where = self._directory / "conf.db", self._directory / "db.sock"
        self._run("ovsdb-tool", "create", str(database), SCHEMA)
        self._spawn("ovsdb-server", str(database), f"--remote=punix:{where}")
        wait_until(where.exists, what="ovsdb-server")
        self.vsctl("--retry", "--no-wait", "init")  # the file is there before somebody listens
        options = ["--enable-dummy=override", "--disable-system"]
        self._spawn("ovs-vswitchd", f"unix:{where}", *options)

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def vsctl(self, *arguments: str) -> None:
        self._run("ovs-vsctl", f"--db=unix:{self._directory}/db.sock", "-t", "10", *arguments)

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def _spawn(self, *command: str) -> None:
        self._processes.append(
            subprocess.Popen(
                [*command, "--no-chdir", "--log-file=/dev/null"],
                env=self._environment,
                stderr=subprocess.DEVNULL,
            )
        )


@contextmanager
def private_switch() -> Iterator[Switch]:
    """Start one; nothing of it is left at the end."""
    # A socket's path may have 107 bytes: pytest's own directories are too deep.
    with tempfile.TemporaryDirectory(prefix="pki-") as directory:
        switch = Switch(Path(directory))
        try:
            switch.start()
            yield switch
        finally:
            switch.stop()


def set_ssl(switch: Switch, credentials: Credentials) -> None:
    paths = pki.ssl_files(credentials)
    switch.vsctl("set-ssl", paths.private_key, paths.certificate, paths.ca_cert)
