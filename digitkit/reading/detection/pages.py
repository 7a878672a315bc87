"""Detection of digits on a page: bounding boxes and each digit's ink.

The detector's maps at several scales become candidates, non-maximum suppression chooses among
them, and each remaining one is cut out without its neighbours, the paper and the ruling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8
from digitkit.boxes import chunk_slices, clip_box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, reduced_side
from digitkit.images.ink import extract_ink
from digitkit.images.masks import connected_components
from digitkit.reading.detection.crops import crop_detection
from digitkit.reading.detection.detections import Detection
from digitkit.reading.detection.fine import (
    FINE_HEIGHT,
    MIN_PART_SCORE,
    MIN_PARTS,
    Writing,
    are_few,
    choose_tiles,
    measure_ink,
    merge_fine,
)
from digitkit.reading.detection.scales import Candidate, Scale
from digitkit.reading.networks.detector import CENTRE_STRIDE, Detector

CAMERA_SIDES = (480, 640)
"""Longer sides of an image that is taken for a camera frame, pixels."""

CAMERA_RATIO = 0.75
"""A camera frame is reduced to this fraction: half the time, and its pixels are seldom sharp."""

REDUCTIONS = (1, 2, 4, 8)
"""Further reductions of the image, for large digits; half sizes overlap."""

MIN_SCALE_FRACTIONS = (0.7, 0.35)
"""A scale is the finest from the first part of its size on, and the one before from the second."""

MIN_SIDE = 40
"""The image is not reduced below this longer side, pixels."""

LARGE_HEIGHT, MIN_FAINT_SCORE, MIN_CLEAR_SCORE = 26, 0.25, 0.6
"""No finer scale is searched once some candidate has a clear score, and all with at least a faint
one are as high as `LARGE_HEIGHT`: pixels, a score and a rank score of 0–1."""

KNOWN_HEIGHTS = (20, 140)
"""Heights of digits that the detector knows well, pixels of a scale."""

MIN_CENTRE_SCORE = 0.2
"""A peak of the centre map is a candidate from this score, 0–1."""

MIN_INK_PROBABILITY = 0.4
"""A pixel is ink from this probability, 0–1."""

MAX_OVERLAP = 0.55
"""Of two candidates that share more than this fraction of the smaller box, one is suppressed."""

MAX_PART_HEIGHT = 0.5
"""A candidate is several rows of writing and no digit if there are at least `MIN_PARTS` others in
its box, apart, with a rank score of `MIN_PART_SCORE` and less high than this fraction of it."""


def detect_digits(image: U8 | GreyImage, detector: Detector) -> list[Detection]:
    """Detect the digits of an image.

    Args:
        image: upright, dark on light or light on dark, or both; uint8 ``[H, W]`` if an array.
        detector: the network that finds digits.

    Returns:
        The detections, in no particular order; `digitkit.reading.detection.order` puts them into
        reading order.
    """
    if not isinstance(image, GreyImage):
        image = GreyImage.from_pixels(image)
    scales, candidates = _scan_scales(image, detector)
    kept = _suppress_non_maxima(candidates)
    detections = (crop_detection(image, candidate, kept, scales) for candidate in kept)
    return [detection for detection in detections if detection is not None]


def whole_image_detection(image: GreyImage) -> Detection:
    """The detection of an image that is taken for a single digit, filling it.

    Args:
        image: of more than one level.
    """
    ink = extract_ink(image.reduced)
    x, y, w, h = cv2.boundingRect(cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1])
    height, width = image.shape
    across, down = width / ink.shape[1], height / ink.shape[0]
    box = clip_box(x * across, y * down, w * across, h * down, width, height)
    # Ink from one side to the opposite one, with space next to it, is an edge or a shadow.
    shorter, longer = sorted((w / ink.shape[1], h / ink.shape[0]))
    is_edge = longer >= 0.97 and shorter < 0.9
    return Detection(box, ink, cut_sides=2 * is_edge, whole_image=True)


def _scan_scales(image: GreyImage, detector: Detector) -> tuple[list[Scale], list[Candidate]]:
    """The image at several scales, the finest first, and the candidates in them.

    From coarse to fine, and no finer than useful: where digits are found and all of them are
    large, a scale twice as fine costs four times as much and shows nothing new. Unless they are few
    and not that large: they may be what stands out among others, such as tilted ones. Or there is
    other writing, too small for the scale, beside them, or they are blocks of it themselves.
    """
    scales: list[Scale] = []
    candidates: list[Candidate] = []
    writing = Writing(image)
    # Of an image no larger than a camera's frame, one of many, each search costs too much.
    is_small = max(image.shape) <= CAMERA_SIDES[1]
    for reduced in _reduce(image):
        ratio = image.shape[1] / reduced.shape[1], image.shape[0] / reduced.shape[0]
        scale = _run_detector(reduced, ratio, (0.0, 0.0), detector)
        scales.insert(0, scale)
        candidates += _find_peaks(scale)
        heights = [
            (candidate.edges[3] - candidate.edges[1]) / scale.ratio[1]
            for candidate in candidates
            if candidate.score >= MIN_FAINT_SCORE
        ]
        clear = [each for each in candidates if each.rank_score >= MIN_CLEAR_SCORE]
        has_ink = any(measure_ink(each, scale) > 0 for each in clear)
        is_clear = has_ink and min(heights) >= LARGE_HEIGHT
        if is_clear and (is_small or not are_few(candidates, ratio[0])):
            share = max(reduced.shape) / (_work_ratio(image.shape) * max(image.shape))
            is_finest, is_resolved = share > MIN_SCALE_FRACTIONS[0], share > MIN_SCALE_FRACTIONS[1]
            if is_finest or not (
                writing.is_beside(scale, candidates, is_resolved=is_resolved)
                or all(writing.is_block(each) for each in clear)
            ):
                return scales, candidates
    fine_ratio, tiles = choose_tiles(reduced, scales[0], candidates)
    for x, y, w, h in tiles:
        part = image.halved(0)[y : y + h, x : x + w]
        size = max(1, round(part.shape[1] / fine_ratio)), max(1, round(part.shape[0] / fine_ratio))
        if size != part.shape[::-1]:
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        scale = _run_detector(part, (fine_ratio, fine_ratio), (x, y), detector)
        scale = replace(scale, max_height=FINE_HEIGHT, is_part=True)
        found = [
            candidate
            for candidate in _find_peaks(scale)
            if candidate.edges[3] - candidate.edges[1] <= FINE_HEIGHT * fine_ratio
        ]
        if found:
            scales.insert(0, scale)
            candidates = merge_fine(candidates, found)
    return scales, candidates


def _reduce(image: GreyImage) -> Iterator[U8]:
    """The image at each scale, the coarsest first."""
    height, width = image.shape
    ratios = [_work_ratio(image.shape) / reduction for reduction in REDUCTIONS]
    finest, *sizes = [
        (max(1, round(width * ratio)), max(1, round(height * ratio))) for ratio in ratios
    ]
    # Each from the last scale, not from the whole image, which is large. Of a large one the finest
    # scale takes the longest time, and often no one asks for it.
    if image.halvings:
        images = [image.halved(image.halvings + 1)]
    else:
        images = [_resize(image.reduced, finest)]
    for size in sizes:
        if max(size) >= MIN_SIDE:
            images.append(_resize(images[-1], size))
    yield from reversed(images[1:])
    yield _resize(image.reduced, finest) if image.halvings else images[0]


def _work_ratio(shape: tuple[int, int]) -> float:
    """Pixels of the finest scale per pixel of an image."""
    side = max(shape)
    camera_ratio = CAMERA_RATIO if CAMERA_SIDES[0] <= side <= CAMERA_SIDES[1] else 1.0
    return min(camera_ratio, reduced_side(shape) / side)


def _resize(image: U8, size: tuple[int, int]) -> U8:
    if size == image.shape[::-1]:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _run_detector(
    image: U8, ratio: tuple[float, float], origin: tuple[float, float], detector: Detector
) -> Scale:
    """Run the detector on an image, or a part of one, at some scale; see `Scale`."""
    maps = detector.maps(image)
    components, stats = connected_components((maps.ink > MIN_INK_PROBABILITY).astype(np.uint8))
    return Scale(ratio, maps, components, stats[:, cv2.CC_STAT_AREA], origin)


def _find_peaks(scale: Scale) -> list[Candidate]:
    """The peaks of the centre map, with the boxes that the detector gives them."""
    maps, (across, down), (x0, y0) = scale.maps, scale.ratio, scale.origin
    highest = cv2.dilate(maps.centre, np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero((maps.centre >= highest) & (maps.centre > MIN_CENTRE_SCORE))
    candidates = []
    for y, x in zip(ys.tolist(), xs.tolist(), strict=True):
        left, top, right, bottom = maps.reach[:, y, x].tolist()
        cx, cy = (x + 0.5) * CENTRE_STRIDE, (y + 0.5) * CENTRE_STRIDE
        score = float(maps.centre[y, x])
        height = top + bottom
        known = min(1.0, height / KNOWN_HEIGHTS[0], KNOWN_HEIGHTS[1] / height)
        edges = (
            x0 + (cx - left) * across, y0 + (cy - top) * down,
            x0 + (cx + right) * across, y0 + (cy + bottom) * down,
        )  # fmt: skip
        candidates.append(Candidate(edges, score, score * known))
    return candidates


def _suppress_non_maxima(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Non-maximum suppression: of candidates that overlap, the one with the highest rank score."""
    order = sorted(candidates, key=lambda candidate: -candidate.rank_score)
    edges = np.array([candidate.edges for candidate in order]).reshape(-1, 4)
    likely = edges[: sum(candidate.rank_score >= MIN_PART_SCORE for candidate in order)]
    kept = list[int]()
    for i, overlaps in enumerate(_find_overlaps(edges)):
        if not (overlaps[kept].any() or _is_writing(edges[i], likely)):
            kept.append(i)
    return [order[i] for i in kept]


def _find_overlaps(edges: F64) -> Iterator[npt.NDArray[np.bool_]]:
    """For each box, which boxes it shares too much with, see `MAX_OVERLAP`; bool ``[N]``.

    Args:
        edges: left, top, right and bottom of each box, float64 ``[N, 4]``.
    """
    areas = (edges[:, 2:] - edges[:, :2]).prod(1)
    left, top, right, bottom = edges.T
    for some in chunk_slices(len(edges)):
        across = np.minimum(right[some, None], right) - np.maximum(left[some, None], left)
        down = np.minimum(bottom[some, None], bottom) - np.maximum(top[some, None], top)
        common = np.maximum(across, 0) * np.maximum(down, 0)
        yield from common > MAX_OVERLAP * np.minimum(areas[some, None], areas)


def _is_writing(edges: F64, likely: F64) -> bool:
    """Whether a candidate is several rows of writing; see `MAX_PART_HEIGHT`.

    Args:
        edges: left, top, right and bottom of its box, float64 ``[4]``.
        likely: those of likely digits, the likeliest first, ``[N, 4]``.
    """
    left, top, right, bottom = edges
    is_low = likely[:, 3] - likely[:, 1] < MAX_PART_HEIGHT * (bottom - top)
    if np.count_nonzero(is_low) < MIN_PARTS:
        return False
    x, y = (likely[:, 0] + likely[:, 2]) / 2, (likely[:, 1] + likely[:, 3]) / 2
    are_within = is_low & (x > left) & (x < right) & (y > top) & (y < bottom)
    apart = list[int]()
    for i, overlaps in enumerate(_find_overlaps(likely[are_within])):
        if not overlaps[apart].any():
            apart.append(i)
    return len(apart) >= MIN_PARTS
