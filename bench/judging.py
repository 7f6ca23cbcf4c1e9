"""The verdict on every goal."""

from collections.abc import Sequence

from bench import targets
from bench.group_targets import judge_groups
from bench.stats import Summary
from bench.targets import Medians, Verdict


def judge(summaries: Sequence[Summary]) -> tuple[Verdict, ...]:
    """Return the verdicts."""
    return (*targets.judge(summaries), *judge_groups(Medians(summaries)))
