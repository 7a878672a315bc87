"""The grey classifier: the network that reads the pixels of a digit as they are.

The classifier reads ink: it is as right as the ink is extracted well. From a poor camera's grey
paper, noise and halos no threshold extracts it; there this network reads the image itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import resize_to
from digitkit.models.network import Network

GREY_FILE = "grey.onnx"
"""Name of the grey classifier's file among the shipped models."""

INPUT = "grey"
"""uint8 ``[N, 1, SIDE, SIDE]``: grey levels, dark on light or light on dark."""

OUTPUT = "probabilities"
"""float32 ``[N, 11]``: of the digits 0 to 9, and of no digit."""

SIDE = 40
"""Height and width of the grey classifier's input, pixels."""

GREY_VERSION = "1"
"""Stored in the file as ``digitkit.grey``; increases when input or output change."""


class GreyClassifier(Network):
    """The network that reads grey levels; no ink is extracted for it."""

    file, noun, kind, version = GREY_FILE, "grey classifier", "grey", GREY_VERSION

    def classify(self, images: Sequence[U8]) -> F32:
        """Read images of one digit each, or of none.

        Args:
            images: grey levels of any size, uint8 ``[H, W]``; at least one.

        Returns:
            float32 ``[N, 11]``: the probabilities of the digits 0 to 9 and of no digit.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        batch = np.stack([fit_square(image) for image in images])[:, None]
        (found,) = self.run([OUTPUT], {INPUT: batch})
        return np.asarray(found, np.float32)


def fit_square(grey: U8) -> U8:
    """An image as the network takes it: reduced or enlarged, and its border repeated to a square.

    Args:
        grey: uint8 ``[H, W]``.

    Returns:
        uint8 ``[SIDE, SIDE]``.
    """
    grey = resize_to(grey, SIDE / max(grey.shape))
    down, right = SIDE - grey.shape[0], SIDE - grey.shape[1]
    if not (down or right):
        return grey
    padding = down // 2, down - down // 2, right // 2, right - right // 2
    return np.asarray(cv2.copyMakeBorder(grey, *padding, cv2.BORDER_REPLICATE), np.uint8)
