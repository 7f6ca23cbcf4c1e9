"""Figures from samples: minimum, median and 95th percentile, with and without stalled samples."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value.

    Attributes:
        key: which measurement, such as ``attach_ms``.
        variant: which form of it, such as ``same subnet``.
        size: number of mass ports that existed.
        system: ``ovn``, ``ours``, ``static``.
        value: the value, in *unit*.
        unit: ``ms``, ``Gbit/s`` …
        stalled: a machine stall touched it.
        detail: what else is known, for the results file.
    """

    key: str
    variant: str
    size: int
    system: str
    value: float
    unit: str
    stalled: bool = False
    detail: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Figures:
    """Minimum, median, 95th percentile, maximum and number of values."""

    count: int
    minimum: float
    median: float
    p95: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a group of samples says.

    Attributes:
        clean: figures of the samples that no stall touched; of all when every one was touched.
        everything: figures of all samples.
        left_out: how many samples ``clean`` leaves out.
    """

    key: str
    variant: str
    size: int
    system: str
    unit: str
    clean: Figures
    everything: Figures
    left_out: int


def quantile(values: Sequence[float], share: float) -> float:
    """Return the *share* quantile of *values* by linear interpolation between closest ranks.

    Raises:
        ValueError: there is no value, or *share* is outside 0 … 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError("a quantile needs a value and a share between 0 and 1")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def figures(values: Sequence[float]) -> Figures:
    """Return the figures of *values*."""
    middle, high = quantile(values, 0.5), quantile(values, 0.95)
    return Figures(len(values), min(values), middle, high, max(values))


def summarise(samples: Sequence[Sample]) -> tuple[Summary, ...]:
    """Return one summary per key, variant, size and system, in order of first appearance."""
    groups: dict[tuple[str, str, int, str, str], list[Sample]] = {}
    for sample in samples:
        name = (sample.key, sample.variant, sample.size, sample.system, sample.unit)
        groups.setdefault(name, []).append(sample)
    return tuple(_summary(name, group) for name, group in groups.items())


def _summary(name: tuple[str, str, int, str, str], group: list[Sample]) -> Summary:
    everything = [sample.value for sample in group]
    clean = [sample.value for sample in group if not sample.stalled]
    left_out = len(everything) - len(clean) if clean else 0
    return Summary(*name, figures(clean or everything), figures(everything), left_out)


def ratio(ours: float, theirs: float) -> float | None:
    """Return *ours* / *theirs*; None when *theirs* is 0 and no ratio can be said."""
    return ours / theirs if theirs else None


@dataclass(frozen=True, slots=True)
class Silence:
    """What a train of probes says about an interruption.

    Attributes:
        longest_ms: longest time between an answered probe and the next answered one, less the
            probes' interval: 0 when none was lost. Infinite when none was answered after.
        lost: probes that were never answered, up to the last answered one.
        sent: probes sent up to then.
    """

    longest_ms: float
    lost: int
    sent: int


def silence(sent: Sequence[float], answered: Sequence[float | None], interval: float) -> Silence:
    """Return the longest silence in a train of probes.

    Args:
        sent: time of sending of each probe, seconds.
        answered: time of its answer, or None.
        interval: intended time between probes, seconds.
    """
    good = [index for index, answer in enumerate(answered) if answer is not None]
    if not good:
        return Silence(math.inf, len(sent), len(sent))
    longest = max(
        (
            sent[after] - sent[before]
            for before, after in itertools.pairwise(good)
            if after > before + 1
        ),
        default=interval,
    )
    last = good[-1]
    return Silence(max(0.0, longest - interval) * 1000, last + 1 - len(good), last + 1)
