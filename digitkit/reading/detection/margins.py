"""Images that are cut out along the outline of their ink, without a margin of paper.

Such an image looks as if its borders cut the digits that meet them. With paper around, it reads as
with a margin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.boxes import clip_box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import find_runs
from digitkit.reading.results import Digit, Mark

MARGIN = 0.1
"""How much paper is put around, in shorter sides of the image."""

MIN_MARGIN = 4
"""Minimum width of the paper that is put around an image, pixels."""

BORDER_CONTRAST = 0.25
"""A pixel on the border is ink from this fraction of the contrast on."""

MAX_BORDER_INK = 0.5
"""A border with a greater fraction of ink does not show paper."""

MAX_EDGE_STRENGTH = 0.88
"""Ink ends at a border if it has at most this fraction of the strength that it has further in: the
outline of a stroke is half as dark as its middle, and a stroke that the border cuts is not."""

EDGE_DEPTH = 4
"""Number of rows or columns inside of the border in which the full strength of ink is looked for,
pixels."""

SAMPLED_LINES = 100
"""The contrast is taken from so many rows or columns of the shorter side."""

_Found = TypeVar("_Found", Digit, Mark)


def required_margin(image: GreyImage) -> int:
    """How much paper an image needs around it, pixels; 0 for one that is not cut out like that."""
    if image.halvings or min(image.shape) <= EDGE_DEPTH:
        return 0
    grey = image.reduced
    paper = _paper_level(grey)
    step = max(1, min(grey.shape) // SAMPLED_LINES)
    contrast = float(np.percentile(np.abs(grey[::step, ::step].astype(np.int16) - paper), 98))
    limit = max(1.0, BORDER_CONTRAST * contrast)
    sides = grey, grey[::-1], grey.T, grey.T[::-1]
    edges = [np.abs(side[: EDGE_DEPTH + 1].astype(np.int16) - paper) for side in sides]
    met = [levels for levels in edges if levels[0].max() > limit]
    if not met or not all(_ends_there(levels, limit) for levels in met):
        return 0
    return max(MIN_MARGIN, round(MARGIN * min(image.shape)))


def _ends_there(levels: npt.NDArray[np.int16], limit: float) -> bool:
    """Whether all ink on the first row ends there.

    Args:
        levels: difference from the paper, int16 ``[EDGE_DEPTH + 1, W]``, from the border inwards.
        limit: least one of ink.
    """
    is_ink = levels[0] > limit
    if is_ink.mean() > MAX_BORDER_INK:
        return False
    return all(
        levels[0, start:end].max() <= MAX_EDGE_STRENGTH * levels[1:, start:end].max()
        for start, end in find_runs(is_ink).tolist()
    )


def add_margin(image: GreyImage, margin: int) -> GreyImage:
    """The image with a margin, pixels, of the level that most of its border has."""
    grey = image.reduced
    sides = (margin,) * 4
    wider = cv2.copyMakeBorder(grey, *sides, cv2.BORDER_CONSTANT, value=_paper_level(grey))
    return GreyImage.from_pixels(np.asarray(wider, np.uint8))


def remove_margin(
    found: Iterable[_Found], margin: int, shape: tuple[int, int]
) -> tuple[_Found, ...]:
    """What was found in an image with a margin, pixels, as it is in the image of this shape."""
    return tuple(_move(each, margin, shape) for each in found)


def _move(found: _Found, margin: int, shape: tuple[int, int]) -> _Found:
    x, y, w, h = found.box
    box = clip_box(x - margin, y - margin, w, h, shape[1], shape[0])
    if found.level_box is None:
        return replace(found, box=box)
    x, y, w, h = found.level_box
    return replace(found, box=box, level_box=(x - margin, y - margin, w, h))


def _paper_level(grey: U8) -> int:
    """The level that most of the border has."""
    return round(float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))))
