"""The goals for security groups, each judged by ratios within one run."""

from collections.abc import Iterator

from bench.targets import BETTER_WHEN_MORE, Medians, Verdict, compare, flat, share

_WITHOUT, _WITH = "dataplane_groups_without", "dataplane_groups"
_KEPT, _OF_LIMIT = 0.90, 0.97
_LARGE = 10_000
"""Up to so many ports a change has to be flat."""


def judge_groups(medians: Medians) -> Iterator[Verdict]:
    """Yield the verdict on every goal."""
    yield from judge_change(medians, "rule_ms", _LARGE)
    yield from _members(medians)
    yield from _scale(medians)
    yield from _dataplane(medians)


def judge_change(medians: Medians, key: str, large: int) -> Iterator[Verdict]:
    """Yield the verdicts on a change: against OVN's, and against its own in a small network."""
    for variant in medians.variants(key):
        goal = f"{key}, {variant}: median at most OVN's at 100 ports"
        mine, theirs = (medians.get(key, variant, 100, system) for system in ("ours", "ovn"))
        yield compare(goal, mine, theirs, "ms")
        yield flat(medians, key, variant, small=100, large=large)


def _members(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("member_ms"):
        for size in medians.sizes("member_ms", variant, "ours"):
            goal = f"member_ms, {variant}: median at most OVN's at {size:,} ports"
            mine = medians.get("member_ms", variant, size, "ours")
            yield compare(goal, mine, medians.get("member_ms", variant, size, "ovn"), "ms")
        small = min(medians.sizes("member_ms", variant, "ours"), default=0)
        yield flat(medians, "member_ms", variant, small=small, large=_LARGE)


def _scale(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("group_scale"):
        if not any(word in variant for word in ("flows of a host", "CPU of the control plane")):
            continue
        for size in medians.sizes("group_scale", variant, "ours"):
            goal = f"group_scale, {variant}: at most OVN's at {size:,} ports"
            mine = medians.get("group_scale", variant, size, "ours")
            theirs = medians.get("group_scale", variant, size, "ovn")
            yield compare(goal, mine, theirs, "")


def _dataplane(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants(_WITH):
        size = max(medians.sizes(_WITH, variant, "ours"), default=None)
        if size is None:
            continue
        more = variant.startswith(BETTER_WHEN_MORE)
        mine, free, limit, theirs = (
            medians.get(key, variant, size, system)
            for key, system in (
                *((_WITH, "ours"), (_WITHOUT, "ours")),
                *((_WITH, "static"), (_WITH, "ovn")),
            )
        )
        goal = f"{variant}, with stateful groups"
        yield share(f"{goal}: {_KEPT:g} of our own without", mine, free, _KEPT, more=more)
        hand = f"{goal}: {_OF_LIMIT:g} of tracking flows written by hand"
        yield share(hand, mine, limit, _OF_LIMIT, more=more)
        yield share(f"{goal}: better than OVN's", mine, theirs, 1.0, more=more)
