"""Statistics of latencies: percentiles, outliers, and confidence intervals of ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int64]
"""Durations of single calls in nanoseconds, int64 ``[N]``."""

RUNS_FOR_P999 = 10_000
"""With fewer, less than ten lie beyond the 99.9th percentile: too few to estimate it."""

PROCESSES_FOR_INTERVAL = 5
"""With fewer, `ratio`'s interval is too narrow: it contains the true value in 90 of 100 cases with
3 processes, in 70 with 2 and in none with 1 (simulated)."""

MAX_PROCESSES = 1000
"""Most processes per variant, 200 times the usual number; `ratio` takes 80 kB for each."""


@dataclass(frozen=True)
class Latency:
    """The distribution of the latency of a call, in microseconds.

    Attributes:
        runs: number of timed calls.
        p50_us: median.
        p90_us: 90th percentile.
        p99_us: 99th percentile.
        p999_us: 99.9th percentile; null with fewer than 10,000 calls.
        min_us: minimum.
        mean_us: mean.
        std_us: standard deviation.
        outliers: number of calls above the third quartile by more than three times the
            interquartile range (Tukey, Exploratory Data Analysis, 1977). They are counted here and
            included in all other figures.
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
    """Summarize the calls; percentiles are interpolated linearly.

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
    """How far processes differ: the range of their medians divided by the median of these."""
    return (max(medians) - min(medians)) / float(np.median(medians))


@dataclass(frozen=True)
class Interval:
    """A value with its 95% confidence interval."""

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Whether `value` lies within it."""
        return self.low <= value <= self.high


def ratio(
    ours: Sequence[float], theirs: Sequence[float], *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The ratio of two medians with a bootstrap interval.

    Percentile bootstrap (Efron, Annals of Statistics 7, 1979). Processes are resampled, not calls:
    the calls within a process are not independent, and counting each of them would make the
    interval far too narrow.

    Args:
        ours: medians of the processes of one measurement.
        theirs: medians of the processes that it is compared with.
        resamples: number of resamples of both, with replacement.
        seed: the same seed gives the same interval.

    Returns:
        ``median(ours) / median(theirs)`` and the range of 95% of the resampled ratios.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        np.median(rng.choice(np.asarray(medians, float), (resamples, len(medians))), axis=1)
        for medians in (ours, theirs)
    ]
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    value = float(np.median(ours) / np.median(theirs))
    # The median of few values need not lie within the percentiles of its resamples.
    return Interval(value, min(value, float(low)), max(value, float(high)))
