"""What the jobs of a benchmark return: it travels as JSON from a fresh process to this one."""

from __future__ import annotations

from dataclasses import dataclass

from digitkit.choices import Precision


@dataclass(frozen=True)
class PacedSamples:
    """Calls at a fixed rate.

    Attributes:
        hz: calls per second.
        samples: duration of each call, nanoseconds.
        idle_cpu: CPU seconds per second of sleep, over all threads of the process; None if it never
            slept.
        late: calls that began after their time because the one before took too long.
    """

    hz: float
    samples: tuple[int, ...]
    idle_cpu: float | None
    late: int


@dataclass(frozen=True)
class SteadyState:
    """What `measure_steady` found; the samples of the timed calls are in a file of their own.

    Attributes:
        import_ms: import of numpy, the runtime and digitkit's modules.
        create_ms: from the file to a session that is ready to run.
        first_ms: the first call.
        resident_import_mb: resident memory after the import, MB of 10⁶ bytes; None without psutil.
        resident_load_mb: resident memory after the first call, MB; None without psutil.
        peak_mb: peak memory up to the end of the warm-up; None where the system has no such figure.
        cpu_s_per_1000_images: CPU time of all threads during the timed calls.
        frequencies_mhz: clocks at the beginning and at the end of the timed calls.
        paced: calls at a fixed rate; None if not asked for.
        options: how the runtime was set up.
    """

    import_ms: float
    create_ms: float
    first_ms: float
    resident_import_mb: float | None
    resident_load_mb: float | None
    peak_mb: float | None
    cpu_s_per_1000_images: float
    frequencies_mhz: tuple[tuple[float, ...], ...]
    paced: PacedSamples | None
    options: dict[str, bool | int | float | str | tuple[str, ...]]


@dataclass(frozen=True)
class WorkDone:
    """How many images a process classified, and in how many seconds."""

    images: int
    seconds: float


@dataclass(frozen=True)
class Score:
    """How many of `count` labelled digits of a data set were classified correctly."""

    correct: int
    count: int
    data: str


@dataclass(frozen=True)
class ImageReadings:
    """Repeated readings of one image file.

    Attributes:
        digits: number of digits that were read in it.
        steps: milliseconds of each reading: decode, locate, normalise, classify, total.
    """

    digits: int
    steps: tuple[tuple[float, float, float, float, float], ...]


@dataclass(frozen=True)
class StartedProgram:
    """A program in a fresh process.

    Attributes:
        ms: milliseconds to its first line, or to its end if it printed nothing.
        peak_mb: its peak memory; None where it is not available.
        error: why it failed; None if it did not.
    """

    ms: float
    peak_mb: float | None
    error: str | None = None


@dataclass(frozen=True)
class ModelFacts:
    """A model that was measured.

    Attributes:
        name: its name in the report.
        file: its file's name, without folders, since reports travel.
        sha256: SHA-256 of the file; null if it could not be read.
        bytes: size of the file.
        precision: ``fp32`` or ``int8``; null for a third-party model.
        opset: version of the ONNX operators.
        parameters: number of trained values.
        multiply_adds: multiply-accumulate operations per image.
        op_counts: number of nodes per operator.
        not_counted: why the counts are null.
        card_accuracy: accuracy on its test set as the model's contract states it, 0–1.
        card_count: number of images in that test set.
    """

    name: str
    file: str
    sha256: str | None = None
    bytes: int | None = None
    precision: Precision | None = None
    opset: int | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    op_counts: dict[str, int] | None = None
    not_counted: str | None = None
    card_accuracy: float | None = None
    card_count: int | None = None


@dataclass(frozen=True)
class ModelInspection:
    """A model that can be measured, and what measures it.

    Attributes:
        onnxruntime: version of ONNX Runtime.
        onnxruntime_build: how it describes its build.
        fixed_batch: whether the model takes one image at a time only.
        facts: what the model is.
    """

    onnxruntime: str
    onnxruntime_build: str
    fixed_batch: bool
    facts: ModelFacts
