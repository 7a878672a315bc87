"""The networks next to the classifier as verified ONNX files. Needs torch and onnx."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import onnx
from torch import nn

from digitkit.errors import GateError
from digitkit.export import graph
from digitkit.export.deploy import Net
from digitkit.models.network import Network
from digitkit.system import atomic
from digitkit.system.scratch import scratch_folder
from digitkit.training.steps import StepTask, load_weights
from digitkit.version import __version__


@dataclass(frozen=True)
class NetworkExport(Generic[Net]):
    """How a network is exported.

    Attributes:
        task: its training.
        network: what loads the file.
        trained_on: the samples of its training, in words.
        deploy: makes the net as it is shipped.
        trace: converts the latter to an ONNX graph.
        compare: runs the file, and says of each output how far it is from that of the net as it is
            shipped: what differs, in words, by how much, and by how much it may.
    """

    task: StepTask[Any, Net]
    network: type[Network]
    trained_on: str
    deploy: Callable[[Net], nn.Module]
    trace: Callable[[nn.Module], onnx.ModelProto]
    compare: Callable[[nn.Module, Path], Iterable[tuple[str, float, float]]]

    def run(self, folder: Path) -> Path:
        """Export the net in a run folder into that folder, checked against torch.

        Returns:
            The path of the ONNX file.

        Raises:
            RunError: the folder contains no such net.
            GateError: an output of ONNX Runtime differs too much from torch's; nothing was written.
            OutputError: the file cannot be written.
        """
        net = self.task.build()
        how = load_weights(self.task, folder / self.task.weights, net)
        deployed = self.deploy(net)
        model = self.trace(deployed)
        metadata = {
            f"digitkit.{self.network.kind}": self.network.version,
            "digitkit.digitkit_version": __version__,
            "digitkit.licence": "MIT",
            "digitkit.parameters": str(graph.count_graph(model).parameters),
            "digitkit.training": f"Trained {how}, on {self.trained_on}.",
        }
        content = graph.to_bytes(model, metadata)
        path = folder / self.network.file
        with scratch_folder() as scratch:
            trial = scratch / path.name
            trial.write_bytes(content)
            for what, difference, limit in self.compare(deployed, trial):
                if not difference <= limit:
                    raise GateError(
                        f"parity failed: {what} by {difference:.1e}",
                        subject=str(path),
                        hint="nothing was written",
                    )
        atomic.write_bytes(path, content)
        return path
