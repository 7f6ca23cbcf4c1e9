"""The goals for guests' own services, each judged within one run."""

from collections.abc import Iterator

from bench.targets import Medians, Verdict, compare

_KEY = "guests"
_LIMITS_MS = {"DHCP, p99": 5.0, "DNS, repeated names, p99": 2.0, "DNS, new names, p99": 2.0}
_FLOOD, _SHARE = ", beside a ", "answered of its meter's share"
_MEMORY_MIB = 80.0


def judge_guests(medians: Medians) -> Iterator[Verdict]:
    """Yield the verdict on every goal."""
    for variant, limit in _LIMITS_MS.items():
        for size in medians.sizes(_KEY, variant, "ours"):
            goal = f"guests, {variant}: under {limit:g} ms with {size:,} ports on the host"
            yield compare(goal, medians.get(_KEY, variant, size, "ours"), limit, "ms")
    for variant in medians.variants(_KEY):
        for size in medians.sizes(_KEY, variant, "ours"):
            yield from _judge_one(medians, variant, size)


def _judge_one(medians: Medians, variant: str, size: int) -> Iterator[Verdict]:
    mine = medians.get(_KEY, variant, size, "ours")
    where = f"with {size:,} ports on the host"
    if variant.endswith(_SHARE):
        yield compare(f"guests, {variant}: at most all of it {where}", mine, 100.0, "%")
    elif variant.startswith("memory") and size >= 500:
        yield compare(f"guests, {variant}: under 80 MiB {where}", mine, _MEMORY_MIB, "MiB")
    elif _FLOOD in variant and variant.endswith("p99"):
        goal = f"guests, {variant}: within what calm rounds show {where}"
        yield compare(goal, mine, _calm(medians, variant, size), "ms")


def _calm(medians: Medians, variant: str, size: int) -> float | None:
    """Return the 95th percentile of the same series' rounds without a flood: their noise."""
    calm = f"{variant.partition(_FLOOD)[0]}, p99"
    wanted = (_KEY, calm, size, "ours")
    for item in medians.summaries:
        if (item.key, item.variant, item.size, item.system) == wanted:
            return item.clean.p95
    return None
