"""`.ci/install vm` tells what a kind of machine cannot have from what has gone wrong."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.test_repository import REPOSITORY

LEFT_OUT, FAILED = 77, 100
DEBIAN = {
    "dpkg": "echo amd64",
    "dpkg-query": "exit 1",
    "apt-cache": "exit 0",
    "apt-get": "exit 0",
    "id": "echo 0",
}


def install(directory: Path, **commands: str) -> subprocess.CompletedProcess[str]:
    """Run it on a machine where commands of the system do something else."""
    for name, body in {**DEBIAN, **commands}.items():
        path = directory / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    return subprocess.run(
        [REPOSITORY / ".ci" / "install", "vm"],
        env={"PATH": f"{directory}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("commands", "reason"),
    [
        ({"dpkg": "echo arm64"}, "made for amd64 alone, and this is arm64"),
        ({"apt_cache": "exit 100"}, "no package qemu-system-x86 is known here"),
    ],
)
def test_what_cannot_be_had_is_left_out(tmp_path: Path, commands: dict, reason: str) -> None:
    done = install(tmp_path, **commands)
    assert done.returncode == LEFT_OUT
    assert reason in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "commands",
    [
        {"apt_get": "[ $1 = update ] || exit 100"},
        {"apt_get": "exit 100", "apt_cache": "exit 100"},
    ],
)
def test_what_goes_wrong_is_a_failure(tmp_path: Path, commands: dict) -> None:
    assert install(tmp_path, **commands).returncode == FAILED
