"""From what the processes measured to the figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from digitkit.benchmark import stats
from digitkit.benchmark.job_results import ImageReadings, PacedSamples, StartedProgram, SteadyState
from digitkit.benchmark.report import ColdStart, Stages
from digitkit.benchmark.stats import Samples
from digitkit.benchmark.variants import MeasuredVariant, PacedFigures, ProcessFigures, Variant


@dataclass
class Measurements:
    """What the processes of a variant measured so far.

    Attributes:
        variant: the variant; with an error once a process has failed.
        processes: what each process found, in the order of the rounds.
        samples: nanoseconds of each process's timed calls, in the order of the rounds.
    """

    variant: Variant
    processes: list[SteadyState] = field(default_factory=list)
    samples: list[Samples] = field(default_factory=list)

    @property
    def medians_per_image(self) -> list[float]:
        """The median of each process, nanoseconds per image."""
        return [float(np.median(samples)) / self.variant.batch for samples in self.samples]


@dataclass(frozen=True)
class Accuracy:
    """The fields of `Variant` about accuracy."""

    accuracy: float | None = None
    accuracy_count: int | None = None
    accuracy_data: str | None = None
    accuracy_note: str | None = None


def summarize_variant(measurements: Measurements, first: Measurements) -> MeasuredVariant:
    """The figures of a variant.

    Args:
        measurements: of the variant, at least one process.
        first: of the variant that ratios refer to.
    """
    variant, found = measurements.variant, measurements.processes
    processes = tuple(
        _summarize_process(state, samples)
        for state, samples in zip(found, measurements.samples, strict=True)
    )
    medians = [process.p50_us for process in processes]
    p50 = float(median(medians))
    pairs = zip(measurements.medians_per_image, first.medians_per_image, strict=True)
    return MeasuredVariant(
        name=variant.name,
        model=variant.model,
        model_sha256=variant.model_sha256,
        runtime=variant.runtime,
        threads=variant.threads,
        batch=variant.batch,
        p50_us=p50,
        p50_low_us=min(medians),
        p50_high_us=max(medians),
        p90_us=float(median(process.p90_us for process in processes)),
        p99_us=float(median(process.p99_us for process in processes)),
        spread=stats.spread(medians),
        ratio=float(median(ours / theirs for ours, theirs in pairs)),
        latency=stats.latency(np.concatenate(measurements.samples)),
        images_per_second=variant.batch / p50 * 1e6,
        import_ms=float(median(state.import_ms for state in found)),
        create_ms=float(median(state.create_ms for state in found)),
        first_ms=float(median(state.first_ms for state in found)),
        resident_import_mb=_median_or_none([state.resident_import_mb for state in found]),
        resident_load_mb=_median_or_none([state.resident_load_mb for state in found]),
        peak_mb=_median_or_none([state.peak_mb for state in found]),
        cpu_s_per_1000_images=float(median(state.cpu_s_per_1000_images for state in found)),
        paced=_summarize_paced([one.paced for one in found if one.paced is not None], p50),
        processes=processes,
        options=dict(found[0].options),
    )


def _summarize_process(state: SteadyState, samples: Samples) -> ProcessFigures:
    latency = stats.latency(samples)
    return ProcessFigures(
        p50_us=latency.p50_us,
        p90_us=latency.p90_us,
        p99_us=latency.p99_us,
        runs=latency.runs,
        import_ms=state.import_ms,
        create_ms=state.create_ms,
        first_ms=state.first_ms,
        resident_import_mb=state.resident_import_mb,
        resident_load_mb=state.resident_load_mb,
        peak_mb=state.peak_mb,
        cpu_s_per_1000_images=state.cpu_s_per_1000_images,
        frequencies_mhz=state.frequencies_mhz,
    )


def _summarize_paced(processes: Sequence[PacedSamples], closed_us: float) -> PacedFigures | None:
    if not processes:
        return None
    us = np.concatenate([one.samples for one in processes]) / 1000
    p50, p90 = (float(value) for value in np.percentile(us, [50, 90]))
    return PacedFigures(
        hz=processes[0].hz,
        calls=len(us),
        p50_us=p50,
        p90_us=p90,
        ratio=p50 / closed_us,
        late=sum(one.late for one in processes),
        idle_cpu=_median_or_none([one.idle_cpu for one in processes]),
    )


def summarize_stages(model: str, picture: str, readings: Sequence[ImageReadings]) -> Stages:
    """The steps of an image's readings, of one or more processes."""
    steps = np.array([row for one in readings for row in one.steps])
    decode, locate, normalise, classify, total = (float(v) for v in np.median(steps, axis=0))
    return Stages(
        model=model,
        picture=picture,
        digits=readings[-1].digits,
        runs=len(steps),
        decode_ms=decode,
        locate_ms=locate,
        normalise_ms=normalise,
        classify_ms=classify,
        total_ms=total,
    )


def summarize_cold_starts(model: str, starts: Sequence[StartedProgram]) -> ColdStart:
    """The starts of one program, one or more; the first error if one of them failed."""
    error = next((start.error for start in starts if start.error is not None), None)
    if error is not None:
        return ColdStart(model, error)
    times = [start.ms for start in starts]
    return ColdStart(
        model,
        runs=len(times),
        p50_ms=float(median(times)),
        min_ms=min(times),
        max_ms=max(times),
        peak_mb=max((one.peak_mb for one in starts if one.peak_mb is not None), default=None),
    )


def _median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None
