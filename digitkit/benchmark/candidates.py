"""What is measured: the models that were named, and the variants they come in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from digitkit.benchmark import jobs
from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.job_calls import JobError, run_job
from digitkit.benchmark.job_results import ModelFacts
from digitkit.benchmark.variants import Variant
from digitkit.errors import ModelError, ReportError, printable_path
from digitkit.models.classifier import DEFAULT_INPUT_SCALE
from digitkit.models.registry import find_model, shipped_files
from digitkit.system.hashes import file_sha256


@dataclass(frozen=True)
class ModelCandidate:
    """A model that is to be measured.

    Attributes:
        name: its name in the report.
        path: its file.
        facts: what is known of it.
        scale: what its pixels are multiplied by; None for a digitkit model, which takes raw ones.
        fixed_batch: whether it takes one image at a time only.
        error: why it cannot be measured; None if it can.
        onnxruntime: version of ONNX Runtime that loaded it; None with an error.
        onnxruntime_build: how that describes its build.
    """

    name: str
    path: Path
    facts: ModelFacts
    scale: float | None = None
    fixed_batch: bool = False
    error: str | None = None
    onnxruntime: str | None = None
    onnxruntime_build: str | None = None


def find_models(names: Sequence[str]) -> list[tuple[str, Path]]:
    """The files that names stand for, each with its name in the report.

    Args:
        names: as in `BenchConfig.models`.

    Raises:
        InputNotFoundError: a model does not exist.
    """
    paths: list[Path] = []
    for name in names:
        shipped = [] if Path(name).exists() else shipped_files(name)
        for path in shipped or [find_model(name)]:
            if path.resolve() not in [other.resolve() for other in paths]:
                paths.append(path)
    stems = [path.stem for path in paths]
    return [(p.stem if stems.count(p.stem) == 1 else printable_path(p), p) for p in paths]


def inspect_models(config: BenchConfig, paths: Sequence[tuple[str, Path]]) -> list[ModelCandidate]:
    """Load each model once, in a process of its own, and describe it.

    Args:
        config: what is measured.
        paths: as `find_models` returns them.

    Raises:
        ModelError: `input_scale` is set, but no third-party model can be measured.
        ReportError: `recommend` is set, but no digitkit model can be measured.
    """
    candidates = [_inspect(config, name, path) for name, path in paths]
    names = ", ".join(candidate.name for candidate in candidates)
    if config.input_scale is not None and all(one.scale is None for one in candidates):
        raise ModelError(
            "an input scale is for third-party models, but none can be measured", subject=names
        )
    if config.recommend and all(one.facts.precision is None for one in candidates):
        raise ReportError(
            "a recommendation requires a digitkit model, but none can be measured", subject=names
        )
    return candidates


def _inspect(config: BenchConfig, name: str, path: Path) -> ModelCandidate:
    try:
        inspection = run_job(config.time_limit, jobs.inspect_model, model=str(path), name=name)
    except JobError as error:
        file = printable_path(path.name)
        facts = ModelFacts(name, file, file_sha256(path), path.stat().st_size)
        return ModelCandidate(name, path, facts, error=str(error))
    scale = None
    if inspection.facts.precision is None:
        scale = DEFAULT_INPUT_SCALE if config.input_scale is None else config.input_scale
    return ModelCandidate(
        name,
        path,
        inspection.facts,
        scale,
        inspection.fixed_batch,
        None,
        inspection.onnxruntime,
        inspection.onnxruntime_build,
    )


def plan_variants(config: BenchConfig, candidates: Sequence[ModelCandidate]) -> list[Variant]:
    """Every combination of model, runtime, threads and batch, without figures.

    Those that cannot be measured have an error.
    """
    variants = []
    for candidate, runtime, threads, batch in itertools.product(
        candidates, config.runtimes, config.threads, config.batches
    ):
        error = candidate.error
        if error is None and batch > 1 and candidate.fixed_batch:
            problem = "takes one image at a time, its batch size is fixed at 1"
            error = f"{candidate.facts.file}: {problem}"
        variants.append(
            Variant(
                name=format_name(candidate.name, runtime, threads, batch),
                model=candidate.name,
                model_sha256=candidate.facts.sha256,
                runtime=runtime,
                threads=threads,
                batch=batch,
                error=error,
            )
        )
    return variants


def format_name(model: str, runtime: str, threads: int = 1, batch: int = 1) -> str:
    """A variant's name: the model, and what differs from the defaults."""
    words = [model]
    if runtime != "onnxruntime":
        words.append(runtime)
    if threads > 1:
        words.append(f"{threads} threads")
    if batch > 1:
        words.append(f"batch {batch}")
    return ", ".join(words)
