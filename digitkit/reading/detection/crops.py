"""A detection's own ink, cut out of the image: without its neighbours, the paper and the ruling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, I32, U8, Box
from digitkit.boxes import clip_box
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.images.masks import find_runs
from digitkit.reading.detection.detections import Detection, ink_box, quantile
from digitkit.reading.detection.scales import Candidate, Scale
from digitkit.reading.networks.detector import INK_STRIDE

MIN_CONTRAST = 4
"""Least difference between ink and paper, grey levels."""

CROP_HEIGHT = 72.8
"""Greatest height of a digit's ink mask, with its margin, in its crop, pixels."""

SHARP_HEIGHT = 20
"""Digits of at least this height in a reduced image are cut out of it, pixels: the height that they
have in the normal form."""

MIN_COARSE_HEIGHT = 26
"""Minimum height of a digit whose ink is taken from a coarser scale than the finest that fits,
pixels of the coarser one."""

_MARGIN = 3
"""Paper around a digit's ink in its crop, pixels of the ink map."""


def crop_detection(
    image: GreyImage,
    candidate: Candidate,
    candidates: Sequence[Candidate],
    scales: Sequence[Scale],
) -> Detection | None:
    """Cut a digit's own ink out of the image.

    Args:
        image: that it is in.
        candidate: the digit.
        candidates: all digits of the image, whose ink is left out.
        scales: the detector's outputs, the finest first.

    Returns:
        None where there is no ink, or none that stands out from the paper.
    """
    digit_height = candidate.edges[3] - candidate.edges[1]
    scale = _choose_scale(candidate, digit_height, scales)
    mask, x, y = _own_ink_mask(candidate, candidates, scale)
    if mask is None:
        return None
    halvings = sharp_halvings(image, digit_height)
    plain, reduction = image.halved(halvings), 1 << halvings
    across, down = (ratio / reduction for ratio in scale.ratio)
    height, width = plain.shape
    # The paper around belongs to the crop, since ink is measured against it.
    ink_height = mask.shape[0] * INK_STRIDE * down
    x0, y0 = (edge / reduction for edge in scale.origin)
    left, top = max(0, int(x0 + x * INK_STRIDE * across)), max(0, int(y0 + y * INK_STRIDE * down))
    right = min(width, int(np.ceil(x0 + (x + mask.shape[1]) * INK_STRIDE * across)))
    bottom = min(height, int(np.ceil(y0 + (y + mask.shape[0]) * INK_STRIDE * down)))
    if right - left < 2 or bottom - top < 2:
        return None
    crop = plain[top:bottom, left:right]
    ratio = min(1.0, CROP_HEIGHT / ink_height)
    size = (max(2, round(crop.shape[1] * ratio)), max(2, round(crop.shape[0] * ratio)))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    resized_mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    ink = _extract_ink(crop, np.asarray(resized_mask, np.float32))
    if ink is None:
        return None
    bx, by, bw, bh = ink_box(ink)
    if bw == 0 or bh == 0:
        return None
    whole_height, whole_width = image.shape
    box = clip_box(
        (left + bx / ratio) * reduction, (top + by / ratio) * reduction,
        bw / ratio * reduction, bh / ratio * reduction, whole_width, whole_height,
    )  # fmt: skip
    at_border = (left == 0, top == 0, right == width, bottom == height)
    other = scale.maps.other[y : y + mask.shape[0], x : x + mask.shape[1]][mask > 0.5]
    return Detection(
        box,
        ink,
        candidate.score,
        _count_cut_sides(ink, at_border),
        other=float(other.mean()),
    )


def _choose_scale(candidate: Candidate, height: float, scales: Sequence[Scale]) -> Scale:
    """The scale whose ink map shows a digit of this height, pixels of the image, best.

    It is the finest in which the detector sees enough context: a long stroke alone, as of a 1,
    could be anything. Of a large digit, a coarser one may show more.
    """
    finest, *coarser = [
        scale
        for scale in scales
        if height / scale.ratio[1] <= scale.max_height and scale.covers(candidate)
    ] or [scales[-1]]
    large = [scale for scale in coarser if height / scale.ratio[1] >= MIN_COARSE_HEIGHT]
    return next((scale for scale in (finest, *large) if scale.shows_whole(candidate)), finest)


def sharp_halvings(image: GreyImage, height: float) -> int:
    """How often an image may be halved so that digits of a height, pixels, stay sharp."""
    halvings = image.halvings
    while halvings and height < SHARP_HEIGHT << halvings:
        halvings -= 1
    return halvings


def crop_halved(layer: U8, box: Box, halvings: int, margin: int = 1) -> U8:
    """The part of a layer that a box shows, with a margin; a view, uint8 ``[h, w]``.

    Args:
        layer: of the image, halved.
        box: of the whole image, pixels.
        halvings: how often the layer was halved.
        margin: pixels of the layer.
    """
    x, y, w, h = (side >> halvings for side in box)
    height, width = layer.shape
    x, y, w, h = clip_box(
        x - margin, y - margin, w + 1 + 2 * margin, h + 1 + 2 * margin, width, height
    )
    return layer[y : y + h, x : x + w]


def _own_ink_mask(
    candidate: Candidate, candidates: Sequence[Candidate], scale: Scale
) -> tuple[F32 | None, int, int]:
    """The ink map around a candidate without the ink of others.

    Returns:
        float32 ``[h, w]`` with a margin of paper: the probability of own ink, -1 for the ink of
        others; and its position in the ink map, x and y. None where there is no own ink.
    """
    left, top, right, bottom = scale.to_ink_map(candidate)
    w, h = right - left, bottom - top
    surround = max(2.0, 0.3 * max(w, h))
    map_height, map_width = scale.maps.ink.shape
    x0, y0 = max(0, int(left - surround)), max(0, int(top - surround))
    x1 = min(map_width, int(right + surround) + 1)
    y1 = min(map_height, int(bottom + surround) + 1)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None, 0, 0
    components = scale.components[y0:y1, x0:x1]
    ink = scale.maps.ink[y0:y1, x0:x1]
    xs, ys = np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5
    slack = 0.08 * max(w, h) + 0.5
    inside = ((xs > left - slack) & (xs < right + slack))[None, :] & (
        (ys > top - slack) & (ys < bottom + slack)
    )[:, None]
    own = _own_pixels(components, inside, _nearest(candidate, candidates, xs, ys, scale), scale)
    if not own.any():
        return None, 0, 0
    # Softly, so that strokes keep their edges.
    near = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    others = (components > 0) & ~own
    mask = np.where(near & ~others, np.maximum(ink, own), 0).astype(np.float32)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    first_row, last_row = max(0, int(rows[0]) - _MARGIN), int(rows[-1]) + 1 + _MARGIN
    first_column, last_column = max(0, int(columns[0]) - _MARGIN), int(columns[-1]) + 1 + _MARGIN
    # The ink of others is not paper either.
    mask = np.where(others, -1.0, mask).astype(np.float32)
    return mask[first_row:last_row, first_column:last_column], x0 + first_column, y0 + first_row


def _own_pixels(
    components: I32,
    inside: npt.NDArray[np.bool_],
    nearest: npt.NDArray[np.bool_] | None,
    scale: Scale,
) -> npt.NDArray[np.bool_]:
    """The ink that belongs to a candidate, bool ``[h, w]``.

    A component that lies mostly in the box is the digit's, including a tail outside. Of a component
    that another digit shares, as where they touch, only the ink inside the box and nearest to this
    digit is.

    Args:
        components: of the ink map around the candidate.
        inside: whether a pixel is inside its box.
        nearest: whether this is the nearest digit; None where no other is near.
        scale: that the components belong to.
    """
    count = len(scale.areas)
    within = np.bincount(components[inside], minlength=count)
    within[0] = 0
    entire = within > 0.6 * scale.areas
    if nearest is not None:
        entire &= np.bincount(components[~nearest], minlength=count) <= 0.15 * scale.areas
        inside = inside & nearest
    shared = (within > 0) & ~entire
    own: npt.NDArray[np.bool_] = entire[components] | (shared[components] & inside)
    return own


def _nearest(
    candidate: Candidate,
    candidates: Sequence[Candidate],
    xs: F64,
    ys: F64,
    scale: Scale,
) -> npt.NDArray[np.bool_] | None:
    """Where this digit's centre is the nearest, in units of each digit's size; bool ``[h, w]``.

    None where no other digit is near.
    """

    def distance(digit: Candidate) -> F64:
        left, top, right, bottom = scale.to_ink_map(digit)
        dx = (xs - (left + right) / 2) / max(right - left, 1)
        dy = (ys - (top + bottom) / 2) / max(bottom - top, 1)
        return np.maximum(np.abs(dx)[None, :], np.abs(dy)[:, None])

    left, top, right, bottom = candidate.edges
    reach = 0.3 * (bottom - top)
    neighbours = [
        other
        for other in candidates
        if other is not candidate
        and left - reach < other.edges[2]
        and other.edges[0] < right + reach
        and top < other.edges[3]
        and other.edges[1] < bottom
    ]
    if not neighbours:
        return None
    own = distance(candidate)
    nearest = own <= distance(neighbours[0])
    for other in neighbours[1:]:
        nearest &= own <= distance(other)
    return nearest


def _extract_ink(crop: U8, mask: F32) -> U8 | None:
    """Ink of a crop: bright on dark, paper 0, for any light and polarity.

    Args:
        crop: grey, uint8 ``[h, w]``.
        mask: float32 ``[h, w]``, probability of the digit's ink; below 0 for the ink of others.

    Returns:
        uint8 ``[h, w]``; None where ink and paper have the same grey, or none is sure.
    """
    level = crop.astype(np.float32)
    blank = ((mask < 0.15) & (mask > -0.1)).astype(np.float32)
    clear = mask > 0.5
    if not (blank.any() and clear.any()):
        return None
    side = (2 * max(crop.shape) // 3 | 1,) * 2
    weight = cv2.blur(blank, side, borderType=cv2.BORDER_CONSTANT)
    paper = cv2.blur(level * blank, side, borderType=cv2.BORDER_CONSTANT) / np.maximum(weight, 1e-3)
    difference = paper - level
    # Around thin strokes much of it is paper; so the mean and a high percentile.
    contrast = difference[clear]
    if float(contrast.mean()) < 0:
        difference, contrast = -difference, -contrast
    strong = quantile(contrast)
    if strong < MIN_CONTRAST:
        return None
    # The mask decides where ink is, the image its edges.
    gate = np.clip((mask - 0.1) * 3, 0, 1)
    return np.asarray(np.clip(difference * gate * (255 / strong), 0, 255), np.uint8)


def _count_cut_sides(ink: U8, at_border: tuple[bool, bool, bool, bool]) -> int:
    """At how many sides ink leaves the image.

    A stroke along the border is complete, and so is one that ends there, narrowing; one that meets
    the border at its full width, longer than wide, continues outside.

    Args:
        ink: bright on dark, uint8 ``[h, w]``.
        at_border: whether its left, top, right and bottom are the image's.
    """
    count = 0
    mask = ink > 128
    sides = (mask.T, mask, mask[:, ::-1].T, mask[::-1])
    for is_border, side in zip(at_border, sides, strict=True):
        if not is_border or not side[0].any():
            continue
        for start, end in find_runs(side[0]).tolist():
            length = end - start
            # How deep the stroke goes straight in, and how wide it is there.
            depth = float(
                np.argmin(np.vstack([side[:, start:end], [[False] * length]]), axis=0).mean()
            )
            inner = side[min(len(side) - 1, 1 + length // 2), max(0, start - length) : end + length]
            if depth > 0.8 * length and length >= 0.7 * inner.sum() and length > 1:
                count += 1
                break
    return count
