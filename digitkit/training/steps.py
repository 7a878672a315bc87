"""Training a net by steps, on samples that are composed: the networks next to the classifier.

The averaged weights and the state of a training are saved every so many steps, so that it can be
resumed.
"""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from digitkit.choices import MAX_THREADS
from digitkit.errors import RecipeError, RunError, check_range, one_line
from digitkit.system import atomic
from digitkit.system.machine import usable_cores
from digitkit.system.progress import Progress
from digitkit.training.folder import read_tensors
from digitkit.training.loop import Average
from digitkit.training.ranges import Batch, Seed, Steps, Workers, check_ranges
from digitkit.training.recipes import parse_field
from digitkit.training.threads import torch_threads

PEAK_LEARNING_RATE = 4e-3
"""Of AdamW; half as much for a training that starts from weights."""

AVERAGE_DECAY = 0.999
"""Decay per step of the moving average of the weights that is kept."""

SAVED_STEPS = 500
"""After so many steps, weights and the state of the training are saved."""

REPORTED_STEPS = 100
"""After so many steps the mean terms of the loss are reported."""


@dataclass(frozen=True)
class StepConfig:
    """One training by steps.

    Attributes:
        out: the run folder; gets the weights every `SAVED_STEPS` steps.
        steps: batches to train on.
        batch: samples per batch.
        seed: of weights and samples.
        init: a run folder whose weights to start from; None for fresh ones.
        threads: torch threads; 0 for all cores but those of the `workers`, at least one.
        workers: processes that make samples; 0 makes them in this one.
        overwrite: whether weights already in `out` may be replaced.

    Raises:
        RecipeError: a field of the recipe is out of range.
        ConfigError: `threads` is out of range.
    """

    out: Path
    steps: Steps
    batch: Batch
    seed: Seed = 0
    init: Path | None = None
    threads: int = 0
    workers: Workers = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the values; raises `RecipeError` or `ConfigError`."""
        check_ranges(self)
        check_range("threads", self.threads, 0, MAX_THREADS, whole=True)


Config = TypeVar("Config", bound=StepConfig)
Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True)
class StepTask(Generic[Config, Net]):
    """What is trained by steps.

    Attributes:
        recipe: its name for ``--recipe``.
        version: of the recipe; goes up with every change that affects its results.
        noun: what the net is, in words.
        samples_noun: what its samples are, in words.
        summary: one line for people.
        kind: the net in one word.
        config: the class of its settings.
        build: makes a fresh net.
        samples: makes the samples of a training, from the first of a number of steps on; the
            last argument reports what takes long before the first.
        loss: the loss of a batch, and its terms by name.
    """

    recipe: str
    version: int
    noun: str
    samples_noun: str
    summary: str
    kind: str
    config: type[Config]
    build: Callable[[], Net]
    samples: Callable[[Config, int, Progress], Dataset[Any]]
    loss: Callable[[Net, list[Tensor]], tuple[Tensor, dict[str, float]]]

    @property
    def weights(self) -> str:
        """The name of its weights file in a run folder."""
        return f"{self.recipe}.pt"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of its settings that ``--set`` changes."""
        names = self.config.__dataclass_fields__
        return tuple(name for name in names if name not in ("out", "init", "threads", "overwrite"))

    def parse_changes(self, changes: Mapping[str, str]) -> dict[str, int]:
        """Convert changes of recipe fields, as text, to arguments of its settings.

        Raises:
            RecipeError: a field does not exist, or its value is not a whole number.
        """
        for field in changes:
            if field not in self.fields:
                raise RecipeError(
                    f"recipe field {field!r} does not exist",
                    hint=f"the recipe {self.recipe} has {', '.join(self.fields)}",
                )
        return {field: parse_field(self.config, field, text) for field, text in changes.items()}


@dataclass(frozen=True)
class StepProgress:
    """How far a training is.

    Attributes:
        step: steps taken.
        steps: steps in all.
        terms: the mean terms of the loss since the last report, by name.
        seconds: since it began or was resumed.
        seconds_left: about as long as it will take.
    """

    step: int
    steps: int
    terms: dict[str, float]
    seconds: float
    seconds_left: float


ReportProgress = Callable[[StepProgress], None]


def train_steps(
    task: StepTask[Config, Net], config: Config, report: ReportProgress, prepare: Progress
) -> Path:
    """Train a net by steps.

    Args:
        task: what to train.
        config: how.
        report: called every `REPORTED_STEPS` steps.
        prepare: called while samples are prepared.

    Returns:
        The weights file in the run folder.

    Raises:
        RunError: `config.out` already contains such weights, or `config.init` is not a run folder
            with some.
        OutputError: the run folder cannot be written.
    """
    path = config.out / task.weights
    if path.exists() and not config.overwrite:
        raise RunError(
            f"already contains a {task.noun}",
            subject=str(config.out),
            hint="replace it with --overwrite, or choose another folder with --out",
        )
    _fit(task, config, *_begin(task, config), report, prepare)
    return path


def resume_steps(
    task: StepTask[Config, Net], folder: Path, report: ReportProgress, prepare: Progress
) -> Path:
    """Continue an interrupted training after the last state that was saved, with new samples.

    Args:
        task: what is trained.
        folder: its run folder.
        report: called every `REPORTED_STEPS` steps.
        prepare: called while samples are prepared.

    Returns:
        The weights file.

    Raises:
        RunError: the folder contains no such training, or a complete one.
        OutputError: the run folder cannot be written.
    """
    path = folder / task.weights
    saved = _read_weights(task, path)
    if "state" not in saved:
        raise RunError("is complete; there is nothing to resume", subject=str(path))
    try:
        config = task.config(folder, **saved["config"])
        training, _ = _begin(task, config)
        training.load(saved["state"], saved["net"])
        words = str(saved["training"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(
            f"is damaged ({one_line(error)})", subject=str(path), hint="train again"
        ) from error
    _fit(task, config, training, words, report, prepare)
    return path


def fast_autocast() -> torch.autocast:
    """A context that computes in bfloat16 if the processor can, which halves the time of a step."""
    has_bfloat16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16)


@dataclass
class Training(Generic[Net]):
    """What changes from step to step, and is saved to be resumed."""

    net: Net
    average: Average
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    step: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All of it but the average."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
        }

    def load(self, state: dict[str, Any], average: dict[str, Tensor]) -> None:
        """Continue from what `to_dict` returned, and from the average."""
        self.net.load_state_dict(state["net"])
        self.average.net.load_state_dict(average)
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = int(state["step"])


def _begin(task: StepTask[Config, Net], config: Config) -> tuple[Training[Net], str]:
    """A training before its first step, and what it is, in words."""
    torch.manual_seed(config.seed)
    net = task.build()
    words = f"for {config.steps:,} steps of {config.batch} {task.samples_noun}"
    words += f" (seed {config.seed})"
    if config.init:
        words = f"{load_weights(task, config.init / task.weights, net)}, then {words}"
    # Channels last is 1.5 times as fast on a CPU.
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_LEARNING_RATE / (2 if config.init else 1), total_steps=config.steps,
        pct_start=0.1 if config.init else 0.3,
    )  # fmt: skip
    return Training(net, Average(net, AVERAGE_DECAY), optimiser, schedule), words


def _fit(
    task: StepTask[Config, Net],
    config: Config,
    training: Training[Net],
    words: str,
    report: ReportProgress,
    prepare: Progress,
) -> None:
    cores = usable_cores()
    with torch_threads(config.threads or cores):
        data = task.samples(config, training.step, prepare)
    samples = DataLoader(
        data,
        config.batch,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
        # Forked, OpenCV waits for threads that are not there.
        multiprocessing_context="spawn" if config.workers else None,
    )
    threads = config.threads or max(1, cores - config.workers)
    begun, first = time.monotonic(), training.step
    sums: dict[str, float] = {}
    with torch_threads(threads):
        for batch in itertools.islice(samples, config.steps - training.step):
            for name, value in take_step(task, training, batch).items():
                sums[name] = sums.get(name, 0.0) + value / REPORTED_STEPS
            step = training.step
            if step % REPORTED_STEPS == 0:
                seconds = time.monotonic() - begun
                left = seconds * (config.steps - step) / (step - first)
                report(StepProgress(step, config.steps, sums, seconds, left))
                sums = {}
            if step % SAVED_STEPS == 0 or step == config.steps:
                _save(task, config, training, words)


def take_step(
    task: StepTask[Config, Net], training: Training[Net], batch: list[Tensor]
) -> dict[str, float]:
    """Take one step; the terms of the loss."""
    total, terms = task.loss(training.net, batch)
    training.optimiser.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(training.net.parameters(), 5.0)
    training.optimiser.step()
    training.schedule.step()
    training.step += 1
    training.average.update(training.net, training.step)
    return terms


def _save(task: StepTask[Config, Net], config: Config, training: Training[Net], words: str) -> None:
    """Write the averaged weights; before the last step, with what resuming needs."""
    content: dict[str, Any] = {"net": training.average.net.state_dict(), "training": words}
    if training.step < config.steps:
        fields = {name: getattr(config, name) for name in (*task.fields, "threads")}
        content |= {"state": training.to_dict(), "config": fields}
    buffer = io.BytesIO()  # torch raises unrelated kinds where a disk is full
    torch.save(content, buffer)
    atomic.write_bytes(config.out / task.weights, buffer.getvalue())


def load_weights(task: StepTask[Config, Net], path: Path, net: Net) -> str:
    """Load weights into a net.

    Returns:
        How they were trained, in words.

    Raises:
        RunError: the file does not exist or does not contain such weights.
    """
    saved = _read_weights(task, path)
    try:
        net.load_state_dict(saved["net"])
        return str(saved["training"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise _not_weights(task, path, error) from error


def _read_weights(task: StepTask[Config, Net], path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(
            "does not exist", subject=str(path), hint=f"name the run folder of a {task.noun}"
        )
    try:
        return dict(read_tensors(path))
    except Exception as error:  # torch raises many unrelated kinds
        raise _not_weights(task, path, error) from error


def _not_weights(task: StepTask[Config, Net], path: Path, error: Exception) -> RunError:
    return RunError(
        f"does not contain a {task.noun}'s weights: {one_line(error)}", subject=str(path)
    )
