"""Running the command line, and a controller for it, as users do: as processes."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from vpcctl.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]
READY = re.compile(r"vpcctl: ready: API on (\S+), switches on (.+)")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anybody's settings for the product, plus *more*."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VPCCTL_", "VPC_AGENT_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "80", **more}


def vpcctl(*arguments: str, **environment: str) -> Outcome:
    """Run ``vpcctl`` with *arguments* and return what it did."""
    done = subprocess.run(
        [sys.executable, "-m", "vpcctl.cli", *arguments],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def client(*arguments: str, **environment: str) -> Outcome:
    """Run a command that only talks to the API, here: loading it takes most of its time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, clean_environment(**environment), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = main.run(list(arguments))
    return Outcome(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Served:
    """A running ``vpcctl serve``.

    Attributes:
        process: the supervisor.
        state_dir: its state directory.
        api: what clients give as ``--api``.
    """

    process: subprocess.Popen[str]
    state_dir: Path
    api: str

    def run(self, *arguments: str, token: str | None = None) -> Outcome:
        """Run a client command against it, as the admin unless *token* is another's secret."""
        if token is not None:
            return client(*arguments, VPCCTL_API=self.api, VPCCTL_TOKEN=token)
        return client(*arguments, VPCCTL_API=self.api, VPCCTL_STATE_DIR=str(self.state_dir))

    def document(self, *arguments: str) -> Any:
        """Run a client command that must succeed and return its JSON."""
        outcome = self.run(*arguments, "--output", "json")
        assert outcome.code == 0, outcome.err
        return outcome.document


@contextmanager
def serving(directory: Path, *flags: str, **environment: str) -> Iterator[Served]:
    """Run ``vpcctl serve`` below *directory* until the block ends."""
    state = directory / "state"
    command = [sys.executable, "-m", "vpcctl.cli", "serve", f"--state-dir={state}", *flags]
    command += [f"--api-listen=unix:{directory}/api.sock"]
    command += [f"--openflow-listen=unix:{directory}/openflow.sock"]
    with (directory / "serve.log").open("w") as log:
        process = subprocess.Popen(
            command,
            env=clean_environment(**environment),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Served(process, state, _wait_ready(process, directory / "serve.log"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def _wait_ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := READY.match(line):
            return found[1]
    raise AssertionError(f"it ended with {process.wait()}\n{log.read_text()}")
