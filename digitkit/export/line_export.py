"""The trained line reader as a verified int8 ONNX file. Needs torch and onnx."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from digitkit.arrays import F32, U8
from digitkit.errors import DatasetError, GateError
from digitkit.export import graph
from digitkit.export.deploy import describe_network, fold_normalisation, trace_onnx
from digitkit.export.quantize import describe_target, quantize_rows
from digitkit.reading.line_reader import (
    COLUMN,
    HEIGHT,
    INPUT,
    LINE_FILE,
    LINE_VERSION,
    NONE,
    OUTPUT,
    SIGN,
    LineReader,
)
from digitkit.system import atomic
from digitkit.system.scratch import scratch_folder
from digitkit.training.line_data import read_strips
from digitkit.training.line_net import LineNet
from digitkit.training.line_training import LINES, STRIPS
from digitkit.training.steps import load_weights

PARITY = 1e-4
"""Gate: largest difference of a probability between torch and ONNX Runtime, in fp32."""

MAX_LOSS = 0.02
"""Gate: largest probability that int8 gives to other classes than fp32, on average over the columns
where fp32 sees something."""

SIGN_PRIOR = 0.5
"""Signs are so much less frequent in what is read than in training, where half of the hands write
dates or calculations."""

CALIBRATION_ROWS = 300
"""Number of rows that the ranges of int8 are determined from, and of those that it is tested on."""


class _DeployedLineNet(nn.Module):
    """The line reader as it is shipped: uint8 to probabilities, no batch normalisation."""

    def __init__(self, net: LineNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        fold_normalisation(self.net)
        first = self.net.body[0][0]  # type: ignore[index]
        with torch.no_grad():
            first.weight.div_(255)  # takes ink of 0 to 255
            self.net.head.bias[SIGN] += math.log(SIGN_PRIOR)  # type: ignore[index]

    def forward(self, line: Tensor) -> Tensor:
        return torch.softmax(self.net.score(line.to(torch.float32)), dim=1)[:, :, 0]


def export_line_reader(net: LineNet, path: Path, training: str, rows: Sequence[U8]) -> None:
    """Write the net as an ONNX file in int8, checked against torch and fp32.

    Args:
        net: the trained net.
        path: where the file is written.
        training: a sentence on how it was trained, stored in the file.
        rows: uint8 ``[HEIGHT, W]`` each, of its training: the first determine the ranges of int8,
            the last are read to compare.

    Raises:
        GateError: ONNX Runtime's probabilities differ from torch's, or those of int8 from those of
            fp32; nothing was written.
        DatasetError: there are no rows.
        OutputError: the file cannot be written.
    """
    if not rows:
        raise DatasetError("at least one row is required for calibration, got 0")
    deployed = _DeployedLineNet(net)
    columns = torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, HEIGHT, 37 * COLUMN, dtype=torch.uint8)
    model = trace_onnx(deployed, example, INPUT, [OUTPUT], {3: COLUMN * columns})
    metadata = describe_network(model, "lines", LINE_VERSION, training)
    known, checked = rows[:CALIBRATION_ROWS], rows[-CALIBRATION_ROWS:]
    with torch.no_grad():
        read = [deployed(torch.from_numpy(row)[None, None])[0].numpy() for row in checked]
    expected = np.concatenate(read, 1)
    plain = _read_all(graph.to_bytes(model, metadata), checked)
    _check("fp32 and torch", path, float(np.abs(plain - expected).max()), PARITY)
    metadata["digitkit.calibration"] = f"{describe_target('x86')}, {len(known)} training rows"
    content = graph.to_bytes(quantize_rows(model, known), metadata)
    moved = np.abs(_read_all(content, checked) - plain).sum(0) / 2
    seen = plain.argmax(0) != NONE
    _check("int8 and fp32", path, float(moved[seen].mean()) if seen.any() else 0.0, MAX_LOSS)
    atomic.write_bytes(path, content)


def _read_all(content: bytes, rows: Sequence[U8]) -> F32:
    """What a line reader says of rows, one beside the other: ``[13, C]``."""
    with scratch_folder() as scratch:
        trial = scratch / LINE_FILE
        trial.write_bytes(content)
        reader = LineReader(trial)
        return np.concatenate([reader.read(row) for row in rows], 1)


def _check(what: str, path: Path, difference: float, limit: float) -> None:
    if difference > limit:
        raise GateError(
            f"parity failed: probabilities of {what} differ by {difference:.1e}",
            subject=str(path),
            hint="nothing was written",
        )


def export_line_run(folder: Path) -> Path:
    """Export the line reader in a run folder to its ``lines.onnx``, and return the path.

    Raises:
        RunError: the folder contains no line reader.
        GateError, OutputError: as `export_line_reader`.
        DatasetError: the rows that it was trained on are missing.
    """
    net = LineNet()
    how = load_weights(LINES, folder / LINES.weights, net)
    training = f"Trained {how}, on rows of images composed by `digitkit.training.scenes`."
    rows = [strip.ink for strip in read_strips(folder / STRIPS)]
    export_line_reader(net, folder / LINE_FILE, training, rows)
    return folder / LINE_FILE
