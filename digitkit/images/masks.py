"""Masks: images of 0 and 1, and what is connected in them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, U8
from digitkit.images.cv import cv2


def open_mask(mask: U8, height: int, width: int) -> U8:
    """A mask without what a rectangle does not fit into; beyond its border all may be set.

    Args:
        mask: 0 or 1, uint8 ``[H, W]``.
        height: of the rectangle, pixels; less than 1 counts as 1.
        width: of the rectangle, pixels; less than 1 counts as 1.
    """
    height, width = max(1, height), max(1, width)
    kernel = np.ones((height, width), np.uint8)
    # With the same anchor for both, as in cv2.MORPH_OPEN, even sides would move what is left.
    anchor = width - 1 - width // 2, height - 1 - height // 2
    return np.asarray(cv2.dilate(cv2.erode(mask, kernel), kernel, anchor=anchor), np.uint8)


def find_runs(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """The first index of each run of True and the index after its last, intp ``[N, 2]``.

    Args:
        mask: bool ``[N]``.
    """
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return np.asarray(edges.reshape(-1, 2), np.intp)


def connected_components(mask: U8) -> tuple[I32, I32]:
    """The pieces of a mask whose pixels touch, also at their corners.

    Args:
        mask: 0 or 1, uint8 ``[H, W]``; may be empty, for which OpenCV would crash.

    Returns:
        The label of each pixel, int32 ``[H, W]``, 0 where nothing is set; and by label the left
        side, the top, the width, the height and the area, pixels, int32 ``[N, 5]``.
    """
    if not mask.size:
        return np.zeros(mask.shape, np.int32), np.zeros((1, 5), np.int32)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return np.asarray(labels, np.int32), np.asarray(stats, np.int32)
