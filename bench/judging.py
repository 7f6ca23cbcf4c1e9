"""The verdict on every goal."""

from collections.abc import Sequence

from bench import targets
from bench.external_targets import judge_external
from bench.group_targets import judge_groups
from bench.guest_targets import judge_guests
from bench.stats import Summary
from bench.targets import Medians, Verdict


def judge(summaries: Sequence[Summary]) -> tuple[Verdict, ...]:
    """Return the verdicts."""
    medians = Medians(summaries)
    parts = (judge_groups, judge_guests, judge_external)
    others = (verdict for part in parts for verdict in part(medians))
    return (*targets.judge(summaries), *others)
