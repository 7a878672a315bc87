"""The trained grey classifier as a verified ONNX file. Needs torch and onnx."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from digitkit.export.deploy import fold_normalisation, trace_onnx, write_network
from digitkit.export.verify import PARITY
from digitkit.reading.grey_classifier import (
    GREY_FILE,
    INPUT,
    OUTPUT,
    SIDE,
    GreyClassifier,
)
from digitkit.training.grey_net import GreyNet
from digitkit.training.grey_training import GREY
from digitkit.training.steps import load_weights


class _DeployedGreyNet(nn.Module):
    """The grey classifier as it is shipped: probabilities, no batch normalisation."""

    def __init__(self, net: GreyNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        fold_normalisation(self.net)

    def forward(self, grey: Tensor) -> Tensor:
        return torch.softmax(self.net(grey.to(torch.float32)), dim=1)


def export_grey_classifier(net: GreyNet, path: Path, training: str) -> None:
    """Write the net as an ONNX file, checked against torch.

    Args:
        net: the trained net.
        path: where the file is written.
        training: a sentence on how it was trained, stored in the file.

    Raises:
        GateError: ONNX Runtime's probabilities differ from torch's; nothing was written.
        OutputError: the file cannot be written.
    """
    deployed = _DeployedGreyNet(net)
    example = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    model = trace_onnx(deployed, example, INPUT, [OUTPUT], {0: torch.export.Dim("N", min=1)})

    def compare(trial: Path) -> Iterator[tuple[str, float, float]]:
        images = np.random.default_rng(0).integers(0, 256, (3, 1, SIDE, SIDE)).astype(np.uint8)
        with torch.no_grad():
            expected = deployed(torch.from_numpy(images)).numpy()
        found = GreyClassifier(trial).classify(list(images[:, 0]))
        yield "probabilities differ", float(np.abs(found - expected).max()), PARITY

    write_network(model, GreyClassifier, path, training, compare)


def export_grey_run(folder: Path) -> Path:
    """Export the grey classifier in a run folder to its ``grey.onnx``, and return the path.

    Raises:
        RunError: the folder contains no grey classifier.
        GateError, OutputError: as `export_grey_classifier`.
    """
    net = GreyNet()
    how = load_weights(GREY, folder / GREY.weights, net)
    training = f"Trained {how}, on images composed by `digitkit.training.scenes.single`."
    export_grey_classifier(net, folder / GREY_FILE, training)
    return folder / GREY_FILE
