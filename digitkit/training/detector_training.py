"""Training the detector: a small fully convolutional net that finds the digits of a page.

For every second pixel of a grey image it predicts whether it is ink of a digit (whatever the paper,
the light and the polarity), for every fourth whether it is the centre of a digit (CenterNet: Zhou,
Wang and Krähenbühl, Objects as Points, 2019), and the distances from there to the sides of the
digit's bounding box. It is trained on `digitkit.training.scenes` alone.

    digitkit train --recipe finder
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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

DETECTOR_RECIPE_VERSION = 1
"""Goes up with every change to the recipe that affects its results."""

WEIGHTS = "finder.pt"

DECAY = 0.998
"""Decay per step of the moving average of the weights that is kept."""

RECIPE_FIELDS = ("steps", "batch", "seed", "workers")
"""The fields of `DetectorConfig` that ``--set`` changes."""


@dataclass(frozen=True)
class DetectorConfig:
    """One training of the detector.

    Attributes:
        out: the run folder; gets ``finder.pt`` every 500 steps.
        steps: batches to train on.
        batch: crops of `CROP`×`CROP` pixels per batch.
        seed: of weights and scenes.
        init: a run folder whose weights to start from; None for fresh ones.
        threads: torch threads; 0 for all cores. Scenes are composed in `workers` more processes.
        workers: processes that compose scenes; 0 composes them in this one.
        overwrite: whether weights already in `out` may be replaced.

    Raises:
        RecipeError: a field of the recipe is out of range.
        ConfigError: `threads` is out of range.
    """

    out: Path
    steps: Steps = 4000
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 16
    seed: Seed = 0
    init: Path | None = None
    threads: int = 0
    workers: Annotated[int, Meta(ge=0, le=256)] = 2
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


DetectorProgress = Callable[[int, dict[str, float], float], None]
"""Called with the step, the mean terms of the loss since the last call, and seconds so far."""


def train_detector(config: DetectorConfig, report: DetectorProgress) -> Path:
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
    with torch_threads(config.threads or os.cpu_count() or 1):
        _fit(config, report)
    return path


def detector_loss(net: DetectorNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its terms by name.

    Args:
        net: the detector.
        batch: as `digitkit.training.detector_data.Sample`, with N in front of each shape.
    """
    image, stroke, heat, reach = batch
    ink, centre, log_reach = net(image[:, None])
    ink, centre = ink[:, 0], centre[:, 0]
    cross_entropy = F.binary_cross_entropy_with_logits(ink, stroke, pos_weight=torch.tensor(3.0))
    p = torch.sigmoid(ink)
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
    total = 4 * cross_entropy + 0.5 * dice + 0.5 * focal + 2 * box
    terms = {
        "ink": cross_entropy.item(), "dice": dice.item(),
        "centre": focal.item(), "reach": box.item(),
    }  # fmt: skip
    return total, terms


def _fit(config: DetectorConfig, report: DetectorProgress) -> None:
    torch.manual_seed(config.seed)
    net = DetectorNet()
    training = f"for {config.steps:,} steps of {config.batch} crops of {CROP}×{CROP} pixels"
    training += f" (seed {config.seed})"
    if config.init:
        training = f"{load_weights(config.init / WEIGHTS, net)}, then {training}"
    # Channels last is 1.5 times as fast on a CPU.
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = Average(net, DECAY)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 4e-3, total_steps=config.steps, pct_start=0.1 if config.init else 0.3
    )
    loader = DataLoader(
        SceneSamples(config.seed),
        config.batch,
        num_workers=config.workers,
        prefetch_factor=4 if config.workers else None,
    )
    begun = time.monotonic()
    sums: dict[str, float] = {}
    for step, batch in enumerate(loader, 1):
        total, terms = detector_loss(net, batch)
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update(net, step)
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value / 100
        if step % 100 == 0:
            report(step, sums, time.monotonic() - begun)
            sums = {}
        if step % 500 == 0 or step == config.steps:
            buffer = io.BytesIO()  # torch raises unrelated kinds where a disk is full
            torch.save({"net": average.net.state_dict(), "training": training}, buffer)
            atomic.write_bytes(config.out / WEIGHTS, buffer.getvalue())
        if step == config.steps:
            break


def load_weights(path: Path, net: DetectorNet) -> str:
    """Load a detector's weights into a net.

    Returns:
        How they were trained, in words.

    Raises:
        RunError: the file does not exist or does not contain a detector's weights.
    """
    if not path.is_file():
        raise RunError(
            "does not exist", subject=str(path), hint="name the run folder of a detector"
        )
    try:
        saved = read_tensors(path)
        net.load_state_dict(saved["net"])
        return str(saved["training"])
    except Exception as error:  # torch raises many unrelated kinds
        raise RunError(
            f"does not contain a detector's weights: {one_line(error)}", subject=str(path)
        ) from error
