"""The strokes of a free field: which are the field's own, and how high its digits are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from digitkit.arrays import I32, Box
from digitkit.forms.fields.field_ink import FieldInk
from digitkit.forms.fields.ink_pieces import find_residue, is_astride, is_beside, is_in_other_field
from digitkit.forms.fields.obstructions import has_line
from digitkit.images.cv import cv2
from digitkit.images.masks import connected_components

MIN_STROKE_SIDE = 0.06
"""Minimum of the longer side of a stroke, in heights of the field; a smaller one is dirt. A
decimal separator is measured in heights of the digits, which may be much lower than their field."""

MAX_SMALL = 3
"""Maximum number of strokes that are as small as a decimal separator in a high field; more are
dirt."""

MAX_SPECK_SIZE = 0.1
"""Strokes all of which are less high and wide than this are dirt, too, in heights of the field."""

MIN_DIGIT_HEIGHT = 0.5
"""Minimum height of a stroke that can be a digit by itself, in heights of the field's digits."""

MAX_DEPTH = 0.15
"""Maximum distance of a digit's middle below the field, in heights of the field."""

MIN_SEPARATOR_MIDDLE, MAX_SEPARATOR_WIDTH, MAX_SEPARATOR_COVERED = 0.55, 0.45, 0.7
"""Decimal separator: minimum distance of its middle below the top of the digits and maximum width,
in heights of the digits; maximum share of its width below a digit, which it would be a part of."""

MIN_BAR_ASPECT, MIN_BAR_WIDTH, BAR_MIDDLE, MAX_BAR_COVERED = 1.3, 0.2, (0.25, 0.75), 0.3
"""Minus: minimum ratio of width to height, minimum width, and range of its middle below the top of
the digits, in heights of the digits; maximum share of its width above or below a digit."""

STRIKE_WIDTH, STRIKE_HEIGHTS = 0.9, 1.6
"""Line through several digits: minimum length, as a share of the width of the stroke and in heights
of the digits. Only the middle half of their height is searched."""


@dataclass(frozen=True)
class Strokes:
    """The connected strokes of a field's ink.

    Attributes:
        labels: of each pixel's stroke, int32 ``[h, w]``; 0 is the paper.
        stats: of the strokes, as OpenCV gives them, int32 ``[N, 5]``.
        own: labels of those that belong to the field, intp ``[K]``.
        digit_height: of the field's digits, pixels; 0 without any.
        is_over: whether a stroke beside the field may belong to its number.
    """

    labels: I32 = field(repr=False)
    stats: I32 = field(repr=False)
    own: npt.NDArray[np.intp] = field(repr=False)
    digit_height: float = 0.0
    is_over: bool = False

    @property
    def tall(self) -> npt.NDArray[np.intp]:
        """Labels of the field's own strokes that may be a digit each, intp ``[K]``."""
        is_tall = self.stats[:, cv2.CC_STAT_HEIGHT] >= MIN_DIGIT_HEIGHT * self.digit_height
        return self.own[is_tall[self.own]]

    @property
    def top(self) -> float:
        """The usual top of the digits, pixels."""
        return float(np.median(self.stats[self.tall, cv2.CC_STAT_TOP]))

    def may_be_separator(self, label: int) -> bool:
        """Whether a stroke may be a decimal separator: small, low and not below a digit."""
        _, y, w, h = self.stats[label, : cv2.CC_STAT_AREA].tolist()
        if (
            h >= MIN_DIGIT_HEIGHT * self.digit_height
            or w >= MAX_SEPARATOR_WIDTH * self.digit_height
        ):
            return False
        is_low = y + h / 2 - self.top > MIN_SEPARATOR_MIDDLE * self.digit_height
        return is_low and self._share_in_digit(label) <= MAX_SEPARATOR_COVERED

    def may_be_minus(self, label: int) -> bool:
        """Whether a stroke is short and horizontal, beside or between digits."""
        _, y, w, h = self.stats[label, : cv2.CC_STAT_AREA].tolist()
        if w < max(MIN_BAR_ASPECT * h, MIN_BAR_WIDTH * self.digit_height):
            return False
        is_in_middle = BAR_MIDDLE[0] < (y + h / 2 - self.top) / self.digit_height < BAR_MIDDLE[1]
        return is_in_middle and self._share_in_digit(label) <= MAX_BAR_COVERED

    def is_crossed_out(self, label: int) -> bool:
        """Whether a straight line goes through all digits of a stroke that are joined by it."""
        x, _, w, _ = self.stats[label, : cv2.CC_STAT_AREA].tolist()
        upper, lower = (
            max(0, round(self.top + share * self.digit_height)) for share in (0.25, 0.75)
        )
        middle = (self.labels[upper:lower, x : x + w] == label).astype(np.uint8)
        length = round(max(STRIKE_WIDTH * w, STRIKE_HEIGHTS * self.digit_height))
        return has_line(middle, length)

    def _share_in_digit(self, label: int) -> float:
        """The share of a stroke's width that is above or below one digit: of a broken one."""
        x, _, w, _ = self.stats[label, : cv2.CC_STAT_AREA].tolist()
        left, _, width, _ = self.stats[self.tall, : cv2.CC_STAT_AREA].T
        common = np.minimum(x + w, left + width) - np.maximum(x, left)
        return float(common.max() / w)


def find_strokes(
    ink: FieldInk, box: Box, threshold: float, *, has_decimals: bool = False
) -> Strokes:
    """Find the strokes of a free field.

    Args:
        ink: of the field.
        box: of the field, pixels of the reference.
        threshold: minimum darkness of ink, 0–255.
        has_decimals: whether a small stroke may be a decimal separator.
    """
    left, top, right, bottom = ink.to_pixels(box)
    labels, stats = connected_components((ink.ink >= threshold).astype(np.uint8))
    x, y, w, h = stats[:, : cv2.CC_STAT_AREA].T
    across, down = x + w / 2, y + h / 2
    is_ink = ~find_residue(ink, labels, stats, threshold)
    is_ink[0] = False  # the paper
    kept = (across > left) & (across < right)
    kept &= (down > top) | (y + h > (top + bottom) / 2)
    kept &= down < bottom + MAX_DEPTH * (bottom - top)
    longer = np.maximum(w, h)
    dirt = is_ink & kept & (longer < max(2.0, MIN_STROKE_SIDE * (bottom - top)))
    kept &= is_ink & ~dirt
    astride = bool((is_astride(ink, box, stats, kept) & is_ink).any())
    if longer[kept].max(initial=0) < MAX_SPECK_SIZE * (bottom - top):  # a point says nothing
        kept[:] = False
    if not kept.any():
        return Strokes(labels, stats, np.flatnonzero(kept), is_over=astride)
    height = _usual_height(h[kept])
    is_tall = h >= MIN_DIGIT_HEIGHT * height
    # A digit whose middle is above or below the field, and in another one, belongs to that.
    is_out = (down >= bottom) | (down <= top)
    kept &= ~(is_tall & is_out & is_in_other_field(ink, stats))
    is_over = ((x < left) & (x + w > left)) | ((x < right) & (x + w > right))
    is_over &= ~kept & is_tall
    is_over |= is_beside(ink, box, stats, kept)
    own = np.flatnonzero(kept)
    strokes = Strokes(labels, stats, own, height, astride or bool((is_over & is_ink).any()))
    if not (has_decimals and len(strokes.tall)) or any(map(strokes.may_be_separator, own.tolist())):
        return strokes
    dirt &= (across > x[kept].min()) & (across < (x + w)[kept].max())
    dirt &= longer >= max(2.0, MIN_STROKE_SIDE * height)
    small = [label for label in np.flatnonzero(dirt).tolist() if strokes.may_be_separator(label)]
    if len(small) <= MAX_SMALL:
        kept[small] = True
    return replace(strokes, own=np.flatnonzero(kept))


def _usual_height(heights: I32) -> float:
    """The height of a field's digits: the median of what is not much lower than the highest."""
    return float(np.median(heights[heights >= 0.55 * heights.max()]))
