"""One scale of an image with the detector's output for it."""

from __future__ import annotations

from dataclasses import dataclass

from digitkit.arrays import I32
from digitkit.reading.networks.detector import INK_STRIDE, Maps

INK_HEIGHT = 75
"""Greatest height of a digit whose ink is taken from a scale's ink map, pixels of that scale."""

MAX_OUTSIDE = 0.1
"""A digit is read in a part of an image if at most this fraction of its longer side is outside."""

MIN_SEEN = 0.8
"""Minimum fraction of the rows, and of the columns, of a whole digit's box that show ink of it."""


@dataclass(frozen=True)
class Candidate:
    """A bounding box that the detector proposes.

    Attributes:
        edges: left, top, right and bottom, pixels of the whole image.
        score: of the detector, 0–1.
        rank_score: the score, reduced for sizes that the detector knows less well, 0–1.
    """

    edges: tuple[float, float, float, float]
    score: float
    rank_score: float


@dataclass(frozen=True)
class Scale:
    """One scale of an image with the detector's output for it.

    Attributes:
        ratio: pixels of the whole image per pixel of this scale, across and down.
        maps: the detector's output.
        components: connected components of the ink map, int32 ``[h, w]``: 0 for paper, else from 1.
        areas: pixels of each component, int32 ``[components + 1]``.
        origin: where its left top corner is, pixels of the whole image; not 0, 0 for a part.
        max_height: greatest height of a digit whose ink is taken from its ink map, pixels of it.
        is_part: whether it shows a part of the image only.
    """

    ratio: tuple[float, float]
    maps: Maps
    components: I32
    areas: I32
    origin: tuple[float, float] = (0.0, 0.0)
    max_height: float = INK_HEIGHT
    is_part: bool = False

    def to_ink_map(self, candidate: Candidate) -> tuple[float, float, float, float]:
        """A candidate's edges in this scale's ink map: left, top, right, bottom."""
        across, down = (INK_STRIDE * ratio for ratio in self.ratio)
        left, top, right, bottom = candidate.edges
        x, y = self.origin
        return (left - x) / across, (top - y) / down, (right - x) / across, (bottom - y) / down

    def covers(self, candidate: Candidate) -> bool:
        """Whether a candidate's middle is in it; of a part of the image, whether nearly all is."""
        left, top, right, bottom = self.to_ink_map(candidate)
        height, width = self.maps.ink.shape
        if not self.is_part:
            return bool(0 <= (left + right) / 2 < width and 0 <= (top + bottom) / 2 < height)
        slack = MAX_OUTSIDE * max(right - left, bottom - top)
        outside = max(-left, -top, right - width, bottom - height)
        return bool(outside <= slack)

    def shows_whole(self, candidate: Candidate) -> bool:
        """Whether there is ink along a candidate's whole height and width."""
        left, top, right, bottom = (round(edge) for edge in self.to_ink_map(candidate))
        ink = self.components[max(top, 0) : bottom, max(left, 0) : right] > 0
        return bool(ink.size and min(ink.any(0).mean(), ink.any(1).mean()) >= MIN_SEEN)
