"""What to run on a device, from a benchmark that was made there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitkit.benchmark import stats
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.report import BenchReport
from digitkit.benchmark.units import format_threads
from digitkit.benchmark.variants import MeasuredVariant
from digitkit.choices import Precision
from digitkit.errors import ConfigError, GateError, ReportError, check_positive, check_range
from digitkit.models.profiles import Profile, check_shipped

MAX_ACCURACY_DROP = 0.001
"""Accuracy that may be given up for speed unless something else is asked for: 0.1 percentage
points."""

MAX_TIME_RATIO = 0.95
"""A variant that needs more (threads, a larger batch) must take at most this fraction of the time
of one that needs less."""


@dataclass(frozen=True)
class RecommendConfig:
    """What a recommendation must satisfy.

    Attributes:
        max_latency: the 90th percentile of the latency may be at most this, in milliseconds; None
            for no limit.
        max_accuracy_drop: how far accuracy, 0–1, may be below the most accurate variant; None for
            `MAX_ACCURACY_DROP` below the most accurate that is quick enough.
        save: whether it is to be kept as this device's profile.

    Raises:
        ConfigError: a limit is out of range.
    """

    max_latency: float | None = None
    max_accuracy_drop: float | None = None
    save: bool = False

    def __post_init__(self) -> None:
        """Refuse limits that are out of range."""
        if self.max_latency is not None:
            check_positive("max_latency", self.max_latency)
        if self.max_accuracy_drop is not None:
            check_range("max_accuracy_drop", self.max_accuracy_drop, 0, 1)

    def check_benchmark(self, config: BenchConfig, cores: int) -> None:
        """Refuse a benchmark that could not answer, before it takes minutes.

        Args:
            config: what will be measured.
            cores: number of usable cores.

        Raises:
            ConfigError: a figure that a limit needs would not be measured, or a profile could not
                be kept.
            ReportError: a model is not a shipped one, and no profile can be kept of it.
        """
        if self.max_accuracy_drop is not None:
            if not config.accuracy:
                raise ConfigError("requires accuracy to be measured", field="max_accuracy_drop")
            if config.find_data() is None:
                raise ConfigError(
                    "requires labelled digits, and MNIST is not on this disk",
                    hint="name some with --data",
                    field="max_accuracy_drop",
                )
        if self.save:
            if config.quick:
                raise ConfigError(
                    "cannot be used with --quick: its figures are rough", field="save"
                )
            if max(config.threads) > cores:
                raise ConfigError(
                    f"cannot keep a profile with more threads than cores ({cores}): digitkit infer "
                    "would ignore it",
                    field="save",
                )
            check_shipped(config.models)


@dataclass(frozen=True)
class _Candidate:
    """A variant of a digitkit model in ONNX Runtime."""

    variant: MeasuredVariant
    precision: Precision

    @property
    def accuracy(self) -> float:
        return self.variant.accuracy or 0.0

    def surely_faster_than(self, other: _Candidate, at_most: float) -> bool:
        """Whether it takes at most this fraction of another's time, beyond chance."""
        medians = [[process.p50_us for process in one.variant.processes] for one in (self, other)]
        ratio = stats.ratio(*medians)
        return ratio.high < 1 and ratio.value <= at_most


def recommend(
    report: BenchReport, config: RecommendConfig = RecommendConfig()
) -> tuple[Profile, ...]:
    """What to run on the machine of a report, one profile for each model in it.

    Of the variants in ONNX Runtime that are accurate and quick enough, the fastest on the smallest
    batch decides precision and threads; more threads must be worthwhile. The batch is the one with
    most images per second within the latency. Variants whose processes disagree are ignored.

    Args:
        report: measured on the device.
        config: the limits.

    Raises:
        GateError: nothing is accurate and quick enough, the accuracy is not known, or the processes
            of every variant disagree.
        ReportError: it has no figures of digitkit models in ONNX Runtime.
    """
    precisions = {model.name: model.precision for model in report.models}
    families: dict[str, list[_Candidate]] = {}
    for variant in report.measured:
        precision = precisions.get(variant.model)
        if variant.runtime == "onnxruntime" and precision is not None:
            family = variant.model.removesuffix(f"-{precision}")
            families.setdefault(family, []).append(_Candidate(variant, precision))
    if not families:
        raise ReportError("nothing to recommend: no digitkit model was measured in onnxruntime")
    if "onnxruntime" not in report.environment.versions:
        raise ReportError("does not state the version of ONNX Runtime, which a profile requires")
    return tuple(
        _recommend_one(family, candidates, report, config)
        for family, candidates in families.items()
    )


def _recommend_one(
    family: str, candidates: Sequence[_Candidate], report: BenchReport, config: RecommendConfig
) -> Profile:
    limit = math.inf if config.max_latency is None else config.max_latency * 1000
    stable = _keep_stable(family, candidates, report.settings.max_spread)
    smallest = min(one.variant.batch for one in stable)
    single = [one for one in stable if one.variant.batch == smallest]
    quick = _keep_quick(family, single, limit)
    accurate = _keep_accurate(family, single, quick, config)
    chosen = _choose(accurate)
    bulk = _choose_batch(chosen, stable, limit)
    several_batches = len({one.variant.batch for one in stable}) > 1
    names = {one.variant.model for one in stable}
    return Profile(
        model=family,
        precision=chosen.precision,
        threads=chosen.variant.threads,
        batch=bulk.variant.batch if several_batches else None,
        p50_us=chosen.variant.p50_us,
        images_per_second=bulk.variant.images_per_second,
        accuracy=chosen.variant.accuracy,
        why=_explain(chosen, bulk, single, accurate),
        sha256={
            model.precision: model.sha256
            for model in report.models
            if model.name in names and model.precision and model.sha256
        },
        onnxruntime=report.environment.versions["onnxruntime"],
        cpu=report.environment.machine.cpu,
        created=report.created,
    )


def _keep_stable(
    family: str, candidates: Sequence[_Candidate], max_spread: float
) -> list[_Candidate]:
    stable = [one for one in candidates if one.variant.spread <= max_spread]
    if not stable:
        raise GateError(
            f"{family}: nothing can be recommended, the processes of every variant differ by more "
            f"than {max_spread:.0%}",
            hint="stop other programs, or raise --max-spread",
        )
    return stable


def _keep_quick(family: str, single: Sequence[_Candidate], limit_us: float) -> list[_Candidate]:
    quick = [one for one in single if one.variant.p90_us <= limit_us]
    if not quick:
        best = min((one.variant for one in single), key=lambda variant: variant.p90_us)
        raise GateError(
            f"{family}: no variant has a 90th percentile within {limit_us / 1000:g} ms; the best "
            f"is {best.name} with {best.p90_us / 1000:.3g} ms"
        )
    return quick


def _keep_accurate(
    family: str,
    single: Sequence[_Candidate],
    quick: Sequence[_Candidate],
    config: RecommendConfig,
) -> list[_Candidate]:
    drop = config.max_accuracy_drop
    unknown = [one.variant for one in single if one.variant.accuracy is None]
    if unknown:
        if drop is None:
            return list(quick)
        raise GateError(
            f"{family}: the accuracy of some variants is not known ({unknown[0].accuracy_note})"
        )
    reference = quick if drop is None else single
    least = max(one.accuracy for one in reference) - (MAX_ACCURACY_DROP if drop is None else drop)
    accurate = [one for one in quick if one.accuracy >= least - 1e-9]
    if not accurate:
        raise GateError(f"{family}: no variant that is quick enough has an accuracy of {least:.2%}")
    return accurate


def _choose(candidates: Sequence[_Candidate]) -> _Candidate:
    """The fastest; of equals that with fewest threads, then the most accurate."""
    ordered = sorted(candidates, key=lambda one: (one.variant.threads, -one.accuracy))
    chosen = ordered[0]
    for other in ordered[1:]:
        same_threads = other.variant.threads == chosen.variant.threads
        if other.surely_faster_than(chosen, at_most=1.0 if same_threads else MAX_TIME_RATIO):
            chosen = other
    return chosen


def _choose_batch(
    chosen: _Candidate, candidates: Sequence[_Candidate], limit_us: float
) -> _Candidate:
    """The chosen precision and threads, in the batch with most images per second."""
    bulk = chosen
    for other in sorted(candidates, key=lambda one: one.variant.batch):
        same = (other.precision, other.variant.threads) == (
            *(chosen.precision, chosen.variant.threads),
        )
        rate = other.variant.images_per_second * MAX_TIME_RATIO
        if same and other.variant.p90_us <= limit_us and rate > bulk.variant.images_per_second:
            bulk = other
    return bulk


def _explain(
    chosen: _Candidate,
    bulk: _Candidate,
    single: Sequence[_Candidate],
    accurate: Sequence[_Candidate],
) -> str:
    sentences = []
    threads = chosen.variant.threads
    for other in single:
        same_threads = other.variant.threads == threads
        same_precision = other.precision == chosen.precision
        if same_threads and not same_precision:
            names: tuple[str, str] = (chosen.precision, other.precision)
        elif same_precision and not same_threads:
            names = (format_threads(threads), format_threads(other.variant.threads))
        else:
            continue
        sentences.append(_contrast(chosen, other, *names, usable=other in accurate))
    if bulk.variant.batch > chosen.variant.batch:
        sentences.append(
            f"batches of {bulk.variant.batch} reach {bulk.variant.images_per_second:,.0f} images/s,"
            f" batches of {chosen.variant.batch} {chosen.variant.images_per_second:,.0f}"
        )
    return "; ".join(sentences) or "nothing else was measured"


def _contrast(
    chosen: _Candidate, other: _Candidate, name: str, other_name: str, *, usable: bool
) -> str:
    ratio = chosen.variant.p50_us / other.variant.p50_us
    text = f"{name} takes {ratio:.2f} times as long as {other_name}"
    if chosen.variant.accuracy is not None and other.variant.accuracy is not None:
        points = 100 * (chosen.accuracy - other.accuracy)
        if round(points, 2):
            text += f" and is {abs(points):.2f} points {'more' if points > 0 else 'less'} accurate"
    return text if usable else f"{text} ({other_name} is too slow or not accurate enough)"
