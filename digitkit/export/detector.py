"""The trained detector as ONNX, verified."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from digitkit.datasets.mnist import load_mnist
from digitkit.errors import GateError
from digitkit.export import graph
from digitkit.export.export import to_onnx_program
from digitkit.images.convert import to_grey
from digitkit.reading.detector import (
    CENTRE,
    DETECTOR_FILE,
    DETECTOR_VERSION,
    INPUT,
    OUTPUTS,
    STEP,
    Detector,
)
from digitkit.system import atomic
from digitkit.training.detector import WEIGHTS, load_weights
from digitkit.training.detector_net import DetectorNet
from digitkit.training.scenes.scene import scene
from digitkit.version import __version__

PARITY = 1e-3
"""Gate: largest difference of a probability between torch and ONNX Runtime."""


class _DeployedDetector(nn.Module):
    """The net as it is shipped: probabilities, boxes in pixels, no batch normalisation."""

    def __init__(self, net: DetectorNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        for block in self.net.modules():
            if not isinstance(block, nn.Sequential) or len(block) < 2:
                continue
            first, second = block[0], block[1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[0], block[1] = fuse_conv_bn_eval(first, second), nn.Identity()

        first = self.net.down2[1][0]  # type: ignore[index]
        self.net.down2 = nn.Sequential(_unshuffled(first), nn.ReLU())

    def forward(self, page: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ink, centre, reach = self.net(page.to(torch.float32))
        return torch.sigmoid(ink), torch.sigmoid(centre), torch.exp(reach) * CENTRE


def _unshuffled(conv: nn.Conv2d) -> nn.Conv2d:
    """One convolution of stride 2 that does what unshuffling and a convolution of 3×3 did."""
    wide = conv.out_channels
    made = nn.Conv2d(1, wide, 6, stride=2, padding=2)
    with torch.no_grad():
        weight = conv.weight.view(wide, 2, 2, 3, 3).permute(0, 3, 1, 4, 2)
        made.weight.copy_(weight.reshape(wide, 1, 6, 6))
        assert made.bias is not None
        assert conv.bias is not None
        made.bias.copy_(conv.bias)
    return made


def export_detector(net: DetectorNet, path: Path, training: str) -> None:
    """Write the net as ``finder.onnx``, checked against torch on a scene.

    Args:
        net: trained.
        path: of the file.
        training: a sentence on how it was trained, kept in the file.

    Raises:
        GateError: ONNX Runtime gives other maps than torch.
        OutputError: it cannot be written.
    """
    deployed = _DeployedDetector(net)
    # A batch of 1 is what it is for; height and width vary by multiples of 16.
    rows, columns = torch.export.Dim("rows", min=1), torch.export.Dim("columns", min=1)
    example = torch.zeros(1, 1, 12 * STEP, 9 * STEP, dtype=torch.uint8)
    model = to_onnx_program(
        deployed, example, [INPUT], list(OUTPUTS), {2: STEP * rows, 3: STEP * columns}
    )
    _scale_by_two(model)
    metadata = {
        "digitkit.finder": DETECTOR_VERSION,
        "digitkit.digitkit_version": __version__,
        "digitkit.licence": "MIT",
        "digitkit.parameters": str(graph.count_graph(model).parameters),
        "digitkit.training": training,
    }
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch, path.name)
        trial.write_bytes(graph.to_bytes(model, metadata))
        mnist = load_mnist("train")
        made = scene(mnist.images, mnist.labels, np.random.default_rng(0), sides=(300, 400))
        plain = to_grey(made.image)[:288, :208]
        plain = np.ascontiguousarray(
            plain[: len(plain) // STEP * STEP, : plain.shape[1] // STEP * STEP]
        )
        maps = Detector(trial).maps(plain)
        with torch.no_grad():
            truth = deployed(torch.from_numpy(plain.copy())[None, None])
        for name, given, wanted in zip(
            OUTPUTS, (maps.ink, maps.centre, maps.reach), truth, strict=True
        ):
            difference = float(np.abs(given - wanted[0].numpy().reshape(given.shape)).max())
            if difference > (PARITY if name != "reach" else 100 * PARITY):
                raise GateError(f"{path}: parity failed: {name} differs by {difference:.1e}")
        atomic.write_bytes(path, trial.read_bytes())


def _scale_by_two(model: onnx.ModelProto) -> None:
    """Resize by a constant factor, not to a size computed from shapes: ONNX Runtime keeps its own
    memory layout over the first kind, and reorders twice around the second.
    """
    factor = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    nodes = model.graph.node
    for node in nodes:
        if node.op_type == "Resize":
            node.input[:] = [node.input[0], "", "twice"]
    model.graph.initializer.append(factor)
    while True:
        used = {name for node in nodes for name in node.input} | set(OUTPUTS)
        idle = [node for node in nodes if not used & set(node.output)]
        if not idle:
            break
        for node in idle:
            nodes.remove(node)
    graph.clean_graph(model)


def export_run(folder: Path) -> Path:
    """Export what a run has trained to its ``finder.onnx``; raises like `train`."""
    saved = load_weights(folder / WEIGHTS)
    net = DetectorNet()
    net.load_state_dict(saved["net"])
    training = f"Trained {saved['training']}, on scenes that `digitkit.training.scenes` composes."
    export_detector(net, folder / DETECTOR_FILE, training)
    return folder / DETECTOR_FILE
