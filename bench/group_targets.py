"""The goals for security groups, each judged by ratios within one run."""

from collections.abc import Iterator

from bench.targets import BETTER_WHEN_MORE, Medians, Verdict, compare, share

_WITHOUT, _WITH = "dataplane", "dataplane_groups"
_KEPT = 0.90
_FLAT, _LARGE = 1.2, 10_000
"""Up to so many ports a change may take at most so many times what it takes in a small network."""


def judge_groups(medians: Medians) -> Iterator[Verdict]:
    """Yield the verdict on every goal."""
    yield from judge_change(medians, "rule_ms")
    yield from _members(medians)
    yield from _scale(medians)
    yield from _dataplane(medians)


def judge_change(medians: Medians, key: str) -> Iterator[Verdict]:
    """Yield the verdicts on a change: against OVN's, and against its own in a small network."""
    for variant in medians.variants(key):
        mine = {
            size: medians.get(key, variant, size, "ours")
            for size in medians.sizes(key, variant, "ours")
        }
        goal = f"{key}, {variant}: median at most OVN's at 100 ports"
        theirs = medians.get(key, variant, 100, "ovn")
        yield compare(goal, mine.get(100), theirs, "ms")
        small, large = mine.get(100), max((size for size in mine if size <= _LARGE), default=0)
        if small is not None and large > 100:
            goal = f"{key}, {variant}: at {large:,} ports at most {_FLAT} times its own at 100"
            yield compare(goal, mine[large], _FLAT * small, "ms")


def _members(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("member_ms"):
        for size in medians.sizes("member_ms", variant, "ours"):
            goal = f"member_ms, {variant}: median at most OVN's at {size:,} ports"
            mine = medians.get("member_ms", variant, size, "ours")
            yield compare(goal, mine, medians.get("member_ms", variant, size, "ovn"), "ms")
        yield from _flat(medians, variant)


def _flat(medians: Medians, variant: str) -> Iterator[Verdict]:
    """Yield the verdict on the largest network against the smallest one, as for a rule."""
    sizes = [size for size in medians.sizes("member_ms", variant, "ours") if size <= _LARGE]
    small, large = min(sizes, default=0), max(sizes, default=0)
    if small < large:
        times = f"at most {_FLAT} times its own at {small:,}"
        goal = f"member_ms, {variant}: at {large:,} ports {times}"
        first, last = (medians.get("member_ms", variant, one, "ours") for one in (small, large))
        yield compare(goal, last, None if first is None else _FLAT * first, "ms")


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
        mine, free, theirs = (
            medians.get(key, variant, size, system)
            for key, system in ((_WITH, "ours"), (_WITHOUT, "ours"), (_WITH, "ovn"))
        )
        goal = f"{variant}, with stateful groups"
        yield share(f"{goal}: {_KEPT:g} of our own without", mine, free, _KEPT, more=more)
        yield share(f"{goal}: better than OVN's", mine, theirs, 1.0, more=more)
