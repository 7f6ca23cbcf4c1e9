"""What the README lets its reader type in a lab, typed as it stands there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.labs.runner import environment
from tests.support.command_line import REPOSITORY

README = REPOSITORY / "README.md"
FORWARD = ("Your first VPC", "Security groups", "Out to the world", "Guests")
MISTYPED = "sudo /usr/bin/python3 -m mininet_labs.eip exec host1/web-2 true"


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README.read_text(), re.M | re.S)
    assert found, f"the README has no section {title!r}"
    return found[1]


def commands(text: str) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", text, re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def tools(directory: Path) -> Path:
    """Return a directory with what a user's PATH has: vpcctl, and a sudo that keeps variables."""
    python = REPOSITORY / ".venv" / "bin" / "python"
    scripts = {
        "vpcctl": f'exec env PYTHONPATH={REPOSITORY} {python} -m vpcctl.cli "$@"',
        "sudo": 'exec "$@"',
    }
    for name, script in scripts.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    return directory


@pytest.mark.root
@pytest.mark.slow
def test_the_first_vpc_works_as_it_is_typed(tmp_path: Path) -> None:
    up, *typed = [command for title in FORWARD for command in commands(section(title))]
    *back, down = commands(section("The way back"))
    assert (up, down) == ("make up LAB=eip", "make down LAB=eip")
    usage = tmp_path / "usage"
    script = [
        "set -euo pipefail",
        f"trap '{down}' EXIT",
        f"{up} | tee {usage} >&2",
        # What it prints is what the user sets, and then tries.
        f'eval "$(sed -n "s/^  export/export/p" {usage})"; PATH={tools(tmp_path)}:$PATH',
        "set -x",
        f'eval "$(grep -E "^  (vpcctl|VPCCTL_LABS_DIR=)" {usage})"',
        *(*typed, f"{MISTYPED} 2>&1 || echo exit code $?", *back, down),
    ]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_it_said_what_it_should(done.stdout)


def assert_it_said_what_it_should(output: str) -> None:
    # The usage's two, and the README's four.
    assert output.count("2 packets transmitted, 2 received") == 6
    assert "10.7.2.10 ping statistics ---\n2 packets transmitted, 2 received" in output
    assert output.count("tcp/5432") >= 2, output
    assert "100000" in output, "the limit of the EIP"
    assert re.search(r"Name:\s+db-1.shop.internal\nAddress:\s+10.7.2.10\n", output), output
    assert "\nweb-1.shop.internal" in output
    known = re.search(r"no workload host1/web-2; there are: (.*)\nexit code 2\n", output)
    assert known, output
    assert {"red-1", "outside", "host1/web-1", "host2/db-1"} <= set(known[1].split(", "))
    assert "lab: down\n" in output


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
