"""Running labs as users do, and looking for what they leave behind."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from tests.support.command_line import REPOSITORY, clean_environment

RUNS = Path(f"/run/vpcctl-labs-{os.getpid()}")
"""Of these tests alone: labs of users, and of other tests, are not met and not ended."""
_RUN = re.compile(r"lab: run ([0-9a-f]{6}):")


def environment() -> dict[str, str]:
    """Return the environment in which labs of these tests are run."""
    return clean_environment(VPCCTL_LABS_DIR=str(RUNS), PYTHONDONTWRITEBYTECODE="1")


class LabProcess:
    """A lab in a session of its own, as in a terminal.

    Attributes:
        lines: what it has printed so far.
    """

    def __init__(self, *arguments: str, lab: str = "two_tenants") -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        variables = environment()
        del variables["PYTHONPATH"]
        self.process = subprocess.Popen(
            ["/usr/bin/python3", "-m", f"mininet_labs.{lab}", *arguments],
            cwd=REPOSITORY,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "".join(self.lines)

    @property
    def run_id(self) -> str:
        """The id that is part of every name that it makes."""
        found = _RUN.search(self.output)
        assert found, self.output
        return found[1]

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Return when it has printed *text*."""
        with self._news:
            self._news.wait_for(lambda: text in self.output or self._ended, seconds)
        assert text in self.output, self.output

    def end(self, number: signal.Signals, *, group: bool) -> int:
        """Send a signal, to its whole *group* as a terminal does, and return the exit code."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self.finish(30.0)

    def finish(self, seconds: float = 90.0) -> int:
        """Return its exit code once it has ended."""
        code = self.process.wait(seconds)
        self._reader.join(10.0)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def leftovers(run_id: str) -> list[str]:
    """Return whatever of a run is still on this machine: files, processes, links, namespaces."""
    left = [str(RUNS / run_id)] if (RUNS / run_id).exists() else []
    return left + processes(run_id) + _links(run_id) + _namespaces(run_id)


def processes(run_id: str) -> list[str]:
    """Return the processes of a run that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                variables = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if run_id in command or f"{RUNS}/{run_id}" in variables:
                found.append(f"{entry.name}: {command}")
    return found


def _links(run_id: str) -> list[str]:
    listed = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if run_id in line]


def _namespaces(run_id: str) -> list[str]:
    directory = Path("/run/netns")
    return [path.name for path in directory.glob(f"*{run_id}*")] if directory.is_dir() else []
