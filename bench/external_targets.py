"""The goals for external networks, each judged by ratios within one run."""

from collections.abc import Iterator

from bench.group_targets import judge_change
from bench.targets import BETTER_WHEN_MORE, LARGEST, Medians, Verdict, compare, share

_DATAPLANE, _FAILOVER, _MANY = "eip_dataplane", "gateway_failover_ms", "simulated_eips"
_STATELESS, _TRACKED = 0.93, 0.90
_LIMIT_MS = 1_000.0


def judge_external(medians: Medians) -> Iterator[Verdict]:
    """Yield the verdict on every goal."""
    yield from judge_change(medians, "eip_ms", LARGEST)
    yield from _dataplane(medians)
    yield from _failover(medians)
    yield from _many(medians)


def _dataplane(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants(_DATAPLANE):
        size = max(medians.sizes(_DATAPLANE, variant, "ours"), default=None)
        if size is None:
            continue
        more = variant.startswith(BETTER_WHEN_MORE)
        mine, raw, theirs = (
            medians.get(_DATAPLANE, variant, size, system) for system in ("ours", "static", "ovn")
        )
        least = _TRACKED if "NAT gateway" in variant else _STATELESS
        goal = f"{_DATAPLANE}, {variant}"
        yield share(f"{goal}: {least:g} of static NAT flows", mine, raw, least, more=more)
        yield share(f"{goal}: better than OVN's", mine, theirs, 1.0, more=more)


def _failover(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants(_FAILOVER):
        for size in medians.sizes(_FAILOVER, variant, "ours"):
            mine = medians.get(_FAILOVER, variant, size, "ours")
            goal = f"{_FAILOVER}, {variant}: silence of at most 1 s at {size:,} ports"
            yield compare(goal, mine, _LIMIT_MS, "ms")
            goal = f"{_FAILOVER}, {variant}: at most OVN's at {size:,} ports"
            yield compare(goal, mine, medians.get(_FAILOVER, variant, size, "ovn"), "ms")


def _many(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants(_MANY):
        sizes = medians.sizes(_MANY, variant, "ours")
        if not variant.startswith("one association") or len(sizes) < 2:
            continue
        few, many = sizes[0], sizes[-1]
        base = medians.get(_MANY, variant, few, "ours")
        bound = None if base is None else 1.2 * base
        goal = f"{_MANY}, {variant}: with {many:,} EIPs at most 1.2 times its own with {few}"
        yield compare(goal, medians.get(_MANY, variant, many, "ours"), bound, "ms")
