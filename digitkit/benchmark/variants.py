"""The figures of a variant, a part of a report; see `digitkit.benchmark.report`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from digitkit.benchmark.runtimes import Option
from digitkit.benchmark.stats import MAX_PROCESSES, Latency
from digitkit.errors import ReportError


@dataclass(frozen=True)
class ProcessFigures:
    """One fresh process that measured a variant.

    Attributes:
        p50_us: median of its timed calls.
        p90_us: 90th percentile of its timed calls.
        p99_us: 99th percentile.
        runs: number of timed calls.
        import_ms: import of numpy, the runtime and digitkit's own modules; Python is already
            running.
        create_ms: from the file to a session that is ready to run.
        first_ms: the first call.
        resident_import_mb: resident memory after the import.
        resident_load_mb: resident memory after the session was created and ran once.
        peak_mb: peak resident memory up to the end of the warm-up.
        cpu_s_per_1000_images: CPU time of all threads in the steady state.
        frequencies_mhz: clocks at the beginning and at the end of the timed calls.
    """

    p50_us: float
    p90_us: float
    p99_us: float
    runs: int
    import_ms: float
    create_ms: float
    first_ms: float
    resident_import_mb: float | None
    resident_load_mb: float | None
    peak_mb: float | None
    cpu_s_per_1000_images: float
    frequencies_mhz: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PacedFigures:
    """Calls at the fixed rate of a camera, sleeping between them.

    Attributes:
        hz: calls per second.
        calls: number of calls over all processes.
        p50_us: median latency.
        p90_us: 90th percentile.
        ratio: `p50_us` as a multiple of the latency without pauses: the cost of cold caches and
            low clocks.
        late: calls that began late because the call before took too long.
        idle_cpu: CPU seconds that the process uses per second of sleep; spinning threads show here.
    """

    hz: float
    calls: int
    p50_us: float
    p90_us: float
    ratio: float
    late: int
    idle_cpu: float | None


@dataclass(frozen=True)
class Throughput:
    """Several processes at once, each calling the model without pauses.

    Attributes:
        workers: number of processes.
        images_per_second: of all processes together; null if one of them failed.
        error: why it failed.
    """

    workers: int
    images_per_second: float | None
    error: str | None = None


@dataclass(frozen=True)
class Variant:
    """One model in one runtime with one number of threads and one batch size.

    Attributes:
        name: short name of the combination.
        model: name of the model.
        model_sha256: SHA-256 of its file; null if it could not be read.
        runtime: ``onnxruntime``, ``opencv`` or ``openvino``.
        threads: threads that one call may use.
        batch: images per call.
        error: why there are no figures; null if there are.
        p50_us: the headline figure: median of the processes' medians, microseconds per call (of
            `batch` images).
        p50_low_us: lowest of the processes' medians.
        p50_high_us: highest of the processes' medians.
        p90_us: median of the processes' 90th percentiles.
        p99_us: median of the processes' 99th percentiles.
        spread: (`p50_high_us` - `p50_low_us`) / `p50_us`.
        ratio: `p50_us` per image as a multiple of the first variant's, from pairs of the same
            round.
        latency: distribution over all calls of all processes; quick processes make more calls and
            weigh more.
        images_per_second: `batch` / `p50_us`.
        import_ms: median over the processes, as are the following six.
        create_ms: from the file to a session that is ready to run.
        first_ms: the first call.
        resident_import_mb: resident memory after the import; null without the package psutil.
        resident_load_mb: resident memory after the first call; null without psutil.
        peak_mb: peak resident memory up to the end of the warm-up.
        cpu_s_per_1000_images: CPU time of all threads in the steady state.
        accuracy: accuracy of this file in this runtime on this machine, on `accuracy_count`
            labelled digits, 0–1.
        accuracy_count: number of those digits.
        accuracy_data: name of the data set.
        accuracy_note: why the accuracy is null.
        paced: figures at a fixed rate; null if not measured.
        throughput: figures with several processes.
        processes: figures of each process, in the order of the rounds.
        options: how the runtime was set up.
    """

    name: str
    model: str
    model_sha256: str | None
    runtime: str
    threads: int
    batch: int
    error: str | None = None
    p50_us: float | None = None
    p50_low_us: float | None = None
    p50_high_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    spread: float | None = None
    ratio: float | None = None
    latency: Latency | None = None
    images_per_second: float | None = None
    import_ms: float | None = None
    create_ms: float | None = None
    first_ms: float | None = None
    resident_import_mb: float | None = None
    resident_load_mb: float | None = None
    peak_mb: float | None = None
    cpu_s_per_1000_images: float | None = None
    accuracy: float | None = None
    accuracy_count: int | None = None
    accuracy_data: str | None = None
    accuracy_note: str | None = None
    paced: PacedFigures | None = None
    throughput: tuple[Throughput, ...] = ()
    processes: tuple[ProcessFigures, ...] = ()
    options: dict[str, Option] | None = None


@dataclass(frozen=True, kw_only=True)
class MeasuredVariant(Variant):
    """A variant without an error: what is optional in `Variant` only because of errors is there.

    Raises:
        ReportError: there are no processes or far too many, or a latency is not a positive number.
    """

    error: None = None
    p50_us: float
    p50_low_us: float
    p50_high_us: float
    p90_us: float
    p99_us: float
    spread: float
    ratio: float
    latency: Latency
    images_per_second: float
    import_ms: float
    create_ms: float
    first_ms: float
    cpu_s_per_1000_images: float

    def __post_init__(self) -> None:
        """Refuse latencies that cannot be: ratios are made of them."""
        if not self.processes:
            raise ReportError(f"variant {self.name} has no processes")
        if len(self.processes) > MAX_PROCESSES:
            raise ReportError(f"variant {self.name} has more than {MAX_PROCESSES:,} processes")
        times = [getattr(self, name) for name in ("p50_us", "p50_low_us", "p90_us", "p99_us")]
        times += [process.p50_us for process in self.processes]
        for us in times:
            if not isinstance(us, int | float) or not 0 < us < math.inf:
                raise ReportError(f"variant {self.name} has a latency of {us} µs")
