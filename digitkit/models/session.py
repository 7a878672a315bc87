"""The one place that creates ONNX Runtime sessions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from digitkit.choices import MAX_THREADS
from digitkit.errors import MissingDependencyError, ModelError, check_range, one_line


class TensorInfo(Protocol):
    """An input or output of a model: an ``onnxruntime.NodeArg``, which has no type hints."""

    @property
    def name(self) -> str:
        """Its name in the graph."""

    @property
    def type(self) -> str:
        """Its type: ``tensor(uint8)``, ``tensor(float)``."""

    @property
    def shape(self) -> Sequence[int | str | None]:
        """Its dimensions; a dynamic one is a name or None."""


class Session(Protocol):
    """The part of ``onnxruntime.InferenceSession`` that digitkit uses; it has no type hints."""

    def run(
        self,
        outputs: Sequence[str] | None,
        feeds: Mapping[str, npt.NDArray[np.generic]],
        options: Any = None,
    ) -> list[Any]:
        """Arrays of the named outputs, of all for None; see ``onnxruntime.RunOptions``."""

    def get_inputs(self) -> list[TensorInfo]:
        """The model's inputs, in order."""

    def get_outputs(self) -> list[TensorInfo]:
        """The model's outputs, in order."""

    def get_modelmeta(self) -> Any:
        """The model's metadata; ``custom_metadata_map`` is its ``metadata_props``."""

    def get_session_options(self) -> Any:
        """The options that the session runs with."""

    def get_providers(self) -> list[str]:
        """The execution providers that the session uses."""


def load_onnxruntime() -> Any:
    """Import ``onnxruntime``, which takes up to a second on a small device.

    Raises:
        MissingDependencyError: it does not load.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime does not load ({one_line(error)})",
            hint="pip install onnxruntime (64-bit systems only)",
        ) from error
    return onnxruntime


def make_session(path: Path, threads: int = 1) -> Session:
    """Create a session as digitkit runs models: CPU only, no spinning.

    Args:
        path: the model file.
        threads: threads that one call may use, 1 to 1,024.

    Raises:
        ModelError: ONNX Runtime cannot load the model.
        MissingDependencyError: ONNX Runtime itself does not load.
        ConfigError: `threads` is not within that range.
    """
    check_range("threads", threads, 1, MAX_THREADS, whole=True)
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads answer a little sooner but cost whole cores between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors arrive as exceptions
    try:
        session: Session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # Read once here: texts that are not UTF-8 raise whenever they are read.
        _ = session.get_modelmeta().custom_metadata_map
        _ = [tensor.name for tensor in (*session.get_inputs(), *session.get_outputs())]
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        size = path.stat().st_size if path.exists() else 0
        if type(error).__name__ == "InvalidProtobuf":  # which ONNX Runtime does not export
            raise ModelError(
                f"is not an ONNX model, or only a part of one ({size:,} bytes)",
                subject=str(path),
                hint="copy the file again, or name another .onnx file or a shipped model",
            ) from error
        raise ModelError(
            f"ONNX Runtime {ort.__version__} cannot load it ({size} bytes): {one_line(error)}",
            subject=str(path),
        ) from error
    return session


def run_limited(
    session: Session,
    outputs: Sequence[str],
    feeds: Mapping[str, npt.NDArray[np.generic]],
    seconds: float,
) -> list[Any]:
    """Run a session once, and stop it after a time limit.

    Args:
        session: what to run.
        outputs: names of the outputs.
        feeds: arrays of the inputs.
        seconds: the time limit.

    Raises:
        Exception: whatever ONNX Runtime raises when the model fails or is stopped.
    """
    options = load_onnxruntime().RunOptions()
    options.log_severity_level = 4  # its errors arrive as exceptions

    def stop() -> None:
        options.terminate = True

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        return session.run(outputs, feeds, options)
    finally:
        timer.cancel()
        timer.join()  # decoders are silenced only while there is one thread
