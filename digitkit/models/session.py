"""The one place that builds an ONNX Runtime session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.errors import MissingDependencyError, ModelError, one_line


def load_onnxruntime() -> Any:
    """The module ``onnxruntime``, which takes a good part of a second to load on a small device.

    Raises:
        MissingDependencyError: it does not load.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime does not load ({one_line(error)}); pip install onnxruntime brings it "
            "(64-bit systems only)"
        ) from error
    return onnxruntime


def make_session(path: Path, threads: int = 1):  # type: ignore[no-untyped-def]
    """An ``onnxruntime.InferenceSession`` as digitkit runs models: CPU only, no spinning.

    Args:
        path: the model file.
        threads: threads that one run may use.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        MissingDependencyError: ONNX Runtime itself does not load.
        ValueError: `threads` is under 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; needed is 1 or more")
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads answer a little sooner but cost whole cores between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors come back as exceptions
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        size = path.stat().st_size if path.exists() else 0
        raise ModelError(
            f"{path}: ONNX Runtime {ort.__version__} cannot load it ({size} bytes): "
            f"{one_line(error)}"
        ) from error
