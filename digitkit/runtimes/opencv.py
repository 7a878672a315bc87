"""OpenCV's own inference, ``cv2.dnn``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .._opencv import cv2
from ..errors import ModelError, one_line
from . import F32, Loaded, as_input


def load(path: Path, threads: int, batch: int, scale: float | None) -> Loaded:
    """See `digitkit.runtimes.load`."""
    cv2.setNumThreads(threads)
    try:
        net = cv2.dnn.readNetFromONNX(str(path))
        outputs = net.getUnconnectedOutLayersNames()

        # It reads graphs that it then cannot run, and its outputs' order need not be the graph's.
        blank: Any = as_input(np.zeros((batch, 1, 28, 28), np.uint8), scale)
        net.setInput(blank)
        shapes = [output.shape for output in net.forward(outputs)]
    except cv2.error as error:
        reason = one_line(error.err or error)
        raise ModelError(f"{path}: OpenCV {cv2.__version__} cannot run it: {reason}") from error
    if (batch, 10) not in shapes:
        raise ModelError(f"{path}: OpenCV {cv2.__version__} finds no ten scores an image in it")
    place = shapes.index((batch, 10))

    def run(images: Any) -> F32:
        net.setInput(images)
        return net.forward(outputs)[place]  # type: ignore[return-value]

    return Loaded(run, {"threads": cv2.getNumThreads()})
