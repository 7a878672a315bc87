"""The second look: digits that the line reader sees where none was detected, or not all of one.

Next to digits that are known, their row's strip shows all ink. Where the line reader sees the
middle of a digit, and no accepted one is, the ink around it is cut out and classified like any
other digit: it was missed, was detected with a part of its neighbour or without one of its own, or
touches another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from digitkit.arrays import U8
from digitkit.boxes import clip_box, middle_x, overlap_fraction
from digitkit.images.cv import cv2
from digitkit.reading.detection.detections import MIN_REPORTED, ClassifiedDetection, Detection, Page
from digitkit.reading.digits.fusion import classify_in_line
from digitkit.reading.digits.words import doubt_digit
from digitkit.reading.marks.finding import beyond
from digitkit.reading.networks.line_reader import LineReader
from digitkit.reading.results import Digit, group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import TextLine, read_line
from digitkit.reading.rows.matching import RowMatch, match_row
from digitkit.reading.rows.shapes import Shape
from digitkit.reading.rows.strip_ink import Ink
from digitkit.reading.rows.strips import WRITING_BAND, Strip

MAX_HALF_WIDTH = 0.65
"""A digit reaches at most this far to either side of its middle, in heights."""

MAX_CUT_OFFSET = 0.12
"""Maximum distance of the cut between two digits from halfway between their middles, in heights; it
is where there is the least ink."""

DIGIT_HEIGHTS = (0.45, 1.5)
"""Ink of this height may be a digit, in heights of the row's."""

MIN_SHARES = 0.3, 0.0
"""Connected pieces with less than this share near a digit's middle are left out; 0 keeps all, for
digits that touch. Both are tried."""

MIN_DUPLICATE_OVERLAP = 0.25
"""Digits that are alike and share more than this fraction of the smaller box are one."""

MIN_SHARED_INK = 0.7
"""A doubtful digit is a part of a new one if that has more than this fraction of its ink."""

MAX_TAKEN_INK = 0.85
"""A digit where none was known is not accepted if accepted ones have more than this fraction of its
ink."""

MIN_CLEAR = 0.6
"""A digit that is found is only accepted if its row shows it with this probability."""

MAX_ROUNDS = 3
"""Maximum number of times that a row is read again because it has grown."""


def find_missed_digits(
    page: Page, row_digits: Sequence[RowDigit], lines: Mapping[int, TextLine], reader: LineReader
) -> tuple[list[RowDigit], dict[int, TextLine]]:
    """Find the digits of a page's rows that were not detected as they are.

    Args:
        page: that the digits were found in.
        row_digits: the digits that are reported, with their rows, in reading order.
        lines: the rows that were read, by their numbers.
        reader: reads rows that have grown.

    Returns:
        The digits in reading order with those that were found, without those that these replace;
        and the rows with an accepted digit as they were read last.
    """
    found, last = list(row_digits), dict[int, TextLine]()
    with_digits = {row_digit.row for row_digit in row_digits if row_digit.digit.accepted}
    for row, line in lines.items():
        if row not in with_digits:
            continue
        for _ in range(MAX_ROUNDS):
            new, replaced = _look_at(page, line, found)
            found = _insert(found, new, replaced)
            if not any(line.strip.is_at_end(row_digit) for row_digit in new):
                break
            # Also after the last round: what it shows beyond must not be lost.
            again = read_line(page.image, group_by_row(found)[row], reader)
            if again is None:
                break
            line = again
        last[row] = line
    kept = {row_digit.row for row_digit in found if row_digit.digit.accepted}
    return found, {row: line for row, line in last.items() if row in kept}


def _insert(
    row_digits: Sequence[RowDigit], new: Sequence[RowDigit], replaced: Sequence[RowDigit]
) -> list[RowDigit]:
    """The digits in reading order with new ones, without those that these replace."""
    kept = [row_digit for row_digit in row_digits if row_digit not in replaced]
    return sorted([*kept, *new], key=lambda each: (each.row, middle_x(each.digit.row_box)))


def _look_at(
    page: Page, line: TextLine, row_digits: Sequence[RowDigit]
) -> tuple[list[RowDigit], list[RowDigit]]:
    """The digits of a row that were found, and the doubtful ones that these replace."""
    strip = line.strip
    match = match_row(line, row_digits)
    if not (open_peaks := _find_open(match)):
        return [], []
    taken = strip.cover(strip.place([each for each in row_digits if each.digit.accepted]))
    accepted = [row_digit for row_digit in match.row_digits if row_digit.digit.accepted]
    middles = sorted(
        {peak.x for peak in (*match.peaks, *line.signs)}
        | {strip.x_of(each.digit.box) for each in accepted}
    )
    attempts = [
        (i, shape) for i in open_peaks for shape in _cut_out(line, taken, match.peaks[i].x, middles)
    ]
    new, replaced = list[RowDigit](), list[RowDigit]()
    for i, each in _classify_best(page, line, attempts).items():
        known, confidence = match.matches[i], each.prediction.confidence
        if confidence < MIN_REPORTED or (known and confidence <= known.digit.confidence):
            continue
        each, is_cut = _within(page.image.shape, each)
        is_clear = (
            bool(match.peaks[i].probabilities[each.prediction.digit] >= MIN_CLEAR) and not is_cut
        )
        accepts = is_clear and confidence >= page.min_confidence
        digit = each.to_digit(score=1.0, accepted=accepts, cut=is_cut)
        if any(_is_same(digit, other.digit) for other in (*accepted, *new)):
            continue
        row_digit = RowDigit(replace(digit, row=strip.row), each.detection)
        if not known and _taken_share(strip, row_digit, taken) > MAX_TAKEN_INK:
            # As of a 5 that is half a 3.
            row_digit = replace(row_digit, digit=doubt_digit(row_digit.digit))
        new.append(row_digit)
        if known:
            replaced.append(known)
    return new, [*replaced, *_find_parts(strip, match.row_digits, new)]


def _find_open(match: RowMatch) -> list[int]:
    """The places of the peaks of a row where no digit is known that is accepted, or cut."""
    return [
        i
        for i, (row_digit, is_apart) in enumerate(zip(match.matches, match.apart, strict=True))
        if is_apart
        or (row_digit is not None and not (row_digit.digit.accepted or row_digit.digit.cut))
    ]


def _classify_best(
    page: Page, line: TextLine, attempts: Sequence[tuple[int, Shape]]
) -> dict[int, ClassifiedDetection]:
    """The clearest digit of each peak.

    Args:
        page: the image.
        line: the row.
        attempts: the place of a peak, and ink around it; several of a peak.
    """
    classified = classify_in_line([to_detection(line, shape) for _, shape in attempts], line, page)
    best = dict[int, ClassifiedDetection]()
    for (i, _), each in zip(attempts, classified, strict=True):
        if i not in best or each.prediction.confidence > best[i].prediction.confidence:
            best[i] = each
    return best


def _taken_share(strip: Strip, row_digit: RowDigit, taken: U8) -> float:
    """The fraction of a digit's ink in a strip that is taken, 0–1."""
    ink = strip.cover(strip.place([row_digit]))
    return cv2.countNonZero(ink & taken) / max(1, cv2.countNonZero(ink))


def _find_parts(
    strip: Strip, own: Sequence[RowDigit], new: Sequence[RowDigit]
) -> Iterator[RowDigit]:
    """The doubtful digits of a row whose ink belongs to new ones that are accepted."""
    accepted = [row_digit for row_digit in new if row_digit.digit.accepted]
    if not accepted:
        return
    found = strip.cover(strip.place(accepted))
    for row_digit in own:
        if row_digit.digit.accepted:
            continue
        if _taken_share(strip, row_digit, found) > MIN_SHARED_INK:
            yield row_digit


def _within(shape: tuple[int, int], found: ClassifiedDetection) -> tuple[ClassifiedDetection, bool]:
    """What was found without what is beyond the image's border, which cuts it then.

    Args:
        shape: the image's height and width, pixels.
        found: in that image, or partly.
    """
    height, width = shape
    x, y, w, h = found.detection.box
    if x >= 0 and y >= 0 and x + w <= width and y + h <= height:
        return found, False
    box = clip_box(x, y, w, h, width, height)
    return replace(found, detection=replace(found.detection, box=box)), True


def _is_same(a: Digit, b: Digit) -> bool:
    """Whether two digits are one: they are alike, and at the same place of their row."""
    return a.digit == b.digit and overlap_fraction(a.row_box, b.row_box) > MIN_DUPLICATE_OVERLAP


def _cut_out(line: TextLine, taken: U8, x: float, middles: Sequence[float]) -> Iterator[Shape]:
    """The ink around the middle of a digit: all of it, and what no accepted digit has taken."""
    strip, ink = line.strip, line.ink
    width = ink.mask.shape[1]
    reach = MAX_HALF_WIDTH * strip.unit
    left = max([(each + x) / 2 for each in middles if each < x - 1], default=-reach)
    right = min([(each + x) / 2 for each in middles if each > x + 1], default=width + reach)
    start = round(x - reach) if left < x - reach else _find_cut(ink.mask, left, strip.unit)
    end = round(x + reach) if right > x + reach else _find_cut(ink.mask, right, strip.unit)
    start, end = max(0, start), min(width, end)
    if end - start < 2:
        return
    masks = ink.mask, beyond(ink.mask, taken, strip.unit)
    tried = list[U8]()
    for mask, share in itertools.product(masks, MIN_SHARES):
        part = _without_neighbours(ink, mask[:, start:end], start, share, strip.unit)
        if any(np.array_equal(part, each) for each in tried):
            continue
        tried.append(part)
        x0, y0, w, h = cv2.boundingRect(part)
        if DIGIT_HEIGHTS[0] * strip.unit <= h <= DIGIT_HEIGHTS[1] * strip.unit:
            yield strip.shape_of(part[y0 : y0 + h, x0 : x0 + w], start + x0, y0)


def _find_cut(mask: U8, x: float, unit: float) -> int:
    """The column with the least ink near a place between two digits."""
    room = MAX_CUT_OFFSET * unit
    first, last = max(0, round(x - room)), min(mask.shape[1], round(x + room) + 1)
    profile = mask[:, first:last].sum(0, dtype=np.int64)
    nearest = np.abs(np.arange(first, last) - x)
    return first + int(np.lexsort((nearest, profile))[0]) if last > first else round(x)


def _without_neighbours(ink: Ink, mask: U8, start: int, share: float, unit: float) -> U8:
    """A part of a mask without pieces of ink of which less than a share is in it; 0 or 1.

    Args:
        ink: of the strip.
        mask: a part of the strip, as high as that.
        start: where it begins.
        share: least share of a piece.
        unit: height of the row's digits, pixels.
    """
    labels = np.where(mask > 0, ink.labels[:, start : start + mask.shape[1]], 0)
    inside = np.bincount(labels.ravel(), minlength=len(ink.stats))
    areas = np.maximum(ink.stats[:, cv2.CC_STAT_AREA], 1)
    middles = ink.stats[:, cv2.CC_STAT_TOP] + ink.stats[:, cv2.CC_STAT_HEIGHT] / 2
    heights = (middles - mask.shape[0] / 2) / unit
    kept = (inside >= share * areas) & (heights >= WRITING_BAND[0]) & (heights <= WRITING_BAND[1])
    kept[0] = False
    return np.asarray(kept[labels], np.uint8)


def to_detection(line: TextLine, shape: Shape) -> Detection:
    """The detection that a shape would be; its ink with the soft edges of its strokes."""
    strip = line.strip
    x, y = strip.place_of(shape)
    height, width = shape.ink.shape
    mask = cv2.dilate(
        cv2.copyMakeBorder(shape.ink, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0),
        np.ones((3, 3), np.uint8),
    )
    framed = cv2.copyMakeBorder(line.ink.strength, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    own = framed[y : y + height + 4, x : x + width + 4] * mask
    box, level_box = strip.to_boxes(shape)
    return Detection(box, np.asarray(own, np.uint8), level_box=level_box, tilt=strip.tilt)
