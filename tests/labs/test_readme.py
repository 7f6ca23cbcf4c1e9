"""The README's first VPC, typed as it stands there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import REPOSITORY, clean_environment

README = REPOSITORY / "README.md"


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README.read_text(), re.M | re.S)
    assert found, f"the README has no section {title!r}"
    return found[1]


def commands(text: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def tools(directory: Path) -> Path:
    """Return a directory with what a user's PATH has, here perhaps not: vpcctl and sudo."""
    python = REPOSITORY / ".venv" / "bin" / "python"
    scripts = {"vpcctl": f'exec env PYTHONPATH={REPOSITORY} {python} -m vpcctl.cli "$@"'}
    if not shutil.which("sudo"):
        scripts["sudo"] = 'exec "$@"'
    for name, script in scripts.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return directory


@pytest.mark.root
@pytest.mark.slow
def test_the_first_vpc_works_as_it_is_typed(tmp_path: Path) -> None:
    up, *typed, down = commands(section("Your first VPC"))
    assert (up, down) == ("make up", "make down")
    script = "\n".join(
        [
            "set -euo pipefail",
            "trap 'make down' EXIT",
            "make up | tee usage.txt >&2",
            # What it prints is what the user sets.
            f'eval "$(sed -n "s/^  export/export/p" usage.txt)"; PATH={tools(tmp_path)}:$PATH',
            "set -x",
            *typed,
        ]
    )
    done = subprocess.run(
        ["bash", "-c", script.replace("usage.txt", str(tmp_path / "usage.txt"))],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 received, 0% packet loss" in done.stdout
    assert "lab: down" in done.stdout


def test_every_target_that_the_readme_names_exists() -> None:
    named = set(re.findall(r"make ([a-z-]+)", README.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.M))
    assert named <= targets | {"and"}
    assert {"lab", "up", "down", "test", "test-fast", "lint"} <= named


def test_every_link_in_the_documents_leads_somewhere() -> None:
    documents = [README, *sorted((REPOSITORY / "docs").glob("*.md"))]
    broken = [
        f"{document.name}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
        if not (document.parent / target).exists()
    ]
    assert broken == []
