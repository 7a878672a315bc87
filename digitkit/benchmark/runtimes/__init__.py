"""The runtimes that a model can be timed in, one module each, loaded on first use.

Each module has a function ``load(path, threads, batch, scale) -> LoadedModel``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8

RuntimeName = Literal["onnxruntime", "opencv", "openvino"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)

Option = bool | int | float | str | tuple[str, ...]
"""What an option of a runtime may be set to."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in a runtime, ready to run.

    Attributes:
        run: what is timed: from the output of `as_input` to ten scores per image, float32
            ``[N, 10]``.
        options: how the runtime was set up, for the report.
    """

    run: Callable[[Any], F32]
    options: dict[str, Option] = field(default_factory=dict)


def as_input(images: U8, scale: float | None) -> npt.NDArray[np.generic]:
    """Images in the data type that a model takes.

    Args:
        images: uint8 ``[N, 1, 28, 28]``.
        scale: what the pixels of a third-party model are multiplied by; None for raw ones.

    Returns:
        A copy as uint8, or as float32 times `scale`.
    """
    return images.copy() if scale is None else images.astype(np.float32) * np.float32(scale)


def load(runtime: str, path: Path, *, threads: int, batch: int, scale: float | None) -> LoadedModel:
    """Load a model file into a runtime.

    Args:
        runtime: one of `RUNTIMES`.
        path: an ``.onnx`` file.
        threads: threads that one call may use.
        batch: images per call, for runtimes that compile the graph for it.
        scale: as for `as_input`: None where the model takes uint8.

    Raises:
        MissingDependencyError: the runtime is not installed.
        ModelError: it cannot load the file.
    """
    model: LoadedModel = import_runtime(runtime).load(path, threads, batch, scale)
    return model


def import_runtime(runtime: str) -> ModuleType:
    """Import the module of a runtime, and with it the runtime's own package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return import_module(f".{runtime}", __name__)
