"""A real ovs-vswitchd on its dummy datapath whose bridges connect to a controller; no root."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


async def wait_until(condition: Callable[[], object], what: str, timeout: float = 15.0) -> None:
    """Return as soon as *condition* holds; the event loop runs meanwhile."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.01)


class Ovs:
    """The two daemons in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {
            **os.environ,
            **{f"OVS_{name}DIR": str(directory) for name in ("RUN", "LOG", "DB", "SYSCONF")},
        }
        self._database: subprocess.Popen[bytes] | None = None
        self._switch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Ovs":
        try:
            self.run("ovsdb-tool", "create", str(self.directory / "conf.db"), SCHEMA)
            where = (
                f"--remote=punix:{self.directory}/db.sock",
                f"--unixctl={self.directory}/db.ctl",
            )
            self._database = self._spawn("ovsdb-server", str(self.directory / "conf.db"), *where)
            self._await(self.directory / "db.sock")
            self.vsctl("--no-wait", "init")
            self.start_switch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in (self._switch, self._database):
            if daemon is not None:
                daemon.kill()
                daemon.wait(5)

    def _await(self, path: Path) -> None:
        deadline = time.monotonic() + 10
        while not path.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(str(path))
            time.sleep(0.005)

    def _spawn(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        quiet = ("-vconsole:off", "-vsyslog:off", f"--log-file={self.directory}/{name}.log")
        return subprocess.Popen(
            (name, *arguments, *quiet), env=self._environment, cwd=self.directory
        )

    def start_switch(self) -> None:
        control = self.directory / "vswitchd.ctl"
        control.unlink(missing_ok=True)
        dummy = ("--enable-dummy=override", "--disable-system", "--disable-system-route")
        self._switch = self._spawn(
            "ovs-vswitchd", f"unix:{self.directory}/db.sock", *dummy, f"--unixctl={control}"
        )
        self._await(control)

    def kill_switch(self) -> None:
        assert self._switch is not None
        self._switch.kill()
        self._switch.wait(5)

    def suspend_switch(self, stopped: bool) -> None:
        assert self._switch is not None
        self._switch.send_signal(19 if stopped else 18)

    def run(self, *command: str, text: str | None = None) -> str:
        done = subprocess.run(
            command,
            input=text,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def vsctl(self, *arguments: str) -> str:
        return self.run(
            "ovs-vsctl",
            "--retry",
            "--timeout=10",
            f"--db=unix:{self.directory}/db.sock",
            *arguments,
        )

    def ofctl(self, command: str, bridge: str, *arguments: str, text: str | None = None) -> str:
        target = f"unix:{self.directory}/{bridge}.mgmt"
        return self.run("ovs-ofctl", "-O", "OpenFlow14", command, target, *arguments, text=text)

    def add_bridge(self, name: str, dpid: int, target: str) -> None:
        self.vsctl(
            *("add-br", name, "--", "set", "bridge", name, "datapath_type=dummy"),
            *("fail-mode=secure", "other-config:disable-in-band=true"),
            f"other-config:datapath-id={dpid:016x}",
            *("--", "set-controller", name, target),
            *("--", "set", "controller", name, "max_backoff=1000", "inactivity_probe=5000"),
        )

    def flows(self, bridge: str) -> list[str]:
        """Return the bridge's flows without statistics, sorted."""
        shown = self.ofctl("dump-flows", bridge, "--no-stats", "--no-names")
        return sorted(line.strip() for line in shown.splitlines() if "actions=" in line)

    def ages(self, bridge: str) -> list[float]:
        """Return for how many seconds each flow has been there unchanged."""
        return [
            float(age)
            for age in re.findall(r"duration=([0-9.]+)s", self.ofctl("dump-flows", bridge))
        ]
