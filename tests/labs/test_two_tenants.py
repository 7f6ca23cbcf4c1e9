"""The lab from outside: it passes, and however it ends it leaves nothing behind."""

import re
import signal
import time

import pytest

from tests.labs.runner import RUNS, LabProcess, leftovers, processes
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


def assert_nothing_left(run_id: str) -> None:
    wait_until(lambda: not leftovers(run_id), 10, what=str(leftovers(run_id)))


def assert_all_passed(lab: LabProcess) -> None:
    counted = re.fullmatch(r"lab: (\d+)/(\d+) checks passed\n", lab.lines[-1])
    assert counted, lab.output
    # Ping and TCP for 132 ordered pairs in two families, and more.
    assert int(counted[1]) == int(counted[2]) > 132 * 4
    assert "Topology" in lab.output
    assert lab.output.count("yes/yes") == 2 * 60
    assert lab.output.count("no/no") == 2 * 72


def test_two_at_once_pass_within_a_minute_do_not_meet_and_leave_nothing() -> None:
    started = time.monotonic()
    labs = [LabProcess("run") for _ in range(2)]
    for lab in labs:
        assert lab.finish() == 0, lab.output
    assert time.monotonic() - started < 60
    assert labs[0].run_id != labs[1].run_id
    for lab in labs:
        assert_all_passed(lab)
        assert_nothing_left(lab.run_id)


@pytest.mark.parametrize(
    ("moment", "number", "group"),
    [
        ("lab: two tenants", signal.SIGINT, True),
        ("Topology", signal.SIGTERM, True),
        ("Reachability", signal.SIGHUP, False),
    ],
)
def test_a_signal_at_any_moment_leaves_nothing(
    moment: str, number: signal.Signals, *, group: bool
) -> None:
    lab = LabProcess("run")
    lab.wait_for(moment)
    assert lab.end(number, group=group) == 130, lab.output
    assert number.name in lab.output
    assert_nothing_left(lab.run_id)


def test_a_kill_ends_every_process_and_the_next_run_cleans_up() -> None:
    lab = LabProcess("run")
    lab.wait_for("Topology")
    lab.end(signal.SIGKILL, group=False)
    wait_until(lambda: not processes(lab.run_id), 10, what=str(processes(lab.run_id)))
    assert (RUNS / lab.run_id).exists()

    following = LabProcess("run")
    following.wait_for("lab: run")  # it has cleaned up; and now it is told to end, hardly begun
    assert following.end(signal.SIGTERM, group=False) == 130, following.output
    assert signal.SIGTERM.name in following.output
    for run_id in (lab.run_id, following.run_id):
        assert_nothing_left(run_id)
