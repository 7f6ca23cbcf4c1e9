"""The goals, each judged by ratios within one run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.stats import Summary

LIMIT = "limit: ovs-ofctl --bundle add-flows, wall"
WRONG_FLOWS = "flows missing or alien afterwards"
LOADED = "flows loaded after a reconnect, wall"
BETTER_WHEN_MORE = ("TCP throughput", "UDP 64-byte packets")
FLAT, LARGEST = 1.2, 20_000
"""Up to so many ports a change may take at most so many times what it takes in a small network."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a goal was reached.

    Attributes:
        goal: the goal in words.
        measured: what was measured, in words.
        met: True, False, or None when this run did not measure it.
    """

    goal: str
    measured: str
    met: bool | None


class Medians:
    """Medians of a run, by what they are of."""

    def __init__(self, summaries: Sequence[Summary]) -> None:
        self._values = {
            (item.key, item.variant, item.size, item.system): item.clean for item in summaries
        }
        self.summaries = tuple(summaries)

    def get(self, key: str, variant: str, size: int, system: str) -> float | None:
        """Return a median, None when it was not measured."""
        found = self._values.get((key, variant, size, system))
        return None if found is None else found.median

    def worst(self, key: str, variant: str, size: int, system: str) -> float | None:
        """Return the largest value, None when there is none."""
        found = self._values.get((key, variant, size, system))
        return None if found is None else found.maximum

    def sizes(self, key: str, variant: str, system: str) -> list[int]:
        """Return the sizes at which something was measured, ascending."""
        wanted = (key, variant, system)
        return sorted({name[2] for name in self._values if (name[0], name[1], name[3]) == wanted})

    def variants(self, key: str) -> list[str]:
        """Return the variants of *key*, in order."""
        return list(dict.fromkeys(name[1] for name in self._values if name[0] == key))


def judge(summaries: Sequence[Summary]) -> tuple[Verdict, ...]:
    """Return the verdict on every goal."""
    medians = Medians(summaries)
    parts: tuple[Callable[[Medians], Iterator[Verdict]], ...] = (
        _latencies,
        _flat,
        _one_port,
        _restarts,
        _cold_start,
        _dataplane,
        _simulated,
        _memory,
    )
    return tuple(verdict for part in parts for verdict in part(medians))


def compare(goal: str, mine: float | None, bound: float | None, unit: str) -> Verdict:
    """Return the verdict that *mine* is at most *bound*; None: not measured."""
    if mine is None or bound is None:
        return Verdict(goal, "not measured", None)
    return Verdict(goal, f"{mine:.3g} against {bound:.3g} {unit}", mine <= bound)


def _latencies(medians: Medians) -> Iterator[Verdict]:
    for key in ("attach_ms", "plug_ms", "move_gap_ms"):
        for variant in medians.variants(key):
            goal = f"{key}, {variant}: median at most OVN's at 100 ports"
            mine = medians.get(key, variant, 100, "ours")
            yield compare(goal, mine, medians.get(key, variant, 100, "ovn"), "ms")


def _flat(medians: Medians) -> Iterator[Verdict]:
    for key, only in (
        ("attach_ms", None),
        ("plug_ms", None),
        ("move_gap_ms", None),
        ("add_one_port", "CPU of the control plane"),
    ):
        for variant in medians.variants(key):
            if only in (None, variant):
                yield flat(medians, key, variant, small=100, large=LARGEST)


def flat(medians: Medians, key: str, variant: str, *, small: int, large: int) -> Verdict:
    """Return the verdict on a network of *large* ports against one of *small*.

    What a run that ended earlier says of smaller ones is told and is no verdict.
    """
    sizes = [size for size in medians.sizes(key, variant, "ours") if size <= large]
    largest = max(sizes, default=0)
    goal = f"{key}, {variant}: at {large:,} ports at most {FLAT} times its own at {small:,}"
    base = medians.get(key, variant, small, "ours")
    if base is None or largest <= small:
        return Verdict(goal, "not measured", None)
    found = compare(goal, medians.get(key, variant, largest, "ours"), FLAT * base, "ms")
    if largest == large:
        return found
    return Verdict(goal, f"not measured; at {largest:,} ports {found.measured}", None)


def _one_port(medians: Medians) -> Iterator[Verdict]:
    variant = "CPU of the control plane"
    for size in medians.sizes("add_one_port", variant, "ours"):
        if size >= 1_000:
            goal = f"add_one_port CPU below OVN's at {size:,} ports"
            mine = medians.get("add_one_port", variant, size, "ours")
            yield compare(goal, mine, medians.get("add_one_port", variant, size, "ovn"), "ms")


def _restarts(medians: Medians) -> Iterator[Verdict]:
    """Yield the verdicts on restarts: on the worst of them, not on most of them."""
    for part in ("control plane", "agent"):
        for size in medians.sizes("restart_gap_ms", f"{part}: lost probes", "ours"):
            for variant, goal, bound, unit in (
                ("lost probes", "no probe lost, ever", 0.0, "probes"),
                ("until all flows are right", "all flows right within 1 s, always", 1000.0, "ms"),
                (WRONG_FLOWS, "the flows are what they were, always", 0.0, "flows"),
            ):
                worst = medians.worst("restart_gap_ms", f"{part}: {variant}", size, "ours")
                yield compare(f"{part} restarted at {size:,} ports: {goal}", worst, bound, unit)


def _cold_start(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("cold_start"):
        if variant in (LIMIT, LOADED):
            continue
        for size in medians.sizes("cold_start", variant, "ours"):
            goal = f"cold_start, {variant}, below OVN's at {size:,} ports"
            mine = medians.get("cold_start", variant, size, "ours")
            yield compare(goal, mine, medians.get("cold_start", variant, size, "ovn"), "ms")
    for size in medians.sizes("cold_start", LOADED, "ours"):
        best = medians.get("cold_start", LIMIT, size, "ours")
        goal = f"loading at {size:,} ports at least at 60 % of ovs-ofctl --bundle's rate"
        bound = best / 0.6 if best is not None else None
        yield compare(goal, medians.get("cold_start", LOADED, size, "ours"), bound, "ms")


def _dataplane(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("dataplane"):
        size = max(medians.sizes("dataplane", variant, "ours"), default=None)
        if size is None:
            continue
        more = variant.startswith(BETTER_WHEN_MORE)
        mine, raw, theirs = (
            medians.get("dataplane", variant, size, system) for system in ("ours", "static", "ovn")
        )
        least = 0.93 if "routed" in variant else 0.97
        yield share(f"dataplane, {variant}: {least} of raw VXLAN", mine, raw, least, more=more)
        yield share(f"dataplane, {variant}: better than OVN's", mine, theirs, 1.0, more=more)


def share(
    goal: str, mine: float | None, other: float | None, least: float, *, more: bool
) -> Verdict:
    """Return the verdict that *mine* is good to a share *least* of *other*; is *more* better?"""
    if not mine or not other:
        return Verdict(goal, "not measured", None)
    value = mine / other if more else other / mine
    return Verdict(goal, f"{value:.3f}", value >= least)


def _simulated(medians: Medians) -> Iterator[Verdict]:
    for variant in medians.variants("simulated_hosts"):
        if not variant.endswith("p99"):
            continue
        for size in medians.sizes("simulated_hosts", variant, "ours"):
            p99 = medians.get("simulated_hosts", variant, size, "ours")
            goal = f"simulated hosts, {size:,} ports, {variant}, under 1 s"
            yield compare(goal, p99, 1000.0, "ms")


def _memory(medians: Medians) -> Iterator[Verdict]:
    sizes = [size for size in medians.sizes("memory", "control plane", "ours") if size <= 10_000]
    if sizes:
        mine = medians.get("memory", "control plane", sizes[-1], "ours")
        goal = f"control-plane memory at {sizes[-1]:,} ports under 300 MiB"
        yield compare(goal, mine, 300.0, "MiB")
