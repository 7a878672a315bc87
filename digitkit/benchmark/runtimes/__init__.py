"""The runtimes that a model can be timed in, one file each; none is loaded before it is asked for.

Each file has a function ``load(path, threads, batch, scale) -> Loaded``.
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

Name = Literal["onnxruntime", "opencv", "openvino"]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to run.

    Attributes:
        run: what is timed: from what `as_input` gives to ten scores an image, float32 ``[N, 10]``.
        options: how the runtime was set up, for the report.
    """

    run: Callable[[Any], F32]
    options: dict[str, Any] = field(default_factory=dict)


def as_input(images: U8, scale: float | None) -> npt.NDArray[np.generic]:
    """Images in the kind that a model takes.

    Args:
        images: uint8 ``[N, 1, 28, 28]``.
        scale: what a foreign model's pixels are multiplied by; None for raw ones.

    Returns:
        The same as uint8, or as float32 times `scale`.
    """
    return images.copy() if scale is None else images.astype(np.float32) * np.float32(scale)


def load(runtime: str, path: Path, *, threads: int, batch: int, scale: float | None) -> Loaded:
    """Load a model file into a runtime.

    Args:
        runtime: one of `NAMES`.
        path: an ``.onnx`` file.
        threads: threads that one run may use.
        batch: images in a run, for runtimes that fit the graph to it.
        scale: as for `as_input`: None where the model takes uint8.

    Raises:
        MissingDependencyError: the runtime is not installed.
        ModelError: it cannot load the file.
    """
    loaded: Loaded = module_of(runtime).load(path, threads, batch, scale)
    return loaded


def module_of(runtime: str) -> ModuleType:
    """Import the file of a runtime, and with it the runtime's own package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    return import_module(f".{runtime}", __name__)
