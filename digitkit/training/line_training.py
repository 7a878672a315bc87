"""Training the line reader: a net that says of each column of a row which digit's middle it is.

digitkit train --recipe lines
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor

from digitkit.datasets.mnist import split_mnist
from digitkit.errors import RecipeError
from digitkit.reading.networks.line_reader import HEIGHT, SPOILED
from digitkit.system.progress import Progress
from digitkit.training.line_data import (
    IGNORED_LABEL,
    SAMPLE_WIDTH,
    LineSamples,
    cut_out_lines,
    write_strips,
)
from digitkit.training.line_net import LineNet
from digitkit.training.ranges import Batch, Seed, Steps
from digitkit.training.steps import StepConfig, StepTask, fast_autocast

STRIPS = "lines.npz"
"""The strips that are trained on, in the run folder."""


@dataclass(frozen=True)
class LineConfig(StepConfig):
    """One training of the line reader; see `StepConfig`.

    Attributes:
        scenes: images whose rows are trained on.
    """

    steps: Steps = 10_000
    batch: Batch = 64
    seed: Seed = 2
    scenes: Annotated[int, Meta(ge=1, le=10_000_000)] = 22_000


def line_loss(net: LineNet, batch: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The cross entropies of a batch's columns, and the fraction of them that is wrong.

    Args:
        net: the line reader.
        batch: ink, uint8 ``[N, HEIGHT, W]``; labels, int64 ``[N, W / COLUMN_STRIDE]``; and
            whether a digit is spoiled, and a letter, int64 ``[N, 2, W / COLUMN_STRIDE]``.
    """
    ink, labels, doubts = batch
    ink = ink[:, None].float().contiguous(memory_format=torch.channels_last)
    with fast_autocast():
        logits = net(ink)
    logits = logits.float()
    classes = logits[:, :SPOILED]
    loss = F.cross_entropy(classes, labels, ignore_index=IGNORED_LABEL)
    counted = labels != IGNORED_LABEL
    wrong = ((classes.argmax(1) != labels) & counted).sum() / counted.sum().clamp(min=1)
    for told, are_so in zip(logits[:, SPOILED:].unbind(1), doubts.unbind(1), strict=True):
        weights = (are_so != IGNORED_LABEL).float()
        own = F.binary_cross_entropy_with_logits(told, are_so.float(), weights, reduction="sum")
        loss = loss + own / weights.sum().clamp(min=1)
    return loss, {"loss": loss.item(), "columns wrong": wrong.item()}


def _samples(config: LineConfig, step: int, prepare: Progress) -> LineSamples:
    """The samples of a training; the strips are composed for its first step.

    Raises:
        RecipeError: there are so few images that no row is found in them.
    """
    path = config.out / STRIPS
    if step == 0 or not path.is_file():
        strips = cut_out_lines(split_mnist()[0], config.scenes, config.seed, prepare)
        if not strips:
            raise RecipeError("is too small: no row was found", field="scenes")
        write_strips(path, strips)
    return LineSamples.from_step(path, config, step)


LINES = StepTask(
    recipe="lines",
    version=6,
    noun="line reader",
    samples_noun=f"parts of rows of {SAMPLE_WIDTH}×{HEIGHT} pixels",
    summary=f"reads rows as a whole; {LineConfig.steps:,} steps, 45 minutes",
    kind="row CNN",
    config=LineConfig,
    build=LineNet,
    samples=_samples,
    loss=line_loss,
)
"""The training of the line reader."""
