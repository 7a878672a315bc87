"""Names for the arrays and boxes that travel through digitkit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
"""Pixels, 0 to 255."""

Labels = npt.NDArray[np.uint8]
"""Digits, 0 to 9."""

I32 = npt.NDArray[np.int32]
"""Connected components by their numbers, and OpenCV's figures of them."""

F32 = npt.NDArray[np.float32]
"""Scores and probabilities."""

F64 = npt.NDArray[np.float64]
"""Coordinates, angles and features."""

Box = tuple[int, int, int, int]
"""A bounding box: left, top, width and height, pixels; of the upright image unless another is
named."""
