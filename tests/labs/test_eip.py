"""The lab of the world outside: every check passes, and nothing is left."""

import re

import pytest

from tests.labs.runner import LabProcess, leftovers
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.xdist_group("labs")]


def test_every_check_passes_and_nothing_is_left() -> None:
    lab = LabProcess("run", lab="eip")
    assert lab.finish(240.0) == 0, lab.output
    counted = re.fullmatch(r"lab: (\d+)/(\d+) checks passed\n", lab.lines[-1])
    assert counted, lab.output
    assert counted[1] == counted[2]
    run_id = lab.run_id
    wait_until(lambda: not leftovers(run_id), 10, what=str(leftovers(run_id)))
