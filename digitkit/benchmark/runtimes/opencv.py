"""OpenCV's DNN module, ``cv2.dnn``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digitkit.arrays import F32
from digitkit.benchmark.runtimes import LoadedModel
from digitkit.errors import ModelError, one_line
from digitkit.images.cv import cv2


def load(path: Path, threads: int, batch: int, scale: float | None) -> LoadedModel:
    """See `digitkit.benchmark.runtimes.load`.

    A graph that OpenCV reads but cannot run fails in the first call.
    """
    cv2.setNumThreads(threads)
    subject, problem = str(path), f"OpenCV {cv2.__version__} cannot run it"
    try:
        net = cv2.dnn.readNetFromONNX(str(path))
        outputs = net.getUnconnectedOutLayersNames()
    except cv2.error as error:
        raise ModelError(f"{problem}: {one_line(error.err or error)}", subject=subject) from error

    def run(images: Any) -> F32:
        try:
            net.setInput(images)
            scores = net.forward(outputs)
        except cv2.error as error:
            raise ModelError(
                f"{problem}: {one_line(error.err or error)}", subject=subject
            ) from error
        for output in scores:  # their order may differ from the graph's
            if output.shape == (batch, 10):
                return output  # type: ignore[return-value]
        raise ModelError(f"{problem}: no output has ten scores per image", subject=subject)

    return LoadedModel(run, {"threads": cv2.getNumThreads()})
