"""Lines that are not level: how far they are tilted, and detections as if they were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8
from digitkit.boxes import chunk_slices, clip_box, map_edges, turn_points
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.orientation import rotate_freely
from digitkit.reading.detection.detections import Detection, ink_box

MAX_TILT = 48
"""Tilts are looked for up to this angle either way, degrees."""

LEVEL_TILT = 7
"""Lines that are tilted by less than this are read as they are, degrees."""

CLEAR_SIGNS = ((1.3, 0.6), (2.0, 0.4))
"""How much better than level lines the tilted ones must be aligned, and the fraction of the digits
that must be in line with another; either pair."""

MIN_SCORE = 0.4
"""Detections with a lower score of the detector do not show a tilt, if enough others are there."""

UNCLEAR_TILT = 33
"""Lines that are tilted by more than this may be columns that are tilted the other way, degrees."""

MIN_REDETECTED = 0.92
"""Upright digits that climb like stairs are no tilted line: turned, they score worse than this
fraction of before. Tilted writing seldom does. Chosen on synthetic pages."""

CLEAR_SCORE = 0.65
"""Minimum detection score, 0–1, of the digits that are compared upright and turned; see
`MIN_REDETECTED`."""

MIN_DIGITS = 3
"""Fewer digits do not show a tilt."""

_STEP = 3
_MAX_APART = 4.0
"""Digits of one line are at most this far apart, in sizes."""

Detect = Callable[[U8], list[Detection]]
"""Detects digits in a grey image, uint8 ``[h, w]``."""


def deskew_detections(
    detections: Sequence[Detection], image: GreyImage, detect: Detect
) -> Sequence[Detection]:
    """Turn tilted writing so that its lines are level.

    An image that is tilted as a whole is turned, and its digits are detected again, since most are
    found upright. Of a number that stands apart from others, only the ink is turned.

    Args:
        detections: of the image.
        image: what they were detected in.
        detect: detects digits.

    Returns:
        The detections; where any line is tilted, with `Detection.level_box`.
    """
    centres, sizes = _measure(detections)
    sure = np.array([detection.score >= MIN_SCORE for detection in detections], bool)
    if np.count_nonzero(sure) < MIN_DIGITS:
        sure[:] = True
    if tilt := estimate_tilt(centres[sure], sizes[sure]):
        # Close to 45 degrees, rows and columns look alike; upright digits score better.
        tilts = [tilt, tilt - np.copysign(90, tilt)] if abs(tilt) > UNCLEAR_TILT else [tilt]
        turned = [_detect_turned(image, float(each), detect) for each in tilts]
        best = max(turned, key=_total_score)
        is_tilted = _total_score(best) >= MIN_REDETECTED * _total_score(detections)
        return best if is_tilted else detections
    return _deskew_groups(detections)


def _deskew_groups(detections: Sequence[Detection]) -> Sequence[Detection]:
    """Turn the ink of the numbers that are tilted by themselves."""
    centres, sizes = _measure(detections)
    tilts, level = np.zeros(len(detections)), centres.copy()
    for group in _groups(centres, sizes):
        tilts[group] = estimate_tilt(centres[group], sizes[group])
        middle = centres[group].mean(0)
        level[group] = turn_points(centres[group] - middle, tilts[group[0]]) + middle
    if not tilts.any():
        return detections
    return [
        _turn_detection(detection, tilt, centre) if tilt else detection
        for detection, tilt, centre in zip(detections, tilts, level, strict=True)
    ]


def _detect_turned(image: GreyImage, tilt: float, detect: Detect) -> list[Detection]:
    """Detect the digits of an image after turning it by its tilt."""
    grey = image.reduced
    turned, matrix = rotate_freely(grey, tilt, float(np.median(grey[::8, ::8])))
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    ratio = max(image.shape) / max(grey.shape)
    height, width = image.shape
    found = []
    for detection in detect(turned):
        x, y, w, h = detection.box
        left, top, right, bottom = (ratio * edge for edge in map_edges(detection.box, back))
        box = clip_box(left, top, right - left, bottom - top, width, height)
        at_border = left <= 0 or top <= 0 or right >= width or bottom >= height
        level_box = (round(x * ratio), round(y * ratio), round(w * ratio), round(h * ratio))
        found.append(
            replace(detection, box=box, level_box=level_box, tilt=tilt, cut_sides=int(at_border))
        )
    return found


def _total_score(detections: Sequence[Detection]) -> float:
    return sum(each.score for each in detections if each.score >= CLEAR_SCORE)


def _measure(detections: Sequence[Detection]) -> tuple[F64, F64]:
    """The centre and the longer side of each, pixels."""
    boxes = np.array([detection.box for detection in detections], np.float64).reshape(-1, 4)
    return boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:].max(1, initial=1)


def estimate_tilt(centres: F64, sizes: F64) -> float:
    """Estimate the angle by which lines fall to the right, degrees; 0 if it is not clear.

    Args:
        centres: of the digits, float64 ``[N, 2]``, pixels.
        sizes: the longer side of each, float64 ``[N]``, pixels.
    """
    pairs = np.triu(_are_near(centres, sizes), 1)
    if len(centres) < MIN_DIGITS or not pairs.any():
        return 0.0
    first, second = np.nonzero(pairs)
    size = np.maximum(sizes[first], sizes[second])
    dx, dy = ((centres[second] - centres[first]) / size[:, None]).T
    weight = 1 / (np.hypot(dx, dy) + 0.5)
    angles = np.arange(-MAX_TILT, MAX_TILT + 1, _STEP)
    radians = np.radians(angles)[:, None]
    off = np.cos(radians) * dy - np.sin(radians) * dx
    scores = (weight * np.exp(-((off / 0.25) ** 2))).sum(1) * (1 - 0.1 * np.abs(angles) / 45)
    best = int(scores.argmax())
    aligned = np.abs(off[best]) < 0.3
    aligned_count = len(np.union1d(first[aligned], second[aligned]))
    level = scores[len(angles) // 2]
    clear = any(
        scores[best] >= gain * level and aligned_count >= fraction * len(centres)
        for gain, fraction in CLEAR_SIGNS
    )
    if not clear or aligned_count < MIN_DIGITS:
        return 0.0
    around = slice(max(0, best - 2), best + 3)
    tilt = float((scores[around] * angles[around]).sum() / scores[around].sum())
    return tilt if abs(tilt) >= LEVEL_TILT else 0.0


def _are_near(centres: F64, sizes: F64) -> npt.NDArray[np.bool_]:
    """Which digits may be on one line: bool ``[N, N]``, each with itself."""
    near = np.zeros((len(centres), len(centres)), np.bool_)
    for some in chunk_slices(len(centres)):
        dx, dy = (centres[:, axis] - centres[some, None, axis] for axis in (0, 1))
        size, smaller = (f(sizes[some, None], sizes) for f in (np.maximum, np.minimum))
        near[some] = (np.hypot(dx, dy) < _MAX_APART * size) & (smaller > 0.5 * size)
    return near


def _groups(centres: F64, sizes: F64) -> list[npt.NDArray[np.intp]]:
    """Digits that stand apart from all others, as indices."""
    near = _are_near(centres, sizes)
    groups, left = [], np.ones(len(centres), bool)
    while left.any():
        group, grown = np.zeros_like(left), np.arange(len(left)) == left.argmax()
        while (grown != group).any():
            group, grown = grown, near[grown].any(0)
        groups.append(np.flatnonzero(group))
        left &= ~group
    return groups


def _turn_detection(detection: Detection, tilt: float, centre: F64) -> Detection:
    ink, _ = rotate_freely(detection.ink, tilt)
    _, _, w, h = ink_box(ink)
    # Around the ink is paper, which the box does not include.
    scale = max(detection.box[2:]) / max(*ink_box(detection.ink)[2:], 1)
    width, height = max(1, round(w * scale)), max(1, round(h * scale))
    box = (round(centre[0] - width / 2), round(centre[1] - height / 2), width, height)
    return replace(detection, ink=ink, level_box=box, tilt=tilt)
