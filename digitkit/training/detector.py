"""The finder: a small fully convolutional net that finds the digits of a page.

Of a grey picture it says for every second pixel whether it is ink of a digit (whatever the paper,
the light and the polarity), for every fourth whether it is the middle of a digit (CenterNet: Zhou,
Wang and Krähenbühl, Objects as Points, 2019), and how far that digit reaches from there. It is
trained on `digitkit.training.scenes` alone.

    digitkit train --recipe finder
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from digitkit.errors import RunError, one_line
from digitkit.system import atomic
from digitkit.training.detector_data import CROP, SceneSamples
from digitkit.training.detector_net import DetectorNet
from digitkit.training.loop import Average
from digitkit.training.run import using_threads


def detector_loss(net: DetectorNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its parts."""
    image, stroke, heat, reach = batch
    ink, centre, log_reach = net(image[:, None])
    ink, centre = ink[:, 0], centre[:, 0]
    ones = F.binary_cross_entropy_with_logits(ink, stroke, pos_weight=torch.tensor(3.0))
    p = torch.sigmoid(ink)
    dice = 1 - (2 * (p * stroke).sum() + 1) / (p.sum() + stroke.sum() + 1)
    # The focal loss of CenterNet, equation 1.
    q = torch.sigmoid(centre).clamp(1e-5, 1 - 1e-5)
    found = heat >= 1
    gain = torch.where(
        found, (1 - q) ** 2 * torch.log(q), (1 - heat) ** 4 * q**2 * torch.log(1 - q)
    ) * (heat >= 0)
    focal = -gain.sum() / found.sum().clamp(min=1)
    inside = reach[:, 4]
    far = (F.smooth_l1_loss(log_reach, reach[:, :4], reduction="none").sum(1) * inside).sum()
    far = far / inside.sum().clamp(min=1)
    total = 4 * ones + 0.5 * dice + 0.5 * focal + 2 * far
    parts = {"ink": ones.item(), "dice": dice.item(), "centre": focal.item(), "reach": far.item()}
    return total, parts


NAME, VERSION_OF_RECIPE = "finder", 1
"""What ``digitkit train --recipe`` calls it, and what goes up when it gives something else."""

WEIGHTS = "finder.pt"

DECAY = 0.998
"""Of the average of the weights that is kept, a step."""


@dataclass(frozen=True)
class DetectorConfig:
    """One training of the finder.

    Attributes:
        out: the run folder; gets ``finder.pt`` every 500 steps, and ``finder.onnx`` at the end.
        steps: batches to learn from.
        batch: pieces of `CROP`×`CROP` pixels in each.
        seed: of weights and scenes.
        init: a run folder to go on from; None begins anew.
        threads: of the net; 0 for all cores. Scenes are composed in `workers` further processes.
        workers: processes that compose scenes; 0 composes them in this one.
    """

    out: Path
    steps: int = 4000
    batch: int = 16
    seed: int = 0
    init: Path | None = None
    threads: int = 0
    workers: int = 2


DetectorProgress = Callable[[int, dict[str, float], float], None]
"""Told every 100 steps: the step, the parts of the loss since the last time, seconds so far."""


def train_detector(config: DetectorConfig, report: DetectorProgress) -> Path:
    """Train the detector; `digitkit.export.detector.export_run` makes an ONNX file of it.

    Args:
        config: what to train.
        report: told every 100 steps the step, the mean parts of the loss and the seconds so far.

    Returns:
        The weights, `WEIGHTS` in the run folder.

    Raises:
        RunError: `config.init` is not a run folder of the detector.
        OutputError: the run folder cannot be written.
    """
    with using_threads(config.threads or os.cpu_count() or 1):
        _fit(config, report)
    return config.out / WEIGHTS


def _fit(config: DetectorConfig, report: DetectorProgress) -> None:
    torch.manual_seed(config.seed)
    net = DetectorNet()
    training = f"for {config.steps:,} steps of {config.batch} pieces of {CROP}×{CROP} pixels"
    training += f" (seed {config.seed})"
    if config.init:
        before = load_weights(config.init / WEIGHTS)
        net.load_state_dict(before["net"])
        training = f"{before['training']}, then {training}"
    # Channels last is half again as fast on a CPU.
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
        total, parts = detector_loss(net, batch)
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update(net, step)
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + value / 100
        if step % 100 == 0:
            report(step, sums, time.monotonic() - begun)
            sums = {}
        if step % 500 == 0 or step == config.steps:
            with atomic.replace_file(config.out / WEIGHTS) as temporary:
                torch.save({"net": average.net.state_dict(), "training": training}, temporary)
        if step == config.steps:
            break


def load_weights(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(f"{path}: is missing; needed is the run folder of a finder")
    try:
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        return {"net": saved["net"], "training": str(saved["training"])}
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: is no finder's weights: {one_line(error)}") from error
