"""Where an image is looked at more closely: small ink that the working scale does not resolve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8, Box
from digitkit.boxes import clip_box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import connected_components, open_mask
from digitkit.reading.detection.scales import Candidate, Scale

FINE_RATIO = 0.5
"""Pixels of a large image per pixel of its fine scale: writing 10 pixels high is found enlarged."""

MAX_FINE_PIXELS = 2_500_000
"""At most so many pixels of the fine scale are searched in one image."""

MAX_FINE_RATIO = 1.5
"""Where there is much writing, the fine scale is coarser, so that more of it is searched: up to so
many pixels of the image per pixel."""

FINE_HEIGHT = 80
"""Higher digits of the fine scale have been seen before, pixels."""

MIN_REDUCTION = 1.6
"""Images that were reduced by less than this are searched again only if they are small, enlarged to
twice their size."""

MAX_SMALL_PIXELS = 100_000
"""Maximum number of pixels of a small image, which is searched again at twice its size: a strip,
but no camera frame."""

MIN_PARTS = 3
"""A larger candidate is dropped if so many small ones in it have a score of at least
`MIN_PART_SCORE`."""

MIN_PART_SCORE = 0.5
"""Minimum score of the small candidates that `MIN_PARTS` counts, 0–1; that of the larger candidate
around them, if it is lower."""

SURE_SCORE = 0.5
"""What was found needs no second look from this detection score on, 0–1, if its ink is sure."""

SURE_INK = 0.8
"""Minimum mean ink probability of a candidate that needs no second look, 0–1: a paragraph of small
writing, blurred, may look like a digit, but of faint ink."""

MAX_FEW_CANDIDATES = 4
"""Up to so many candidates, all of them lower than `MAX_LOW_HEIGHT`, may not be all there is, or
each be a paragraph of small writing."""

MAX_LOW_HEIGHT = 40
"""Height below which a candidate is low, pixels of the scale that it was found in."""

_BLOCK = 32
"""Side of the blocks that are looked at or not, pixels of the scale."""

_TILE = 10
"""Largest side of a tile, blocks, where they are few pixels."""

_CONTRAST = 9
"""Least local contrast of ink, grey levels."""

_WRITING_FRACTIONS = (0.015, 0.6)
"""Minimum and maximum fraction of a block's pixels that are ink, both exclusive, where it is
writing; a block with more ink is a texture."""

_SIDE = 800
"""Maximum longer side of the image in which writing beside the candidates is looked for, pixels."""

_MIN_WRITING_CONTRAST, _MIN_WRITING = 20, 0.04
"""Minimum contrast of writing beside the candidates, grey levels, and the minimum fraction of a
block that it covers."""

_LINE = 17
"""Horizontal and vertical runs of this length are lines, pixels."""

_INK_MARGIN = 0.2
"""Ink up to so far around a candidate belongs to it, in its height."""

_MAX_PIECES, _MIN_TALLEST = 16, 0.4
"""A candidate with more separate pieces of ink than this is a block of writing, unless one of them
has at least this share of its height. Digits have up to sixteen, as the outlines of broad strokes
are pieces, too."""

_MIN_OTHER_INK = 0.4
"""Ink that the detector takes for letters, signs or lines with this probability is explained."""


def choose_tiles(
    work: U8, scale: Scale, candidates: Sequence[Candidate]
) -> tuple[float, list[Box]]:
    """Choose the parts of an image to be searched again, at a finer scale.

    Args:
        work: the image at the working scale, uint8 ``[h, w]``.
        scale: the detector's output for it.
        candidates: what was found in it; where it is much, what is clear needs no second look.

    Returns:
        Pixels of the whole image per pixel of the fine scale, and boxes in the whole image.
    """
    across, down = scale.ratio
    is_reduced = across >= MIN_REDUCTION
    if not is_reduced and work.size > MAX_SMALL_PIXELS:
        return across / 2, []
    # A paragraph may be as clear as a digit. Where little was found, all of it is looked at again.
    known = [] if is_reduced and are_few(candidates, across) else candidates
    active = _find_writing(work, scale, known)
    near = np.asarray(cv2.dilate(active, np.ones((3, 3), np.uint8)), np.uint8)
    fine_ratio = across / 2
    if is_reduced:
        area = int(near.sum()) * _BLOCK**2 * across * down
        needed = math.sqrt(area / MAX_FINE_PIXELS)
        fine_ratio = max(FINE_RATIO, min(needed, MAX_FINE_RATIO, fine_ratio))
    # Two parts of this side can be searched.
    side = math.sqrt(MAX_FINE_PIXELS / 2) * fine_ratio / (_BLOCK * max(across, down))
    most = min(_TILE, max(1, int(side) - 1))
    _, stats = connected_components(near)
    boxes = [box for x, y, w, h, _ in stats[1:].tolist() for box in _split(x, y, w, h, most)]
    height, width = round(work.shape[0] * down), round(work.shape[1] * across)

    def worth(box: Box) -> float:
        x, y, w, h = box
        return float(active[y : y + h, x : x + w].mean())

    tiles: list[Box] = []
    left = MAX_FINE_PIXELS * fine_ratio**2  # to be searched, pixels of the image
    wide, high = _BLOCK * across, _BLOCK * down
    for x, y, w, h in sorted(filter(worth, boxes), key=worth, reverse=True):
        tile = clip_box(x * wide, y * high, w * wide, h * high, width, height)
        if tile[2] * tile[3] <= left:
            left -= tile[2] * tile[3]
            tiles.append(tile)
    return fine_ratio, tiles


def _find_writing(work: U8, scale: Scale, known: Sequence[Candidate]) -> U8:
    """The blocks of an image with ink like that of writing, 1 or 0, uint8 ``[H, W]``.

    Args:
        work: the image at the working scale, uint8 ``[h, w]``.
        scale: the detector's output for it.
        known: digits that were found in it; those that are clear are left out.
    """
    ink = find_contrast(work, _CONTRAST)
    for candidate in known:
        if candidate.score >= SURE_SCORE and measure_ink(candidate, scale) >= SURE_INK:
            ink[_place(candidate, scale.ratio, 3)] = 0
    share = _share_of_blocks(ink)
    return np.asarray((share > _WRITING_FRACTIONS[0]) & (share < _WRITING_FRACTIONS[1]), np.uint8)


class Writing:
    """The ink of an image that may be writing, to compare with what is found at each scale."""

    def __init__(self, image: GreyImage) -> None:
        """Look at the image when first asked."""
        self._image = image

    @cached_property
    def _ink(self) -> tuple[U8, npt.NDArray[np.bool_]]:
        """Ink without lines, 1 or 0, uint8 ``[h, w]``; and which of its blocks are textures."""
        small = self._image.halved(self._image.halvings_to(_SIDE))
        ink = find_contrast(small, _MIN_WRITING_CONTRAST)
        is_texture = np.asarray(_share_of_blocks(ink) >= _WRITING_FRACTIONS[1])
        return without_lines(ink, _LINE), is_texture

    @property
    def _ratio(self) -> tuple[float, float]:
        """Pixels of the image per pixel of its ink, across and down."""
        height, width = self._ink[0].shape
        return self._image.shape[1] / width, self._image.shape[0] / height

    def is_beside(self, scale: Scale, known: Sequence[Candidate], *, is_resolved: bool) -> bool:
        """Whether there is writing beside what was found at a coarse scale.

        Args:
            scale: the detector's output.
            known: digits that were found.
            is_resolved: whether the scale is so fine that the detector tells letters and lines from
                small digits.
        """
        ink, is_texture = self._ink[0].copy(), self._ink[1]
        height, width = ink.shape
        ratio = self._ratio
        if is_resolved:
            other = cv2.resize(scale.maps.other, (width, height), interpolation=cv2.INTER_LINEAR)
            ink[cv2.dilate(other, np.ones((5, 5), np.uint8)) >= _MIN_OTHER_INK] = 0
        for candidate in known:
            if candidate.score >= SURE_SCORE:
                _, top, _, bottom = candidate.edges
                ink[_place(candidate, ratio, _INK_MARGIN * (bottom - top) / ratio[1])] = 0
        busy = (_share_of_blocks(ink) > _MIN_WRITING) & ~is_texture
        return bool((busy[:, 1:] & busy[:, :-1]).any())

    def is_block(self, candidate: Candidate) -> bool:
        """Whether what was found is several rows of small writing instead of a digit."""
        part = self._ink[0][_place(candidate, self._ratio, 0)]
        heights = connected_components(part)[1][1:, cv2.CC_STAT_HEIGHT]
        return len(heights) > _MAX_PIECES and bool(heights.max() < _MIN_TALLEST * part.shape[0])


def find_contrast(grey: U8, least: int) -> U8:
    """The pixels that are brighter or darker than those around them, 1 or 0.

    Args:
        grey: uint8 ``[h, w]``.
        least: minimum difference from the mean around them, grey levels.
    """
    detail = cv2.absdiff(grey, cv2.GaussianBlur(grey, (0, 0), 2.5))
    return np.asarray(cv2.threshold(detail, least, 1, cv2.THRESH_BINARY)[1], np.uint8)


def without_lines(ink: U8, length: int) -> U8:
    """Ink, 1 or 0, without horizontal and vertical runs of at least a length, pixels."""
    lines = cv2.max(open_mask(ink, 1, length), open_mask(ink, length, 1))
    return np.asarray(cv2.subtract(ink, cv2.dilate(lines, np.ones((3, 3), np.uint8))), np.uint8)


def _place(candidate: Candidate, ratio: tuple[float, float], room: float) -> tuple[slice, slice]:
    """The rows and columns of a reduced image that show a candidate, with room around it."""
    left, top, right, bottom = candidate.edges
    return _between(top, bottom, ratio[1], room), _between(left, right, ratio[0], room)


def _between(first: float, last: float, ratio: float, room: float) -> slice:
    return slice(max(round(first / ratio - room), 0), max(round(last / ratio + room), 0))


def _share_of_blocks(ink: U8) -> F64:
    """How much of each block is ink, 0–1, float64 ``[H, W]``."""
    rows, columns = -(-ink.shape[0] // _BLOCK), -(-ink.shape[1] // _BLOCK)
    framed = cv2.copyMakeBorder(
        ink, 0, rows * _BLOCK - ink.shape[0], 0, columns * _BLOCK - ink.shape[1],
        cv2.BORDER_CONSTANT,
    )  # fmt: skip
    return np.asarray(framed.reshape(rows, _BLOCK, columns, _BLOCK).mean((1, 3)), np.float64)


def are_few(candidates: Sequence[Candidate], ratio: float) -> bool:
    """Whether so little was found, and so small, that a closer look is worth its time.

    Args:
        candidates: what was found in an image.
        ratio: pixels of the image per pixel of the scale in which it was found.

    Returns:
        True for at most `MAX_FEW_CANDIDATES` likely candidates, at least one, all of them lower
        than `MAX_LOW_HEIGHT`.
    """
    likely = [candidate for candidate in candidates if candidate.score >= SURE_SCORE]
    heights = [(candidate.edges[3] - candidate.edges[1]) / ratio for candidate in likely]
    return 0 < len(likely) <= MAX_FEW_CANDIDATES and max(heights) < MAX_LOW_HEIGHT


def measure_ink(candidate: Candidate, scale: Scale) -> float:
    """The mean probability of a candidate's ink in a scale, 0–1; 0 without any."""
    left, top, right, bottom = (round(edge) for edge in scale.to_ink_map(candidate))
    part = slice(max(top, 0), bottom + 1), slice(max(left, 0), right + 1)
    ink = scale.maps.ink[part][scale.components[part] > 0]
    return float(ink.mean()) if ink.size else 0.0


def merge_fine(candidates: Sequence[Candidate], fine: Sequence[Candidate]) -> list[Candidate]:
    """Add what was found in a tile, where it does not contradict what had been found.

    A larger candidate stays, and small ones in it are parts of it; unless they are many: then it
    was a paragraph.
    """
    kept = []
    added = list(fine)
    for candidate in candidates:
        left, top, right, bottom = candidate.edges
        inside = [
            other
            for other in added
            if left < (other.edges[0] + other.edges[2]) / 2 < right
            and top < (other.edges[1] + other.edges[3]) / 2 < bottom
        ]
        least = min(MIN_PART_SCORE, candidate.score)
        clear = [other for other in inside if other.score >= least]
        if len(clear) < MIN_PARTS:
            kept.append(candidate)
            added = [other for other in added if other not in inside]
    return kept + added


def _split(x: int, y: int, w: int, h: int, most: int) -> list[Box]:
    """A box as tiles that are at most `most` blocks wide and high, and overlap by one more."""
    across, down = -(-w // most), -(-h // most)
    wide, high = -(-w // across), -(-h // down)
    return [
        (x + i * wide, y + j * high, min(wide + 1, w - i * wide), min(high + 1, h - j * high))
        for i in range(across)
        for j in range(down)
        if w - i * wide > 0 and h - j * high > 0
    ]
