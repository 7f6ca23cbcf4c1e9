"""The verdict on every goal."""

from collections.abc import Sequence

from bench import targets
from bench.group_targets import judge_groups
from bench.guest_targets import judge_guests
from bench.stats import Summary
from bench.targets import Medians, Verdict


def judge(summaries: Sequence[Summary]) -> tuple[Verdict, ...]:
    """Return the verdicts."""
    medians = Medians(summaries)
    return (*targets.judge(summaries), *judge_groups(medians), *judge_guests(medians))
