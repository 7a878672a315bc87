"""What the detector says at one scale of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitkit.reading.detector import INK, Maps


@dataclass(frozen=True)
class Candidate:
    """A box that the net gives, in the whole picture's pixels: left, top, right, bottom."""

    edges: tuple[float, float, float, float]
    certainty: float
    worth: float  # certainty, less where the net knows the size less well


@dataclass(frozen=True)
class Scale:
    """One scale of the picture and what the net says of it."""

    ratio: tuple[float, float]  # pixels of the whole picture to one of this, across and down
    maps: Maps
    parts: npt.NDArray[np.int32]  # connected pieces of ink, numbered from 1
    areas: npt.NDArray[np.int32]

    def in_ink(self, spot: Candidate) -> tuple[float, float, float, float]:
        """The edges of a box in this scale's map of ink."""
        across, down = (INK * ratio for ratio in self.ratio)
        left, top, right, bottom = spot.edges
        return left / across, top / down, right / across, bottom / down
