"""Statistics of latencies: percentiles, outliers, and how sure a median or a ratio is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int64]
"""Nanoseconds that single runs took, int64 ``[N]``."""

RUNS_FOR_P999 = 10_000
"""Fewer runs hold less than ten beyond the 99.9th percentile, too few to say where it is."""

PROCESSES_FOR_INTERVAL = 5
"""With fewer, `ratio`'s interval is too narrow: of 100 it holds the truth in 90 with 3, in 70 with
2, in none with 1 (simulated)."""


@dataclass(frozen=True)
class Latency:
    """How long a run takes, microseconds.

    Attributes:
        runs: how many were timed.
        p50_us: the median.
        p90_us: 90% take no longer.
        p99_us: 99% take no longer.
        p999_us: 99.9% take no longer; None under `RUNS_FOR_P999` runs.
        min_us: the shortest.
        mean_us: the mean.
        std_us: the standard deviation.
        outliers: how many lie further above the third quartile than three times the distance of
            the quartiles (Tukey, Exploratory Data Analysis, 1977). They are counted, and are in
            all the other figures.
    """

    runs: int
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float | None
    min_us: float
    mean_us: float
    std_us: float
    outliers: int


def latency(samples: Samples) -> Latency:
    """Describe the runs; percentiles are interpolated linearly.

    Args:
        samples: nanoseconds, int64 ``[N]``, N at least 1.
    """
    us = samples / 1000
    q1, p50, q3, p90, p99, p999 = np.percentile(us, [25, 50, 75, 90, 99, 99.9])
    return Latency(
        runs=len(us),
        p50_us=float(p50),
        p90_us=float(p90),
        p99_us=float(p99),
        p999_us=float(p999) if len(us) >= RUNS_FOR_P999 else None,
        min_us=float(us.min()),
        mean_us=float(us.mean()),
        std_us=float(us.std()),
        outliers=int((us > q3 + 3 * (q3 - q1)).sum()),
    )


def spread(medians: Sequence[float]) -> float:
    """How far processes differ: the range of their medians as a share of the middle one."""
    return (max(medians) - min(medians)) / float(np.median(medians))


@dataclass(frozen=True)
class Interval:
    """A value with its 95% confidence interval."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies within it."""
        return self.low <= value <= self.high


def ratio(
    ours: Sequence[float], theirs: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The ratio of two medians with a bootstrap interval.

    Percentile bootstrap (Efron, Annals of Statistics 7, 1979). What is resampled are processes:
    the runs within one are not independent, so counting each of them would make the interval far
    too narrow.

    Args:
        ours: medians of the processes of one measurement.
        theirs: of the one that it is compared with.
        resamples: how often both are drawn again, with replacement.
        seed: the same seed gives the same interval.

    Returns:
        ``median(ours) / median(theirs)`` and where 95% of the resampled ratios lie.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        np.median(rng.choice(np.asarray(medians, float), (resamples, len(medians))), axis=1)
        for medians in (ours, theirs)
    ]
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    value = float(np.median(ours) / np.median(theirs))
    # The middle of few values need not lie within the percentiles of its resamples.
    return Interval(value, min(value, float(low)), max(value, float(high)))
