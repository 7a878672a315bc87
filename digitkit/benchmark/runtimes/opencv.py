"""OpenCV's own inference, ``cv2.dnn``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.arrays import F32
from digitkit.benchmark.runtimes import Loaded
from digitkit.errors import ModelError, one_line
from digitkit.images.opencv import cv2


def load(path: Path, threads: int, batch: int, scale: float | None) -> Loaded:
    """See `digitkit.runtimes.load`; a graph that it reads but cannot run fails in the first run."""
    cv2.setNumThreads(threads)
    cannot = f"{path}: OpenCV {cv2.__version__} cannot run it"
    try:
        net = cv2.dnn.readNetFromONNX(str(path))
        outputs = net.getUnconnectedOutLayersNames()
    except cv2.error as error:
        raise ModelError(f"{cannot}: {one_line(error.err or error)}") from error

    def run(images: Any) -> F32:
        try:
            net.setInput(images)
            given = net.forward(outputs)
        except cv2.error as error:
            raise ModelError(f"{cannot}: {one_line(error.err or error)}") from error
        for output in given:  # their order need not be the graph's
            if output.shape == (batch, 10):
                return output  # type: ignore[return-value]
        raise ModelError(f"{cannot}: it finds no ten scores an image in it")

    return Loaded(run, {"threads": cv2.getNumThreads()})
