"""The trained line reader as a verified ONNX file. Needs torch and onnx."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from digitkit.export.deploy import prepare, trace_onnx
from digitkit.export.network_export import NetworkExport
from digitkit.export.verify import MAX_PROBABILITY_DIFFERENCE
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    HEIGHT,
    INPUT,
    OUTPUT,
    SIGN,
    SPOILED,
    LineReader,
)
from digitkit.training.line_net import LineNet
from digitkit.training.line_training import LINES

SIGN_PRIOR = 0.5
"""Signs are rarer in what users read than in training, by this factor; their scores are lowered
accordingly."""


class _Deployed(nn.Module):
    """The net as it is shipped: uint8 pixels in, probabilities out."""

    def __init__(self, net: LineNet) -> None:
        super().__init__()
        self.net = prepare(net)

    def forward(self, line: Tensor) -> Tensor:
        """Probabilities of the classes, of a spoiled digit, and of a letter.

        Returns:
            float32 ``[N, 15, W / COLUMN_STRIDE]``.
        """
        logits = self.net(line)
        classes, doubts = logits[:, :SPOILED], logits[:, SPOILED:]
        return torch.cat([torch.softmax(classes, dim=1), torch.sigmoid(doubts)], 1)


def _deploy(net: LineNet) -> _Deployed:
    deployed = _Deployed(net)
    with torch.no_grad():
        deployed.get_parameter("net.head.bias")[SIGN] += math.log(SIGN_PRIOR)
    return deployed


def _trace(deployed: nn.Module) -> onnx.ModelProto:
    columns = torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, HEIGHT, 37 * COLUMN_STRIDE, dtype=torch.uint8)
    return trace_onnx(deployed, example, INPUT, [OUTPUT], {3: COLUMN_STRIDE * columns})


def _compare(deployed: nn.Module, trial: Path) -> Iterator[tuple[str, float, float]]:
    ink = np.random.default_rng(0).integers(0, 256, (HEIGHT, 101 * COLUMN_STRIDE)).astype(np.uint8)
    with torch.no_grad():
        expected = deployed(torch.from_numpy(ink)[None, None])[0].numpy()
    difference = float(np.abs(LineReader(trial).read(ink) - expected).max())
    yield "probabilities differ", difference, MAX_PROBABILITY_DIFFERENCE


LINE_EXPORT = NetworkExport(
    task=LINES,
    network=LineReader,
    trained_on="rows of images composed by `digitkit.training.scenes`",
    deploy=_deploy,
    trace=_trace,
    compare=_compare,
)
"""The export of the line reader."""
