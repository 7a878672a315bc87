"""ONNX Runtime, set up as digitkit itself runs models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.arrays import F32
from digitkit.benchmark.runtimes import LoadedModel, Option
from digitkit.models.session import load_onnxruntime, make_session

load_onnxruntime()

_OPTIONS = (
    "intra_op_num_threads",
    "inter_op_num_threads",
    "execution_mode",
    "graph_optimization_level",
    "enable_cpu_mem_arena",
    "enable_mem_pattern",
)
_ENTRIES = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


def load(path: Path, threads: int, batch: int, scale: float | None) -> LoadedModel:
    """See `digitkit.benchmark.runtimes.load`."""
    session = make_session(path, threads)
    source = session.get_inputs()[0].name
    outputs = [output.name for output in session.get_outputs()]

    def run(images: Any) -> F32:
        return session.run(outputs, {source: images})[0]  # type: ignore[no-any-return]

    options = session.get_session_options()
    values = {name: getattr(options, name) for name in _OPTIONS}
    used: dict[str, Option] = {
        name: value if isinstance(value, bool | int) else value.name
        for name, value in values.items()
    }
    used |= {name: options.get_session_config_entry(name) for name in _ENTRIES}
    return LoadedModel(run, used | {"providers": tuple(session.get_providers())})
