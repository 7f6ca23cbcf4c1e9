"""One failure does not end a run of the bench."""

import io

from rich.console import Console

from bench.plan import Plan
from bench.session import Session, Value
from bench.waiting import TooLongError


class Quiet:
    """A machine that never stands still."""

    def touched(self, _start, _end):
        return False


class Rig:
    """A system whose attempts fail in the turns *bad*; it must be cleared up after each."""

    def __init__(self, name, bad=(), *, recovers=True):
        self.name = name
        self.turns = 0
        self.littered = False
        self._bad = bad
        self._recovers = recovers

    def attempt(self):
        assert not self.littered
        self.turns += 1
        if self.turns in self._bad:
            self.littered = True
            raise TooLongError("never answered")
        return [Value("key", "variant", float(self.turns), "ms")]

    def recover(self):
        self.littered = False
        if not self._recovers:
            raise TooLongError("still busy")


def session(*rigs, **plan):
    return Session(Plan(**plan), rigs, Quiet(), Console(file=io.StringIO()))


def test_a_failed_attempt_is_kept_cleared_up_after_and_followed_by_others():
    good, flaky = Rig("good"), Rig("flaky", bad={2})
    run = session(good, flaky)
    run.interleave("case", 100, lambda rig: rig.attempt(), count=4)
    assert [s.value for s in run.samples if s.system == "good"] == [1, 2, 3, 4]
    assert [s.value for s in run.samples if s.system == "flaky"] == [1, 3, 4]
    assert run.failures == ["case at 100 ports, flaky: never answered"]


def test_a_system_that_fails_again_and_again_is_left_alone():
    rig = Rig("broken", bad=range(1, 100), recovers=False)
    run = session(rig)
    run.interleave("case", 100, lambda rig: rig.attempt(), count=9)
    assert rig.turns == 3
    assert len(run.failures) == 6  # each time the attempt and clearing up


def test_only_what_is_to_be_done_as_a_whole_goes_on_past_the_budget():
    rig = Rig("slow")
    run = session(rig, minimum=2, budget_s=-1.0)
    run.interleave("case", 100, lambda rig: rig.attempt(), count=5)
    assert rig.turns == 2
    run.interleave("case", 100, lambda rig: rig.attempt(), count=5, whole=True)
    assert rig.turns == 7


def test_a_part_that_fails_by_a_fault_of_the_bench_says_where():
    run = session()
    with run.part("dataplane at 100 ports"):
        run.samples[0]
    assert run.failures[0].startswith("dataplane at 100 ports: list index out of range\n")
    assert "test_bench_session.py" in run.failures[0]
