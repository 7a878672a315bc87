"""Detections: bounding boxes of digits, and their ink."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.reading.results import Digit, Mark

if TYPE_CHECKING:
    from digitkit.models.classifier import Prediction


MIN_REPORTED = 0.25
"""Lowest confidence of a digit that is reported at all: below it, a detection is clutter."""

INK_LEVEL = 96
"""Minimum brightness of ink in the crop of a digit, exclusive, 0–255."""

FULL_INK = 0.85
"""Fraction of a stroke's pixels that are at most as strong as full ink: the rest is stronger."""


@dataclass(frozen=True)
class Detection:
    """One digit that was found in an image.

    Attributes:
        box: bounding box of its ink.
        ink: bright on dark, paper near 0, uint8 ``[h, w]``; the input of
            `digitkit.images.normal_form.normal_form`.
        score: the detector's score for a digit's centre there, 0–1.
        cut_sides: number of the image's sides where its ink leaves the image, so that a part may be
            missing.
        whole_image: whether it is the whole image, taken for one digit; then it is the last one.
        other: how much its ink looks like that of letters, signs and lines, 0–1.
        level_box: where its ink was turned because its line is tilted: the box in an image turned
            like that; None where it was not.
        tilt: by how much that image was turned counter-clockwise, degrees.
    """

    box: Box
    ink: U8 = field(repr=False, compare=False)
    score: float = 1.0
    cut_sides: int = 0
    whole_image: bool = False
    other: float = 0.0
    level_box: Box | None = None
    tilt: float = 0.0

    @property
    def row_box(self) -> Box:
        """The box where its row is level: `level_box`, or `box` where it is not tilted."""
        return self.level_box or self.box


@dataclass(frozen=True)
class ClassifiedDetection:
    """A detection and what the classifier says of it.

    Attributes:
        detection: where it is, and its ink.
        image: its ink in MNIST's normal form, uint8 ``[28, 28]``.
        prediction: of that image.
    """

    detection: Detection
    image: U8 = field(repr=False, compare=False)
    prediction: Prediction

    def to_digit(self, *, score: float, accepted: bool, cut: bool = False) -> Digit:
        """The digit that this is, in row 0.

        Args:
            score: factor for the classifier's confidence, 0–1.
            accepted: whether it counts.
            cut: whether the image's border cuts it.
        """
        return Digit(
            digit=self.prediction.digit,
            confidence=self.prediction.confidence * score,
            box=self.detection.box,
            row=0,
            accepted=accepted,
            image=self.image,
            probabilities=self.prediction.probabilities,
            is_digit=self.prediction.is_digit * score,
            cut=cut,
            level_box=self.detection.level_box,
        )


@dataclass(frozen=True, eq=False)
class Page:
    """An upright image that is read, and how what may be digits in it is judged.

    Attributes:
        image: of at least one pixel.
        classify: brings detections to normal form and classifies them, in one batch.
        min_confidence: threshold for a digit to be accepted, 0–1.
    """

    image: GreyImage
    classify: Callable[[Sequence[Detection]], list[ClassifiedDetection]]
    min_confidence: float


class PageContent(NamedTuple):
    """What an image shows.

    Attributes:
        digits: in reading order.
        marks: other ink in and next to their rows.
        evidence: how much they support the image's orientation.
    """

    digits: tuple[Digit, ...]
    marks: tuple[Mark, ...]
    evidence: float


def ink_box(ink: U8) -> Box:
    """The box of a detection's ink in its crop, uint8 ``[h, w]``; of no size without any."""
    x, y, w, h = cv2.boundingRect(cv2.threshold(ink, INK_LEVEL, 255, cv2.THRESH_BINARY)[1])
    return x, y, w, h


def quantile(levels: npt.NDArray[Any], share: float = FULL_INK) -> float:
    """The level that a share of pixels does not exceed; by default that of full ink.

    Args:
        levels: of the pixels, at least one, ``[N]``.
        share: 0–1.
    """
    place = int(share * (len(levels) - 1))
    return float(np.partition(levels, place)[place])
