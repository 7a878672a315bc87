"""The finder: a session over the net that finds the digits of a page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from digitkit.arrays import F32, U8
from digitkit.errors import ModelError, one_line
from digitkit.images.opencv import cv2
from digitkit.models.registry import models_folder
from digitkit.models.session import make_session

DETECTOR_FILE = "finder.onnx"
"""Its file's name among the models that ship."""

INPUT = "page"
"""uint8 ``[1, 1, H, W]``: grey levels; H and W multiples of `STEP`."""

OUTPUTS = ("ink", "centre", "reach")
"""float32 ``[1, 1, H/2, W/2]``, ``[1, 1, H/4, W/4]`` and ``[1, 4, H/4, W/4]``; see `Maps`."""

STEP = 16
"""The net's input is padded to multiples of this, pixels."""

INK, CENTRE = 2, 4
"""Pixels of the picture to one of the ink's map, and to one of the centres' and boxes'."""

DETECTOR_VERSION = "1"
"""Stored in the file as ``digitkit.finder``; goes up when the maps change their meaning."""


@dataclass(frozen=True)
class Maps:
    """What the net says of a picture of H×W pixels.

    Attributes:
        ink: float32 ``[H/2, W/2]``, rounded up: probability of ink of a digit, 0–1.
        centre: float32 ``[H/4, W/4]``: how surely the middle of a digit is here, 0–1.
        reach: float32 ``[4, H/4, W/4]``: from here to the digit's left, top, right and bottom,
            pixels.
    """

    ink: F32
    centre: F32
    reach: F32


class Detector:
    """The net that finds digits; `digitkit.pages` makes digits of what it says.

    Attributes:
        path: its file.
        metadata: how it was made, keys ``digitkit.*``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load it.

        Args:
            path: its file; the one that is shipped by default.
            threads: that one run may use.

        Raises:
            ModelError: the file is missing, or is no finder that this version knows.
        """
        self.path = Path(path) if path is not None else models_folder() / DETECTOR_FILE
        if not self.path.is_file():
            raise ModelError(f"{self.path}: the model that finds digits is missing; reinstall")
        self.session = make_session(self.path, threads)
        self.metadata = dict(self.session.get_modelmeta().custom_metadata_map)
        if self.metadata.get("digitkit.finder") != DETECTOR_VERSION:
            raise ModelError(f"{self.path}: is no finder of digits of version {DETECTOR_VERSION}")

    def maps(self, plain: U8) -> Maps:
        """Look at a picture.

        Args:
            plain: grey, uint8 ``[H, W]``; digits of 12 to 100 pixels' height are found best.

        Raises:
            ModelError: ONNX Runtime fails.
        """
        height, width = plain.shape
        down, right = -height % STEP, -width % STEP
        if down or right:
            plain = cv2.copyMakeBorder(plain, 0, down, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
        try:
            ink, centre, reach = self.session.run(OUTPUTS, {INPUT: plain[None, None]})
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelError(f"{self.path}: {one_line(error)}") from error
        tall, wide = -(-height // INK), -(-width // INK)
        low, narrow = -(-height // CENTRE), -(-width // CENTRE)
        return Maps(
            ink[0, 0, :tall, :wide], centre[0, 0, :low, :narrow], reach[0, :, :low, :narrow]
        )
