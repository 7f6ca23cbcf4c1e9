"""The lab with security groups from outside: it passes, shows what it saw, and leaves nothing."""

import re
import signal
import subprocess

import pytest

from mininet_labs.common.workloads import FAMILIES
from mininet_labs.three_tier_plan import PLACES, SERVICES
from tests.labs.runner import LabProcess, environment, leftovers
from tests.support.command_line import REPOSITORY
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

LAB = "three_tier"
PAIRS = len(PLACES) * (len(PLACES) - 1)


def assert_nothing_left(run_id: str) -> None:
    wait_until(lambda: not leftovers(run_id), 10, what=str(leftovers(run_id)))


def test_every_check_passes_and_nothing_is_left() -> None:
    lab = LabProcess("run", lab=LAB)
    assert lab.finish(150.0) == 0, lab.output
    counted = re.fullmatch(r"lab: (\d+)/(\d+) checks passed\n", lab.lines[-1])
    assert counted, lab.output
    # Every service of every ordered pair in two families, and what is watched.
    assert int(counted[1]) == int(counted[2]) > PAIRS * len(FAMILIES) * len(SERVICES)
    assert "!" not in lab.output
    # Twice: the rule goes, the member leaves.
    for family in FAMILIES:
        stopped = rf"IPv{family}: stopped; the last record came after \d+ ms there, \d+ ms back"
        assert len(re.findall(stopped, lab.output)) == 2, lab.output
        assert len(re.findall(rf"IPv{family}: goes on after \d+ ms", lab.output)) == 1
    assert_nothing_left(lab.run_id)


def test_a_signal_while_it_watches_leaves_nothing() -> None:
    lab = LabProcess("run", lab=LAB)
    lab.wait_for("A rule goes", 150.0)
    assert lab.end(signal.SIGTERM, group=False) == 130, lab.output
    assert_nothing_left(lab.run_id)


def test_it_can_be_left_running_and_used() -> None:
    def lab(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/python3", "-m", f"mininet_labs.{LAB}", *words],
            cwd=REPOSITORY,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    try:
        up = lab("up")
        assert up.returncode == 0, up.stdout + up.stderr
        assert "make down LAB=three_tier" in up.stdout
        ping = lab("exec", "web-1", "ping", "-c", "1", "-W", "5", "10.8.1.3")
        assert "1 received" in ping.stdout, ping.stdout + ping.stderr
    finally:
        down = lab("down")
    assert "lab: down" in down.stdout
