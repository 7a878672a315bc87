"""Whether a net that was fine-tuned still reads what it read before."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from digitkit.datasets.digits import DigitData
from digitkit.errors import GateError
from digitkit.training import nets
from digitkit.training.material import TrainingData, own_validation
from digitkit.training.recipes import Recipe
from digitkit.training.record import MixedScoreRecord, RunRecord

MAX_FORGOTTEN = 0.001
"""Fraction of MNIST's test set that may be read less well than before."""


def score_mixed(net: nn.Module, material: TrainingData, recipe: Recipe) -> MixedScoreRecord:
    """What a net reads right of MNIST's test set, and of the own validation images.

    Args:
        net: as `digitkit.training.nets.build_net` makes it.
        material: into which MNIST is mixed.
        recipe: decides what of the own images is validated on.
    """
    assert material.mnist_test is not None
    own = own_validation(material, recipe)
    return MixedScoreRecord(
        _accuracy(net, material.mnist_test), None if own is None else _accuracy(net, own)
    )


def _accuracy(net: nn.Module, data: DigitData) -> float:
    scores = nets.logits(net, torch.from_numpy(data.images.copy())).numpy()
    return float((scores.argmax(1) == data.labels).mean())


def check_forgotten(record: RunRecord, folder: Path) -> None:
    """The gate of a training that mixes MNIST in.

    Raises:
        GateError: MNIST's test set is read less well than before, by more than `MAX_FORGOTTEN`.
    """
    mix = record.mix
    if mix is None or mix.result is None or mix.forgotten <= MAX_FORGOTTEN:
        return
    raise GateError(
        f"reads {mix.result.mnist:.2%} of MNIST's test set right, {100 * mix.forgotten:.2f} points "
        f"less than what it started from ({mix.start.mnist:.2%}); {100 * MAX_FORGOTTEN:g} are "
        "allowed",
        subject=str(folder),
        hint="look for wrong corrections, or lower --learning-rate or --epochs",
    )
