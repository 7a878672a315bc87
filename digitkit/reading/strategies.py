"""The two ways to read an image: as one digit that fills it, or as a page of digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from digitkit.arrays import U8
from digitkit.images.grey import GreyImage
from digitkit.images.ink import extract_ink
from digitkit.images.normal_form import normal_form
from digitkit.reading.detection.detections import (
    MIN_REPORTED,
    ClassifiedDetection,
    Detection,
    Page,
    PageContent,
)
from digitkit.reading.detection.orientation import orientation_score
from digitkit.reading.detection.single import (
    LoadGrey,
    fills,
    fuse_single_digit,
    resolve_whole_image,
)
from digitkit.reading.results import Digit

if TYPE_CHECKING:
    from digitkit.models.classifier import Classifier
    from digitkit.reading.networks.detector import Detector
    from digitkit.reading.networks.line_reader import LineReader
    from digitkit.reading.rows.layout import RowDigit

MIN_CUT_SCORE = 0.45
"""Lowest score of the detector of a digit that is reported although the image's border cuts it."""

MIN_PAGE, MAX_DIRT_HEIGHT = 10, 0.05
"""With fewer detections, or only such as are lower than this fraction of its longer side, it is
worth while to ask whether an image is one digit: they may be parts of it, or dirt around it; and
with fewer, whether it is a note."""

MAX_NOTE_DIGITS, MIN_KEPT_CONFIDENCE = 5, 0.6
"""Maximum number of accepted digits of a note that is read again by itself; and the confidence from
which on a digit beside it is not erased, 0–1."""


class Strategy(Protocol):
    """How an image becomes digits.

    Attributes:
        reads_pages: whether it searches a page: one may be turned, get a margin and lose rings.
    """

    reads_pages: bool

    def detect(self, image: GreyImage) -> list[Detection]:
        """Find what may be digits in an upright image."""

    def assemble(self, classified: Sequence[ClassifiedDetection], page: Page) -> PageContent:
        """Decide which of the classified detections are digits, and put them into order.

        Args:
            classified: all detections of one image.
            page: that image.
        """


class SingleDigitStrategy:
    """The image is one digit that fills it."""

    reads_pages = False

    def __init__(self, load_grey: LoadGrey) -> None:
        """Ask this network where the ink says too little."""
        self._load_grey = load_grey

    def detect(self, image: GreyImage) -> list[Detection]:
        """The whole image, as one detection."""
        height, width = image.shape
        return [Detection((0, 0, width, height), extract_ink(image.reduced))]

    def assemble(self, classified: Sequence[ClassifiedDetection], page: Page) -> PageContent:
        """The one digit, whatever its confidence."""
        digits = []
        for candidate in classified:
            settled = fuse_single_digit(
                candidate.prediction, page.image, self._load_grey, page.min_confidence
            )
            accepted = settled.confidence >= page.min_confidence
            digit = replace(candidate, prediction=settled).to_digit(score=1.0, accepted=accepted)
            digits.append(digit)
        return PageContent(tuple(digits), (), 0.0)


class PageNetworks(NamedTuple):
    """The networks that decide about what was detected on a page, next to the classifier.

    Attributes:
        line_reader: reads rows as a whole.
        load_grey: returns what reads the pixels of a page that may be one digit, or of few.
    """

    line_reader: LineReader
    load_grey: LoadGrey


class PageStrategy:
    """The image holds any number of digits, which the detector finds."""

    reads_pages = True

    def __init__(self, detector: Detector, networks: PageNetworks | None = None) -> None:
        """Search with this detector; to detect only, no networks are needed."""
        self._detector, self._networks = detector, networks

    def detect(self, image: GreyImage) -> list[Detection]:
        """What the detector finds; where that is little, the whole image as one digit, too."""
        from digitkit.reading.detection import pages  # not at the top: one digit is read without it
        from digitkit.reading.detection.tilt import deskew_detections

        def detect(grey: U8) -> list[Detection]:
            return pages.detect_digits(grey, self._detector)

        found = pages.detect_digits(image, self._detector)
        detections = list(deskew_detections(found, image, detect))
        # A page of one digit may be that digit and nothing else, up to the border.
        highest = max((detection.box[3] for detection in detections), default=0)
        if len(detections) < MIN_PAGE or highest < MAX_DIRT_HEIGHT * max(image.shape):
            detections.append(pages.whole_image_detection(image))
        return detections

    def assemble(self, classified: Sequence[ClassifiedDetection], page: Page) -> PageContent:
        """Rescore by context, drop clutter, and put into reading order.

        A note with few digits, not all of them clear, is read again without what is around it.
        """
        from digitkit.reading.detection.sheets import erase_surroundings, find_sheet_around
        from digitkit.reading.slant import is_clear

        content = self._read(classified, page)
        accepted = [digit for digit in content.digits if digit.accepted]
        if len(accepted) > MAX_NOTE_DIGITS or len(classified) >= MIN_PAGE or is_clear(content):
            return content
        likely = (d for d in content.digits if d.accepted or d.confidence >= MIN_KEPT_CONFIDENCE)
        sheet = find_sheet_around(page.image, likely)
        if sheet is None:
            return content
        alone = replace(page, image=erase_surroundings(page.image, sheet))
        again = self._read(alone.classify(self.detect(alone.image)), alone)
        return again if sum(digit.accepted for digit in again.digits) >= len(accepted) else content

    def _read(self, classified: Sequence[ClassifiedDetection], page: Page) -> PageContent:
        """What one image shows; writing that is slanted is read as it is, and upright."""
        from digitkit.reading.slant import (
            choose_rows,
            deslant,
            estimate_slant,
            is_clear,
            undo_deslant,
        )

        content = self._correct(classified, page)
        has_digits = any(digit.accepted for digit in content.digits)
        slant = estimate_slant([each.detection for each in classified], has_digits=has_digits)
        # A digit that is slanted may look like a letter.
        has_letters = any(mark.kind == "letter" for mark in content.marks)
        if not slant or (is_clear(content) and not has_letters):
            return content
        upright = replace(page, image=deslant(page.image, slant))
        again = self._correct(upright.classify(self.detect(upright.image)), upright)
        if any(digit.level_box for digit in again.digits):
            return content
        return choose_rows(content, undo_deslant(again, slant, page.image.shape))

    def _correct(self, classified: Sequence[ClassifiedDetection], page: Page) -> PageContent:
        """What one image shows, which is as it is or was made upright."""
        from digitkit.reading.detection.order import number_rows
        from digitkit.reading.digits.circles import doubt_circles
        from digitkit.reading.digits.few_digits import confirm_lone_digit, read_few_in_grey
        from digitkit.reading.digits.fusion import fuse_predictions
        from digitkit.reading.digits.missed_digits import find_missed_digits
        from digitkit.reading.digits.plausibility import (
            doubt_letters,
            doubt_pale,
            mark_spoiled,
            reject_implausible,
        )
        from digitkit.reading.digits.resegmentation import resegment_digits
        from digitkit.reading.digits.slashes import doubt_slashes
        from digitkit.reading.digits.units import separate_units
        from digitkit.reading.digits.words import rescore_words
        from digitkit.reading.marks.degrees import find_degrees, with_degrees
        from digitkit.reading.marks.finding import find_marks, keep_within
        from digitkit.reading.marks.kinds import reclassify_marks
        from digitkit.reading.marks.line_parts import drop_pieces_of_lines
        from digitkit.reading.marks.strikethroughs import find_strikethroughs
        from digitkit.reading.rows.lines import read_lines

        assert self._networks is not None  # without them, digits are only detected
        line_reader, load_grey = self._networks
        image, min_confidence = page.image, page.min_confidence
        classified = resolve_whole_image(classified, image, load_grey, min_confidence)
        classified = confirm_lone_digit(classified, image, load_grey)
        row_digits, evidence = find_row_digits(classified, min_confidence, max(image.shape))
        order = list(dict.fromkeys(row_digit.row for row_digit in row_digits))
        lines = read_lines(image, row_digits, line_reader)
        row_digits = fuse_predictions(row_digits, lines, min_confidence)
        row_digits, lines = find_missed_digits(page, row_digits, lines, line_reader)
        row_digits, degrees = find_degrees(row_digits, lines)
        row_digits = resegment_digits(page, row_digits, lines)
        marks = reclassify_marks(find_marks(lines, row_digits), row_digits, lines)
        marks = with_degrees(marks, degrees)
        marks = tuple(keep_within((*marks, *find_strikethroughs(lines, row_digits)), *image.shape))
        digits, marks = drop_pieces_of_lines([row_digit.digit for row_digit in row_digits], marks)
        digits = doubt_letters(mark_spoiled(digits, row_digits, lines), marks, lines)
        digits = doubt_pale(doubt_slashes(digits, row_digits, lines), image)
        digits = reject_implausible(digits, row_digits, image, load_grey)
        digits = doubt_circles(digits, row_digits, marks, image)
        if not any(fills(row_digit.detection, image) for row_digit in row_digits):
            digit_probabilities = read_few_in_grey(digits, row_digits, image, load_grey)
            digits = rescore_words(digits, marks, digit_probabilities, min_confidence)
        digits, marks = separate_units(digits, marks, lines)
        return PageContent(*number_rows(digits, marks, order), evidence)


def find_row_digits(
    classified: Sequence[ClassifiedDetection],
    min_confidence: float,
    side: int,
    min_reported: float = MIN_REPORTED,
) -> tuple[list[RowDigit], float]:
    """Rescore detections by context, drop clutter, and put them into reading order.

    Args:
        classified: all detections of one image.
        min_confidence: threshold for a digit to be accepted, 0–1.
        side: the image's longer side, pixels.
        min_reported: lowest confidence of a digit that is reported, 0–1.

    Returns:
        The digits that are reported, with their rows, and how much they support the image's
        orientation.
    """
    from digitkit.reading.detection.context import rescore
    from digitkit.reading.detection.order import order_digits
    from digitkit.reading.rows.layout import RowDigit

    reported, evidence = list[tuple[Digit, ClassifiedDetection]](), 0.0
    rescored = rescore(classified, min_confidence, side)
    for candidate, (score, cut) in zip(classified, rescored, strict=True):
        confidence = candidate.prediction.confidence * score
        accepted = confidence >= min_confidence and not cut
        digit = candidate.to_digit(score=score, accepted=accepted, cut=cut)
        evidence += orientation_score(digit)
        # A digit that is cut may have a low confidence and still be one.
        was_digit = cut and candidate.detection.score >= MIN_CUT_SCORE
        if confidence >= min_reported or was_digit:
            reported.append((digit, candidate))
    order = order_digits([digit for digit, _ in reported])
    row_digits = [
        RowDigit(replace(reported[i][0], row=row), reported[i][1].detection) for i, row in order
    ]
    return row_digits, evidence


def classify_with(
    classifier: Classifier, detections: Sequence[Detection]
) -> list[ClassifiedDetection]:
    """Bring detections to normal form and classify them, in one batch."""
    images = [normal_form(detection.ink) for detection in detections]
    return list(map(ClassifiedDetection, detections, images, classifier.classify(images)))
