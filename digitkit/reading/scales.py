"""One scale of an image with the detector's output for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitkit.reading.detector import INK, Maps


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
    """

    ratio: tuple[float, float]
    maps: Maps
    components: npt.NDArray[np.int32]
    areas: npt.NDArray[np.int32]

    def to_ink_map(self, candidate: Candidate) -> tuple[float, float, float, float]:
        """A candidate's edges in this scale's ink map: left, top, right, bottom."""
        across, down = (INK * ratio for ratio in self.ratio)
        left, top, right, bottom = candidate.edges
        return left / across, top / down, right / across, bottom / down
