"""The detector: the network that locates the digits of a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from digitkit.arrays import F32, U8
from digitkit.errors import ModelRunError, one_line
from digitkit.images.cv import cv2
from digitkit.models.registry import models_folder
from digitkit.models.session import load_network

DETECTOR_FILE = "finder.onnx"
"""Its file among the shipped models."""

INPUT = "page"
"""uint8 ``[1, 1, H, W]``: grey levels; H and W multiples of `STEP`."""

OUTPUTS = ("ink", "centre", "reach")
"""float32 ``[1, 2, H/2, W/2]``, ``[1, 1, H/4, W/4]`` and ``[1, 4, H/4, W/4]``; see `Maps`."""

STEP = 16
"""The input is padded to multiples of this, pixels."""

INK, CENTRE = 2, 4
"""Pixels of the image per pixel of the ink map, and of the centre and reach maps."""

DETECTOR_VERSION = "2"
"""Stored in the file as ``digitkit.finder``; increases when the maps change their meaning."""


def detector_path() -> Path:
    """The shipped detector's file."""
    return models_folder() / DETECTOR_FILE


@dataclass(frozen=True)
class Maps:
    """The detector's output for an image of H×W pixels; sizes are rounded up.

    Attributes:
        ink: float32 ``[H/2, W/2]``: probability of a digit's ink, 0–1.
        other: float32 ``[H/2, W/2]``: probability of ink of letters, signs and lines, 0–1.
        centre: float32 ``[H/4, W/4]``: score for a digit's centre, 0–1.
        reach: float32 ``[4, H/4, W/4]``: distances to the digit's left, top, right and bottom,
            pixels.
    """

    ink: F32
    other: F32
    centre: F32
    reach: F32


class Detector:
    """The network that locates digits; `digitkit.reading.pages` turns its maps into detections.

    Attributes:
        path: its file.
        session: the ONNX Runtime session that runs it.
        metadata: how it was trained, keys ``digitkit.*``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load it.

        Args:
            path: its file; the shipped one by default.
            threads: threads that one call may use.

        Raises:
            ModelError: the file does not exist, or is not a detector that this version knows.
            ConfigError: `threads` is less than 1.
        """
        self.path = Path(path) if path is not None else detector_path()
        self.session, self.metadata = load_network(
            self.path, threads, noun="digit detector", kind="finder", version=DETECTOR_VERSION
        )

    def maps(self, grey: U8) -> Maps:
        """Run the network on an image.

        Args:
            grey: uint8 ``[H, W]``; digits of 12 to 100 pixels' height are detected best.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        height, width = grey.shape
        down, right = -height % STEP, -width % STEP
        if down or right:
            grey = cv2.copyMakeBorder(grey, 0, down, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
        try:
            ink, centre, reach = self.session.run(OUTPUTS, {INPUT: grey[None, None]})
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelRunError(one_line(error), subject=str(self.path)) from error
        # Without the padding.
        ink_height, ink_width = -(-height // INK), -(-width // INK)
        rows, columns = -(-height // CENTRE), -(-width // CENTRE)
        return Maps(
            ink[0, 0, :ink_height, :ink_width],
            ink[0, 1, :ink_height, :ink_width],
            centre[0, 0, :rows, :columns],
            reach[0, :, :rows, :columns],
        )
