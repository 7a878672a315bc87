"""The trained line reader as a verified ONNX file. Needs torch and onnx."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from digitkit.export.deploy import fold_normalisation, trace_onnx, write_network
from digitkit.export.verify import PARITY
from digitkit.reading.line_reader import (
    COLUMN,
    HEIGHT,
    INPUT,
    LINE_FILE,
    OUTPUT,
    SIGN,
    LineReader,
)
from digitkit.training.line_net import LineNet
from digitkit.training.line_training import LINES
from digitkit.training.steps import load_weights

SIGN_PRIOR = 0.5
"""Signs are rarer in what users read than in training, by this factor; their scores are lowered
accordingly."""


class _DeployedLineNet(nn.Module):
    """The line reader as it is shipped: probabilities, no batch normalisation."""

    def __init__(self, net: LineNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        fold_normalisation(self.net)
        with torch.no_grad():
            self.net.head.bias[SIGN] += math.log(SIGN_PRIOR)  # type: ignore[index]

    def forward(self, line: Tensor) -> Tensor:
        return torch.softmax(self.net(line.to(torch.float32)), dim=1)


def export_line_reader(net: LineNet, path: Path, training: str) -> None:
    """Write the net as an ONNX file, checked against torch.

    Args:
        net: the trained net.
        path: where the file is written.
        training: a sentence on how it was trained, stored in the file.

    Raises:
        GateError: ONNX Runtime's probabilities differ from torch's; nothing was written.
        OutputError: the file cannot be written.
    """
    deployed = _DeployedLineNet(net)
    columns = torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, HEIGHT, 37 * COLUMN, dtype=torch.uint8)
    model = trace_onnx(deployed, example, INPUT, [OUTPUT], {3: COLUMN * columns})

    def compare(trial: Path) -> Iterator[tuple[str, float, float]]:
        ink = np.random.default_rng(0).integers(0, 256, (HEIGHT, 101 * COLUMN)).astype(np.uint8)
        with torch.no_grad():
            expected = deployed(torch.from_numpy(ink)[None, None])[0].numpy()
        difference = float(np.abs(LineReader(trial).read(ink) - expected).max())
        yield "probabilities differ", difference, PARITY

    write_network(model, LineReader, path, training, compare)


def export_line_run(folder: Path) -> Path:
    """Export the line reader in a run folder to its ``lines.onnx``, and return the path.

    Raises:
        RunError: the folder contains no line reader.
        GateError, OutputError: as `export_line_reader`.
    """
    net = LineNet()
    how = load_weights(LINES, folder / LINES.weights, net)
    training = f"Trained {how}, on rows of images composed by `digitkit.training.scenes`."
    export_line_reader(net, folder / LINE_FILE, training)
    return folder / LINE_FILE
