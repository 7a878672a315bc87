"""The trained detector as a verified ONNX file. Needs torch and onnx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from digitkit.datasets.mnist import load_mnist
from digitkit.export import graph
from digitkit.export.deploy import prepare, trace_onnx
from digitkit.export.network_export import NetworkExport
from digitkit.images.convert import to_grey
from digitkit.reading.networks.detector import (
    CENTRE_STRIDE,
    INPUT,
    INPUT_MULTIPLE,
    OUTPUTS,
    Detector,
)
from digitkit.training.detector_net import DetectorNet
from digitkit.training.detector_training import DETECTOR
from digitkit.training.scenes.scene import compose_scene

MAX_OUTPUT_DIFFERENCE = 1e-3
"""Gate: largest difference of a probability between torch and ONNX Runtime; of a distance to a side
of a box, a hundred times as much, pixels."""


class _DeployedDetector(nn.Module):
    """The detector as it is shipped: probabilities, boxes in pixels, no batch normalisation."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = prepare(net)
        first = self.net.down2[1][0]  # type: ignore[index]
        self.net.down2 = nn.Sequential(_fold_unshuffle(first), nn.ReLU())

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ink, centre, reach = self.net(page.to(torch.float32))
        return torch.sigmoid(ink), torch.sigmoid(centre), torch.exp(reach) * CENTRE_STRIDE


def _fold_unshuffle(conv: nn.Conv2d) -> nn.Conv2d:
    """One convolution of stride 2 that does the same as an unshuffle and a convolution of 3×3."""
    channels = conv.out_channels
    folded = nn.Conv2d(1, channels, 6, stride=2, padding=2)
    with torch.no_grad():
        weight = conv.weight.view(channels, 2, 2, 3, 3).permute(0, 3, 1, 4, 2)
        folded.weight.copy_(weight.reshape(channels, 1, 6, 6))
        assert folded.bias is not None
        assert conv.bias is not None
        folded.bias.copy_(conv.bias)
    return folded


def _trace(deployed: nn.Module) -> onnx.ModelProto:
    # It runs with a batch of 1; height and width vary in multiples of 16.
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, 12 * INPUT_MULTIPLE, 9 * INPUT_MULTIPLE, dtype=torch.uint8)
    model = trace_onnx(
        deployed,
        example,
        INPUT,
        list(OUTPUTS),
        {2: INPUT_MULTIPLE * rows, 3: INPUT_MULTIPLE * columns},
    )
    _scale_by_two(model)
    return model


def _compare(deployed: nn.Module, trial: Path) -> Iterator[tuple[str, float, float]]:
    """How far the file's maps are from torch's, on a part of a synthetic page."""
    mnist = load_mnist("train")
    page = compose_scene(mnist.images, mnist.labels, np.random.default_rng(0), sides=(300, 400))
    plain = to_grey(page.image)[:288, :208]
    height, width = (side // INPUT_MULTIPLE * INPUT_MULTIPLE for side in plain.shape)
    plain = np.ascontiguousarray(plain[:height, :width])
    maps = Detector(trial).maps(plain)
    with torch.no_grad():
        expected = deployed(torch.from_numpy(plain.copy())[None, None])
    for name, values, truth in zip(
        OUTPUTS, (np.stack([maps.ink, maps.other]), maps.centre, maps.reach), expected, strict=True
    ):
        difference = float(np.abs(values - truth[0].numpy().reshape(values.shape)).max())
        limit = MAX_OUTPUT_DIFFERENCE * (100 if name == "reach" else 1)
        yield f"{name} differs", difference, limit


def _scale_by_two(model: onnx.ModelProto) -> None:
    """Resize by a constant factor instead of to a size computed from shapes.

    ONNX Runtime keeps its memory layout across the former, and reorders twice around the latter.
    """
    factor = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    nodes = model.graph.node
    for node in nodes:
        if node.op_type == "Resize":
            node.input[:] = [node.input[0], "", "twice"]
    model.graph.initializer.append(factor)
    while True:
        used = {name for node in nodes for name in node.input} | set(OUTPUTS)
        unused = [node for node in nodes if not used & set(node.output)]
        if not unused:
            break
        for node in unused:
            nodes.remove(node)
    graph.clean_graph(model)


DETECTOR_EXPORT = NetworkExport(
    task=DETECTOR,
    network=Detector,
    trained_on="scenes composed by `digitkit.training.scenes`",
    deploy=_DeployedDetector,
    trace=_trace,
    compare=_compare,
)
"""The export of the detector, checked on a synthetic page."""
