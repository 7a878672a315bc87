"""The detector: the network that locates the digits of a page."""

from __future__ import annotations

from dataclasses import dataclass

from digitkit.arrays import F32, U8
from digitkit.images.cv import cv2
from digitkit.models.network import Network

DETECTOR_FILE = "finder.onnx"
"""Name of the detector's file among the shipped models."""

INPUT = "page"
"""uint8 ``[1, 1, H, W]``: grey levels; H and W multiples of `INPUT_MULTIPLE`."""

OUTPUTS = ("ink", "centre", "reach")
"""float32 ``[1, 2, H/2, W/2]``, ``[1, 1, H/4, W/4]`` and ``[1, 4, H/4, W/4]``; see `Maps`."""

INPUT_MULTIPLE = 16
"""The input is padded to multiples of this, pixels."""

INK_STRIDE, CENTRE_STRIDE = 2, 4
"""Pixels of the image per pixel of the ink map, and of the centre and reach maps."""

DETECTOR_VERSION = "2"
"""Stored in the file as ``digitkit.finder``; increases when the maps change their meaning."""


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


class Detector(Network):
    """The network that locates digits.

    `digitkit.reading.detection.pages` turns its maps into detections.
    """

    file, noun, kind, version = DETECTOR_FILE, "digit detector", "finder", DETECTOR_VERSION

    def maps(self, grey: U8) -> Maps:
        """Run the network on an image.

        Args:
            grey: uint8 ``[H, W]``; digits of 12 to 100 pixels' height are detected best.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        height, width = grey.shape
        down, right = -height % INPUT_MULTIPLE, -width % INPUT_MULTIPLE
        if down or right:
            grey = cv2.copyMakeBorder(grey, 0, down, 0, right, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
        ink, centre, reach = self.run(OUTPUTS, {INPUT: grey[None, None]})
        # Without the padding.
        ink_height, ink_width = -(-height // INK_STRIDE), -(-width // INK_STRIDE)
        rows, columns = -(-height // CENTRE_STRIDE), -(-width // CENTRE_STRIDE)
        return Maps(
            ink[0, 0, :ink_height, :ink_width],
            ink[0, 1, :ink_height, :ink_width],
            centre[0, 0, :rows, :columns],
            reach[0, :, :rows, :columns],
        )
