"""OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.arrays import F32
from digitkit.benchmark.runtimes import LoadedModel, Option
from digitkit.errors import MissingDependencyError, ModelError, one_line

try:
    import openvino
except ImportError as error:
    raise MissingDependencyError(
        f"OpenVINO cannot be loaded: {one_line(error)}", hint="pip install openvino"
    ) from error


def load(path: Path, threads: int, batch: int, scale: float | None) -> LoadedModel:
    """See `digitkit.benchmark.runtimes.load`."""
    options: dict[str, Option] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Otherwise it may compute in 16 bits where the processor can: not the same model.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        model = core.read_model(path)
        # A dynamic batch is several times as slow as a fixed one.
        model.reshape([batch, 1, 28, 28])
        request = core.compile_model(model, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise ModelError(
            f"OpenVINO {openvino.__version__} cannot load it: {one_line(error)}", subject=str(path)
        ) from error

    def run(images: Any) -> F32:
        scores = request.infer([images], share_inputs=True, share_outputs=True)
        return scores[0]  # type: ignore[no-any-return]

    return LoadedModel(run, options)
