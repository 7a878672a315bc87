"""The two ways to read an image: as one digit that fills it, or as a page of digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from digitkit.images.grey import GreyImage
from digitkit.images.ink import extract_ink
from digitkit.reading.detections import Classified, Detection
from digitkit.reading.results import Digit
from digitkit.reading.upright import orientation_evidence

if TYPE_CHECKING:
    from digitkit.reading.detector import Detector

MIN_REPORTED = 0.25
"""Lowest confidence of a digit that is reported at all: below it, a detection is clutter."""


class Assembled(NamedTuple):
    """The digits of an image, in reading order; how much they support its orientation."""

    digits: tuple[Digit, ...]
    evidence: float


class Strategy(Protocol):
    """How an image becomes digits.

    Attributes:
        can_be_rotated: whether other orientations of the image are worth a try.
    """

    can_be_rotated: bool

    def detect(self, image: GreyImage) -> list[Detection]:
        """Find what may be digits in an upright image."""

    def assemble(
        self, classified: Sequence[Classified], min_confidence: float, side: int
    ) -> Assembled:
        """Decide which of the classified detections are digits, and put them into order.

        Args:
            classified: all detections of one image.
            min_confidence: threshold for a digit to be accepted, 0–1.
            side: the image's longer side, pixels.
        """


class SingleDigitStrategy:
    """The image is one digit that fills it."""

    can_be_rotated = False

    def detect(self, image: GreyImage) -> list[Detection]:
        """The whole image, as one detection."""
        height, width = image.shape
        return [Detection((0, 0, width, height), extract_ink(image.reduced))]

    def assemble(
        self, classified: Sequence[Classified], min_confidence: float, side: int
    ) -> Assembled:
        """The one digit, whatever its confidence."""
        digits = [
            candidate.to_digit(
                score=1.0, accepted=candidate.prediction.confidence >= min_confidence
            )
            for candidate in classified
        ]
        return Assembled(tuple(digits), 0.0)


class PageStrategy:
    """The image holds any number of digits, which the detector finds."""

    can_be_rotated = True

    def __init__(self, detector: Detector) -> None:
        """Search with this detector."""
        self._detector = detector

    def detect(self, image: GreyImage) -> list[Detection]:
        """What the detector finds; where that is little, the whole image as one digit, too."""
        from digitkit.reading import pages  # not at the top: one digit is read without it

        detections = pages.detect_digits(image, self._detector)
        # A page of one digit may be that digit and nothing else, up to the border.
        if len(detections) < 3:
            detections.append(pages.whole_image_detection(image))
        return detections

    def assemble(
        self, classified: Sequence[Classified], min_confidence: float, side: int
    ) -> Assembled:
        """Rescore by context, drop clutter, and put into reading order."""
        from digitkit.reading.context import MIN_NEIGHBOUR_SCORE, rescore
        from digitkit.reading.order import reading_order

        reported, evidence = [], 0.0
        rescored = rescore(classified, min_confidence, side)
        for candidate, (score, cut) in zip(classified, rescored, strict=True):
            confidence = candidate.prediction.confidence * score
            accepted = confidence >= min_confidence and not cut
            digit = candidate.to_digit(score=score, accepted=accepted, cut=cut)
            evidence += orientation_evidence(digit)
            # A digit that is cut may have a low confidence and still be one.
            was_digit = cut and candidate.detection.score >= MIN_NEIGHBOUR_SCORE
            if confidence >= MIN_REPORTED or was_digit:
                reported.append(digit)
        order = reading_order([digit.box for digit in reported])
        return Assembled(tuple(replace(reported[i], row=row) for i, row in order), evidence)
