"""OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.arrays import F32
from digitkit.benchmark.runtimes import Loaded
from digitkit.errors import MissingDependencyError, ModelError, one_line

try:
    import openvino
except ImportError as error:
    raise MissingDependencyError(
        f"OpenVINO does not load ({one_line(error)}); pip install openvino brings it"
    ) from error


def load(path: Path, threads: int, batch: int, scale: float | None) -> Loaded:
    """See `digitkit.runtimes.load`."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Else it may compute in 16 bits where the processor can, and is not the same model.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        model = core.read_model(path)
        # A batch of any size costs it several times as much as one of a size that it knows.
        model.reshape([batch, 1, 28, 28])
        request = core.compile_model(model, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise ModelError(
            f"{path}: OpenVINO {openvino.__version__} cannot load it: {one_line(error)}"
        ) from error

    def run(images: Any) -> F32:
        given = request.infer([images], share_inputs=True, share_outputs=True)
        return given[0]  # type: ignore[no-any-return]

    return Loaded(run, options)
