import math

import pytest

from bench.stats import Sample, figures, quantile, ratio, silence, summarise


def sample(value, *, system="ours", stalled=False, size=100):
    return Sample("attach_ms", "routed", size, system, value, "ms", stalled)


def test_quantile_between_ranks_interpolates():
    assert quantile([10.0, 20.0, 30.0, 40.0], 0.5) == 25.0
    assert quantile([7.0], 0.95) == 7.0
    assert quantile([3.0, 1.0, 2.0], 0.0) == 1.0
    assert quantile([3.0, 1.0, 2.0], 1.0) == 3.0


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_quantile_of_nothing_or_outside_is_refused(values, share):
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, share)


def test_figures_of_values():
    found = figures([float(value) for value in range(1, 101)])
    assert (found.count, found.minimum, found.median) == (100, 1.0, 50.5)
    assert found.p95 == pytest.approx(95.05)


def test_summary_leaves_stalled_samples_out_and_keeps_them_beside():
    (found,) = summarise([sample(10.0), sample(12.0), sample(180.0, stalled=True)])
    assert found.left_out == 1
    assert found.clean.median == 11.0
    assert found.everything.median == 12.0
    assert found.everything.count == 3


def test_summary_of_only_stalled_samples_uses_them():
    (found,) = summarise([sample(150.0, stalled=True), sample(170.0, stalled=True)])
    assert found.left_out == 0
    assert found.clean.median == 160.0


def test_summary_groups_by_system_and_size():
    found = summarise([sample(1.0), sample(2.0, system="ovn"), sample(3.0, size=1000), sample(5.0)])
    assert [(item.system, item.size, item.clean.count) for item in found] == [
        ("ours", 100, 2),
        ("ovn", 100, 1),
        ("ours", 1000, 1),
    ]


def test_ratio_to_nothing_is_none():
    assert ratio(3.0, 0.0) is None
    assert ratio(3.0, 6.0) == 0.5


def train(pattern, interval=0.001):
    sent = [index * interval for index in range(len(pattern))]
    return sent, [
        time + 0.0002 if mark == "x" else None for time, mark in zip(sent, pattern, strict=True)
    ]


def test_silence_counts_lost_probes_in_the_longest_gap():
    found = silence(*train("xxx.....xx.x"), 0.001)
    assert found.longest_ms == pytest.approx(5.0)
    assert found.lost == 6
    assert found.sent == 12


def test_silence_of_an_unbroken_train_is_zero():
    found = silence(*train("xxxxx"), 0.001)
    assert (found.longest_ms, found.lost) == (0.0, 0)


def test_silence_ignores_probes_still_under_way_at_the_end():
    assert silence(*train("xxxx.."), 0.001).lost == 0


def test_silence_without_any_answer_is_infinite():
    assert math.isinf(silence(*train("...."), 0.001).longest_ms)
