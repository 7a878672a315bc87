"""From a picture larger than one digit to its digits: where they are, and each in normal form.

The finder's net says where ink and middles of digits are; here this becomes boxes, the ink of each
box apart from its neighbours', the paper and the ruling, and rows in the order that a person reads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitkit.arrays import U8
from digitkit.images.ink import extract_ink
from digitkit.images.opencv import cv2
from digitkit.reading.crops import clip_box, crop_detection
from digitkit.reading.detections import Detection
from digitkit.reading.detector import CENTRE, Detector
from digitkit.reading.scales import Candidate, Scale

WORK_SIDE = 1280
"""Pictures are reduced to this longer side before digits are looked for, pixels."""

FRAME = (480, 640)
"""Longer sides of what is taken for a camera's frame, pixels."""

REDUCED = (1, 2, 4, 8)
"""How often the picture is reduced further, for large digits; half sizes overlap."""

LEAST_SIDE = 40
"""It is not reduced under this longer side, pixels."""

LARGE, FAINT, ENOUGH = 26, 0.25, 0.6
"""Where some digit is surely found, and each thing at all like one is as high as this, the picture
is not looked at more finely: pixels, and certainties of 0–1."""

KNOWN = (20, 140)
"""Heights of digits that the net knows well, pixels of a scale."""

MIN_CENTRE = 0.2
"""From which certainty of a middle on it is taken for a digit, 0–1."""

MIN_INK = 0.4
"""From which probability on a pixel is ink, 0–1."""


def detect_digits(plain: U8, finder: Detector) -> list[Detection]:
    """Find the digits of a picture.

    Args:
        plain: grey, uint8 ``[H, W]``, upright, dark on light or light on dark, or both.
        finder: the net.

    Returns:
        What was found, in no particular order; see `in_order`.
    """
    scales, spots = _scan_scales(plain, finder)
    kept = _non_maximum_suppression(spots)
    found = (crop_detection(plain, spot, kept, scales) for spot in kept)
    return [one for one in found if one is not None]


def whole_image_detection(plain: U8) -> Detection:
    """A picture taken for a single digit that fills it.

    Args:
        plain: grey, uint8 ``[H, W]``, of more than one level.
    """
    ink = extract_ink(plain)
    x, y, w, h = cv2.boundingRect(cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1])
    height, width = plain.shape
    ratio = width / ink.shape[1]
    box = clip_box(x * ratio, y * ratio, w * ratio, h * ratio, width, height)
    # From one side to the other, with room beside it: an edge or the light, and no digit.
    across, down = w >= 0.97 * ink.shape[1], h >= 0.97 * ink.shape[0]
    return Detection(box, ink, runs_out=2 * (across != down), whole=True)


def _ratio(side: int) -> float:
    """How far a picture is reduced before it is looked at.

    A camera's frame, up to 640 pixels, is by a quarter: half the time, and its pixels are seldom
    sharp.
    """
    return min(0.75 if FRAME[0] <= side <= FRAME[1] else 1.0, WORK_SIDE / side)


def _scan_scales(plain: U8, finder: Detector) -> tuple[list[Scale], list[Candidate]]:
    """The picture at several scales, the finest first, and what the net sees in them.

    From coarse to fine, and no finer than there may be something to see: where digits are found
    and all of them are large, a scale twice as fine costs four times as much and shows nothing new.
    """
    height, width = plain.shape
    images: list[U8] = []
    small = plain
    for reduced in REDUCED:
        ratio = _ratio(max(height, width)) / reduced
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        if images and max(size) < LEAST_SIDE:
            break
        if size != (width, height):
            # From the last scale, not from the whole picture: that is large.
            small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
        images.append(small)
    scales: list[Scale] = []
    spots: list[Candidate] = []
    for small in reversed(images):
        maps = finder.maps(small)
        mask = (maps.ink > MIN_INK).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        ratios = (width / small.shape[1], height / small.shape[0])
        areas = np.asarray(stats[:, cv2.CC_STAT_AREA], np.int32)
        scale = Scale(ratios, maps, np.asarray(parts, np.int32), areas)
        scales.insert(0, scale)
        spots += _find_peaks(scale)
        heights = [
            (spot.edges[3] - spot.edges[1]) / ratios[1] for spot in spots if spot.worth >= FAINT
        ]
        surest = max((spot.worth for spot in spots), default=0.0)
        if surest >= ENOUGH and min(heights) >= LARGE:
            break
    return scales, spots


def _find_peaks(scale: Scale) -> list[Candidate]:
    """The peaks of the map of middles, with the boxes that the net gives them."""
    maps, (across, down) = scale.maps, scale.ratio
    high = cv2.dilate(maps.centre, np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero((maps.centre >= high) & (maps.centre > MIN_CENTRE))
    spots = []
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        left, top, right, bottom = maps.reach[:, y, x].tolist()
        cx, cy, certainty = (x + 0.5) * CENTRE, (y + 0.5) * CENTRE, float(maps.centre[y, x])
        known = min(1.0, (top + bottom) / KNOWN[0], KNOWN[1] / (top + bottom))
        edges = (
            (cx - left) * across, (cy - top) * down, (cx + right) * across, (cy + bottom) * down
        )  # fmt: skip
        spots.append(Candidate(edges, certainty, certainty * known))
    return spots


def _non_maximum_suppression(spots: Sequence[Candidate]) -> list[Candidate]:
    """Of boxes that overlap, the one that is worth most."""
    kept: list[Candidate] = []
    for spot in sorted(spots, key=lambda spot: -spot.worth):
        left, top, right, bottom = spot.edges
        area = (right - left) * (bottom - top)
        for other in kept:
            a, b, c, d = other.edges
            wide, tall = min(right, c) - max(left, a), min(bottom, d) - max(top, b)
            if wide > 0 and tall > 0 and wide * tall > 0.55 * min(area, (c - a) * (d - b)):
                break
        else:
            kept.append(spot)
    return kept
