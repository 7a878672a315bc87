from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitkit.benchmark import stats
from digitkit.benchmark.stats import Interval


def samples(*microseconds: float) -> np.ndarray:
    return np.round(np.multiply(microseconds, 1000)).astype(np.int64)


@pytest.mark.parametrize(
    ("durations", "figures"),
    [  # runs, p50, p90, p99, p99.9, minimum, mean, standard deviation, outliers
        (samples(*range(101)), (101, 50, 90, 99, None, 0, 50, 29.1547595, 0)),
        (samples(31.25), (1, 31.25, 31.25, 31.25, None, 31.25, 31.25, 0.0, 0)),
        (samples(10, 20), (2, 15, 19, 19.9, None, 10, 15, 5, 0)),  # interpolated
        (samples(20, 10), (2, 15, 19, 19.9, None, 10, 15, 5, 0)),  # in any order
        (np.full(5, 3600 * 10**9), (5, *[3.6e9] * 3, None, 3.6e9, 3.6e9, 0, 0)),  # no overflow
    ],
)
def test_latency(durations, figures):
    assert astuple(stats.latency(durations)) == pytest.approx(figures)


def test_the_99_9th_percentile_needs_many_calls_and_outliers_are_counted():
    assert stats.latency(np.arange(9_999)).p999_us is None
    assert stats.latency(np.arange(10_000)).p999_us == pytest.approx(9.989001)
    # Quartiles 20 and 30: what is over 60 is an outlier.
    calm = [10, 20, 20, 25, 30, 30]
    assert stats.latency(samples(*calm, 60)).outliers == 0
    latency = stats.latency(samples(*calm, 20, 30, 60.001, 5000))
    assert (latency.outliers, latency.runs) == (2, 10)
    assert latency.mean_us > 500  # they are in the other figures
    assert stats.latency(samples(1, 100, 100, 100, 100, 100)).outliers == 0


def test_spread():
    spreads = [stats.spread(medians) for medians in ([7.0], [9, 10, 11], [30, 10, 10], [10, 30])]
    assert spreads == pytest.approx([0, 0.2, 2.0, 1.0])


def test_the_ratio_of_the_same_samples():
    medians = [10.0, 10.5, 9.8, 10.1, 10.2]
    ratio = stats.ratio(medians, medians)
    assert ratio.low < ratio.value == 1.0 < ratio.high
    inside = [ratio.contains(value) for value in (0.5, ratio.low, 1.0, ratio.high, 2)]
    assert inside == [False, True, True, True, False]
    assert stats.ratio([10.0] * 5, [10.0] * 5) == Interval(1.0, 1.0, 1.0)


def test_a_ratio_turned_round_is_its_inverse_and_the_seed_decides_on_the_interval():
    ours, theirs = [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]
    there, back = stats.ratio(ours, theirs), stats.ratio(theirs, ours)
    assert (there.value, back.value) == pytest.approx((12 / 22, 22 / 12))
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low), rel=0.02)
    few = [stats.ratio(ours, theirs, seed=seed, resamples=9) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]


MEDIANS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=6)


@given(MEDIANS, MEDIANS)
def test_the_interval_contains_the_ratio_itself(ours, theirs):
    ratio = stats.ratio(ours, theirs, resamples=50)
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.low >= min(ours) / max(theirs) * (1 - 1e-9)
    assert ratio.high <= max(ours) / min(theirs) * (1 + 1e-9)


@pytest.mark.parametrize(("processes", "most"), [(5, 1.0), (20, 0.99)])
def test_how_often_the_interval_contains_the_truth(processes, most):
    """Of pairs that are drawn from populations with medians 1 and 2."""
    pairs = np.random.default_rng(1).lognormal(0, 0.05, (300, 2, processes))
    contained = [stats.ratio(a, 2 * b, resamples=500).contains(0.5) for a, b in pairs]
    assert 0.92 <= np.mean(contained) <= most
