"""Training the detector: a small fully convolutional net that finds the digits of a page.

For every second pixel of a grey image it predicts whether it is ink of a digit (whatever the paper,
the light and the polarity) or other ink, for every fourth whether it is the centre of a digit
(CenterNet: Zhou, Wang and Krähenbühl, Objects as Points, 2019), and the distances from there to the
sides of the digit's bounding box. It is trained on `digitkit.training.scenes` alone.

    digitkit train --recipe finder
"""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor, nn
from torch.utils.data import DataLoader

from digitkit.choices import MAX_THREADS
from digitkit.errors import RecipeError, RunError, check_range, one_line
from digitkit.system import atomic
from digitkit.training.detector_data import CROP, SceneSamples
from digitkit.training.detector_net import DetectorNet
from digitkit.training.folder import read_tensors
from digitkit.training.loop import Average
from digitkit.training.ranges import Seed, Steps, check_ranges
from digitkit.training.recipes import DETECTOR_RECIPE, parse_field
from digitkit.training.threads import torch_threads

DETECTOR_RECIPE_VERSION = 2
"""Goes up with every change to the recipe that affects its results."""

WEIGHTS = "finder.pt"

DECAY = 0.999
"""Decay per step of the moving average of the weights that is kept."""

SAVED_STEPS = 500
"""After so many steps, weights and the state of the training are saved."""

RECIPE_FIELDS = ("steps", "batch", "seed", "workers")
"""The fields of `DetectorConfig` that ``--set`` changes."""


@dataclass(frozen=True)
class DetectorConfig:
    """One training of the detector.

    Attributes:
        out: the run folder; gets ``finder.pt`` every `SAVED_STEPS` steps.
        steps: batches to train on.
        batch: crops of `CROP`×`CROP` pixels per batch.
        seed: of weights and scenes.
        init: a run folder whose weights to start from; None for fresh ones.
        threads: torch threads; 0 for all cores but those of the `workers`, at least one.
        workers: processes that compose scenes; 0 composes them in this one.
        overwrite: whether weights already in `out` may be replaced.

    Raises:
        RecipeError: a field of the recipe is out of range.
        ConfigError: `threads` is out of range.
    """

    out: Path
    steps: Steps = 14_000
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 16
    seed: Seed = 0
    init: Path | None = None
    threads: int = 0
    workers: Annotated[int, Meta(ge=0, le=256)] = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the values; raises `RecipeError` or `ConfigError`."""
        check_ranges(self)
        check_range("threads", self.threads, 0, MAX_THREADS)


def parse_changes(changes: Mapping[str, str]) -> dict[str, int]:
    """Convert changes of recipe fields, as text, to arguments of `DetectorConfig`.

    Raises:
        RecipeError: a field does not exist, or its value is not a whole number.
    """
    for field in changes:
        if field not in RECIPE_FIELDS:
            raise RecipeError(
                f"recipe field {field!r} does not exist",
                hint=f"the recipe {DETECTOR_RECIPE} has {', '.join(RECIPE_FIELDS)}",
            )
    return {field: parse_field(DetectorConfig, field, text) for field, text in changes.items()}


@dataclass(frozen=True)
class DetectorProgress:
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


ReportProgress = Callable[[DetectorProgress], None]


def train_detector(config: DetectorConfig, report: ReportProgress) -> Path:
    """Train the detector; `digitkit.export.detector_export.export_detector_run` exports it.

    Args:
        config: what to train.
        report: called every 100 steps.

    Returns:
        The weights file, `WEIGHTS` in the run folder.

    Raises:
        RunError: `config.out` already contains a detector, or `config.init` is not a run folder of
            one.
        OutputError: the run folder cannot be written.
    """
    path = config.out / WEIGHTS
    if path.exists() and not config.overwrite:
        raise RunError(
            "already contains a detector",
            subject=str(config.out),
            hint="replace it with --overwrite, or choose another folder with --out",
        )
    _fit(config, *_begin(config), report)
    return path


def resume_detector(folder: Path, report: ReportProgress) -> Path:
    """Continue an interrupted training after the last state that was saved, with new scenes.

    Args:
        folder: its run folder.
        report: called every 100 steps.

    Returns:
        The weights file.

    Raises:
        RunError: the folder contains no detector, or a complete one.
        OutputError: the run folder cannot be written.
    """
    path = folder / WEIGHTS
    saved = _read_weights(path)
    if "state" not in saved:
        raise RunError("is complete; there is nothing to resume", subject=str(path))
    try:
        config = DetectorConfig(folder, **saved["config"])
        training, _ = _begin(config)
        training.load(saved["state"], saved["net"])
        words = str(saved["training"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(
            f"is damaged ({one_line(error)})", subject=str(path), hint="train again"
        ) from error
    _fit(config, training, words, report)
    return path


def detector_loss(net: DetectorNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its terms by name.

    Args:
        net: the detector.
        batch: as `digitkit.training.detector_data.Sample`, with N in front of each shape.
    """
    image, stroke, other, heat, reach = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
        outputs = net(image[:, None])
    strokes, centre, log_reach = (output.float() for output in outputs)
    ink, other_ink, centre = strokes[:, 0], strokes[:, 1], centre[:, 0]
    cross_entropy = F.binary_cross_entropy_with_logits(ink, stroke, pos_weight=torch.tensor(3.0))
    p = torch.sigmoid(ink)
    other_entropy = F.binary_cross_entropy_with_logits(
        other_ink, other, pos_weight=torch.tensor(2.0)
    )
    dice = 1 - (2 * (p * stroke).sum() + 1) / (p.sum() + stroke.sum() + 1)
    # The focal loss of CenterNet, equation 1.
    q = torch.sigmoid(centre).clamp(1e-5, 1 - 1e-5)
    is_centre = heat >= 1
    gain = torch.where(
        is_centre, (1 - q) ** 2 * torch.log(q), (1 - heat) ** 4 * q**2 * torch.log(1 - q)
    ) * (heat >= 0)
    focal = -gain.sum() / is_centre.sum().clamp(min=1)
    inside = reach[:, 4]
    box = (F.smooth_l1_loss(log_reach, reach[:, :4], reduction="none").sum(1) * inside).sum()
    box = box / inside.sum().clamp(min=1)
    total = 4 * cross_entropy + other_entropy + 0.5 * dice + 0.5 * focal + 2 * box
    terms = {
        "ink": cross_entropy.item(), "other": other_entropy.item(), "dice": dice.item(),
        "centre": focal.item(), "reach": box.item(),
    }  # fmt: skip
    return total, terms


def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16, which halves the time of a step."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@dataclass
class _Training:
    """What changes from step to step, and is saved to be resumed."""

    net: DetectorNet
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


def _begin(config: DetectorConfig) -> tuple[_Training, str]:
    """A training before its first step, and what it is, in words."""
    torch.manual_seed(config.seed)
    net = DetectorNet()
    words = f"for {config.steps:,} steps of {config.batch} crops of {CROP}×{CROP} pixels"
    words += f" (seed {config.seed})"
    if config.init:
        words = f"{load_weights(config.init / WEIGHTS, net)}, then {words}"
    # Channels last is 1.5 times as fast on a CPU.
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 4e-3, total_steps=config.steps, pct_start=0.1 if config.init else 0.3
    )
    return _Training(net, Average(net, DECAY), optimiser, schedule), words


def _fit(config: DetectorConfig, training: _Training, words: str, report: ReportProgress) -> None:
    samples = DataLoader(
        SceneSamples(config.seed, first=training.step * config.batch),
        config.batch,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
    threads = config.threads or max(1, (os.cpu_count() or 1) - config.workers)
    begun, first = time.monotonic(), training.step
    sums: dict[str, float] = {}
    with torch_threads(threads):
        for batch in itertools.islice(samples, config.steps - training.step):
            for name, value in _take_step(training, batch).items():
                sums[name] = sums.get(name, 0.0) + value / 100
            step = training.step
            if step % 100 == 0:
                seconds = time.monotonic() - begun
                left = seconds * (config.steps - step) / (step - first)
                report(DetectorProgress(step, config.steps, sums, seconds, left))
                sums = {}
            if step % SAVED_STEPS == 0 or step == config.steps:
                _save(config, training, words)


def _take_step(training: _Training, batch: list[Tensor]) -> dict[str, float]:
    """Take one step; the terms of the loss."""
    total, terms = detector_loss(training.net, batch)
    training.optimiser.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(training.net.parameters(), 5.0)
    training.optimiser.step()
    training.schedule.step()
    training.step += 1
    training.average.update(training.net, training.step)
    return terms


def _save(config: DetectorConfig, training: _Training, words: str) -> None:
    """Write the averaged weights; before the last step, with what resuming needs."""
    content: dict[str, Any] = {"net": training.average.net.state_dict(), "training": words}
    if training.step < config.steps:
        fields = {name: getattr(config, name) for name in (*RECIPE_FIELDS, "threads")}
        content |= {"state": training.to_dict(), "config": fields}
    buffer = io.BytesIO()  # torch raises unrelated kinds where a disk is full
    torch.save(content, buffer)
    atomic.write_bytes(config.out / WEIGHTS, buffer.getvalue())


def load_weights(path: Path, net: DetectorNet) -> str:
    """Load a detector's weights into a net.

    Returns:
        How they were trained, in words.

    Raises:
        RunError: the file does not exist or does not contain a detector's weights.
    """
    saved = _read_weights(path)
    try:
        net.load_state_dict(saved["net"])
        return str(saved["training"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise _not_weights(path, error) from error


def _read_weights(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(
            "does not exist", subject=str(path), hint="name the run folder of a detector"
        )
    try:
        return dict(read_tensors(path))
    except Exception as error:  # torch raises many unrelated kinds
        raise _not_weights(path, error) from error


def _not_weights(path: Path, error: Exception) -> RunError:
    return RunError(f"does not contain a detector's weights: {one_line(error)}", subject=str(path))
