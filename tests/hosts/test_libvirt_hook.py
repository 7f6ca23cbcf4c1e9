"""The hook that plugs libvirt's machines, on a host with the real agent and Open vSwitch."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.hosts.conftest import AgentHost
from tests.support.controller import port_id
from tests.support.waiting import wait_until
from tests.unit.test_repository import REPOSITORY

HOOK = REPOSITORY / "docs" / "libvirt_hook.py"
TAP = "tap-vm1"


def described() -> str:
    """Return the machine of the documentation, with a port of this test."""
    text = (REPOSITORY / "docs" / "guests.md").read_text()
    (found,) = re.findall(r"```xml\n(<domain.*?</domain>)\n```", text, re.S)
    return found.replace("ua-port-…", f"ua-{port_id(7)}").replace("06:5b:…", "06:5b:00:00:00:07")


@pytest.fixture
def hook(running: AgentHost, tmp_path: Path):
    """Run the hook as libvirt does, with commands that know this host."""

    def program(name: str, line: str) -> None:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\n{line} "$@"\n')
        path.chmod(0o755)

    program("ovs-vsctl", f"exec /usr/bin/ovs-vsctl --db={running.host.ovsdb}")
    own = f"unset VPC_AGENT_CONFIG; shift; exec {shlex.join(running.arguments('plug'))}"

    def run(operation: str, agent: str = own) -> subprocess.CompletedProcess[str]:
        program("vpc-agent", agent)
        return subprocess.run(
            ["nsenter", f"--net={running.host.netns}", HOOK, "vm-1", operation, "begin", "-"],
            input=described(),
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_machine_is_plugged_before_it_starts_and_taken_away_at_its_end(
    running: AgentHost, hook
) -> None:
    assert hook("start").returncode == 0
    assert TAP not in running.host.vsctl("list-ports", "br-int")
    for _ in range(2):  # the second time it finds what a host without power has left
        done = hook("prepare")
        assert done.returncode == 0, done.stderr
        wait_until(lambda: running.controller.has_port(port_id(7)))
        ids = running.host.vsctl("get", "interface", TAP, "external_ids")
        assert f"iface-id={port_id(7)}" in ids
        assert 'attached-mac="06:5b:00:00:00:07"' in ids
        assert "UP" in running.host.run("ip", "link", "show", TAP).stdout
    done = hook("release")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not running.controller.has_port(port_id(7)))
    assert TAP not in running.host.vsctl("list-ports", "br-int")
    assert running.host.run("ip", "link", "show", TAP, check=False).returncode != 0
    done = hook("prepare", agent="false")
    assert done.returncode != 0, "libvirt does not start what cannot be plugged"
    assert "vpc-agent" in done.stderr
