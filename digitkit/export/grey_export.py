"""The trained grey classifier as a verified ONNX file. Needs torch and onnx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from digitkit.export.deploy import SoftmaxNet, trace_onnx
from digitkit.export.network_export import NetworkExport
from digitkit.export.verify import MAX_PROBABILITY_DIFFERENCE
from digitkit.reading.networks.grey_classifier import INPUT, OUTPUT, SIDE, GreyClassifier
from digitkit.training.grey_training import GREY


def _trace(deployed: nn.Module) -> onnx.ModelProto:
    example = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    return trace_onnx(deployed, example, INPUT, [OUTPUT], {0: torch.export.Dim("N", min=1)})


def _compare(deployed: nn.Module, trial: Path) -> Iterator[tuple[str, float, float]]:
    images = np.random.default_rng(0).integers(0, 256, (3, 1, SIDE, SIDE)).astype(np.uint8)
    with torch.no_grad():
        expected = deployed(torch.from_numpy(images)).numpy()
    found = GreyClassifier(trial).classify(list(images[:, 0]))
    yield "probabilities differ", float(np.abs(found - expected).max()), MAX_PROBABILITY_DIFFERENCE


GREY_EXPORT = NetworkExport(
    task=GREY,
    network=GreyClassifier,
    trained_on="images composed by `digitkit.training.scenes.single`",
    deploy=SoftmaxNet,
    trace=_trace,
    compare=_compare,
)
"""The export of the grey classifier."""
