"""A detection's own ink, cut out of the image: without its neighbours, the paper and the ruling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8, Box
from digitkit.images.opencv import cv2
from digitkit.reading.detections import Detection
from digitkit.reading.detector import INK
from digitkit.reading.scales import Candidate, Scale

INK_HEIGHT = 75
"""Greatest height of a digit whose ink is taken from the map of a scale, pixels of that scale."""

MIN_CONTRAST = 4
"""Least difference of ink and paper, grey levels."""

CROP_HEIGHT = 56
"""Height that a digit is reduced to before it is brought to normal form, pixels."""


def crop_detection(
    plain: U8, spot: Candidate, spots: Sequence[Candidate], scales: Sequence[Scale]
) -> Detection | None:
    """A digit's own ink, cut out of the picture."""
    # The finest map of ink in which the net sees enough around: a long stroke alone, as of a 1,
    # could be anything.
    tall = spot.edges[3] - spot.edges[1]
    scale = next((one for one in scales if tall / one.ratio[1] <= INK_HEIGHT), scales[-1])
    mask, x, y = _own_ink_mask(spot, spots, scale)
    if mask is None:
        return None
    across, down = scale.ratio
    height, width = plain.shape
    # The paper around belongs to the crop, since it tells what is ink.
    ink_height = mask.shape[0] * INK * down
    left, top = max(0, int(x * INK * across)), max(0, int(y * INK * down))
    right = min(width, int(np.ceil((x + mask.shape[1]) * INK * across)))
    bottom = min(height, int(np.ceil((y + mask.shape[0]) * INK * down)))
    if right - left < 2 or bottom - top < 2:
        return None
    crop = plain[top:bottom, left:right]
    ratio = min(1.0, CROP_HEIGHT / ink_height * 1.3)
    size = (max(2, round(crop.shape[1] * ratio)), max(2, round(crop.shape[0] * ratio)))
    crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    own = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    ink = _extract_ink(crop, np.asarray(own, np.float32))
    if ink is None:
        return None
    bx, by, bw, bh = cv2.boundingRect(cv2.threshold(ink, 96, 255, cv2.THRESH_BINARY)[1])
    if bw == 0 or bh == 0:
        return None
    box = clip_box(left + bx / ratio, top + by / ratio, bw / ratio, bh / ratio, width, height)
    at_border = (left == 0, top == 0, right == width, bottom == height)
    return Detection(box, ink, spot.certainty, _cut_sides(ink, at_border))


def _own_ink_mask(
    spot: Candidate, spots: Sequence[Candidate], scale: Scale
) -> tuple[F32 | None, int, int]:
    """The probability of ink around a spot without what belongs to others.

    Returns:
        float32 ``[h, w]`` with a margin of paper, and its place in the map of ink, x and y.
    """
    left, top, right, bottom = scale.in_ink(spot)
    w, h = right - left, bottom - top
    more = max(2.0, 0.3 * max(w, h))
    tall, wide = scale.maps.ink.shape
    x0, y0 = max(0, int(left - more)), max(0, int(top - more))
    x1, y1 = min(wide, int(right + more) + 1), min(tall, int(bottom + more) + 1)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None, 0, 0
    parts = scale.parts[y0:y1, x0:x1]
    ink = scale.maps.ink[y0:y1, x0:x1]
    xs, ys = np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5
    slack = 0.08 * max(w, h) + 0.5
    inside = ((xs > left - slack) & (xs < right + slack))[None, :] & (
        (ys > top - slack) & (ys < bottom + slack)
    )[:, None]
    # A piece of ink that mostly lies in the box is the digit's, its tail outside included; of one
    # that another digit has a part in, as where they touch, only what is inside and nearer is.
    count = len(scale.areas)
    within = np.bincount(parts[inside], minlength=count)
    within[0] = 0
    whole = within > 0.6 * scale.areas
    nearest = _nearest(spot, spots, xs, ys, scale)
    if nearest is not None:
        whole &= np.bincount(parts[~nearest], minlength=count) <= 0.15 * scale.areas
        inside &= nearest
    some = (within > 0) & ~whole
    mine = whole[parts] | (some[parts] & inside)
    if not mine.any():
        return None, 0, 0
    # Softly, so that strokes keep their edges.
    near = cv2.dilate(mine.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    other = (parts > 0) & ~mine
    own = np.where(near & ~other, np.maximum(ink, mine), 0).astype(np.float32)
    ours = np.flatnonzero(own.any(1)), np.flatnonzero(own.any(0))
    margin = 3
    up, low = max(0, int(ours[0][0]) - margin), int(ours[0][-1]) + 1 + margin
    near_left, far = max(0, int(ours[1][0]) - margin), int(ours[1][-1]) + 1 + margin
    # Ink of others is no paper either.
    own = np.where(other, -1.0, own).astype(np.float32)
    return own[up:low, near_left:far], x0 + near_left, y0 + up


def _nearest(
    spot: Candidate,
    spots: Sequence[Candidate],
    xs: npt.NDArray[np.float64],
    ys: npt.NDArray[np.float64],
    scale: Scale,
) -> npt.NDArray[np.bool_] | None:
    """Where this digit's middle is nearer than any other's, in units of each one's size.

    None where no other is near.
    """

    def distance(one: Candidate) -> npt.NDArray[np.float64]:
        left, top, right, bottom = scale.in_ink(one)
        dx = (xs - (left + right) / 2) / max(right - left, 1)
        dy = (ys - (top + bottom) / 2) / max(bottom - top, 1)
        return np.maximum(np.abs(dx)[None, :], np.abs(dy)[:, None])

    left, top, right, bottom = spot.edges
    far = 0.3 * (bottom - top)
    neighbours = [
        other
        for other in spots
        if other is not spot
        and left - far < other.edges[2]
        and other.edges[0] < right + far
        and top < other.edges[3]
        and other.edges[1] < bottom
    ]
    if not neighbours:
        return None
    mine = distance(spot)
    nearest = mine <= distance(neighbours[0])
    for other in neighbours[1:]:
        nearest &= mine <= distance(other)
    return nearest


def _extract_ink(crop: U8, own: F32) -> U8 | None:
    """Ink of a crop: bright on dark, paper 0, whatever the light and the polarity.

    Args:
        crop: grey, uint8 ``[h, w]``.
        own: float32 ``[h, w]``, probability of the digit's ink; under 0 where others' ink is.

    Returns:
        uint8 ``[h, w]``; None where ink and paper are of one grey.
    """
    level = crop.astype(np.float32)
    blank = ((own < 0.15) & (own > -0.1)).astype(np.float32)
    side = (2 * max(crop.shape) // 3 | 1,) * 2
    weight = cv2.blur(blank, side, borderType=cv2.BORDER_CONSTANT)
    paper = cv2.blur(level * blank, side, borderType=cv2.BORDER_CONSTANT) / np.maximum(weight, 1e-3)
    if not blank.any():
        return None
    difference = paper - level
    sure = own > 0.5
    if not sure.any():
        return None
    # Around thin strokes much of it is paper; so the mean and a high percentile.
    contrast = difference[sure]
    if float(contrast.mean()) < 0:
        difference, contrast = -difference, -contrast
    place = int(0.85 * (len(contrast) - 1))
    strong = float(np.partition(contrast, place)[place])
    if strong < MIN_CONTRAST:
        return None
    # What the net is sure of keeps its place, its edges are the picture's own.
    gate = np.clip((own - 0.1) * 3, 0, 1)
    return np.asarray(np.clip(difference * gate * (255 / strong), 0, 255), np.uint8)


def clip_box(x: float, y: float, w: float, h: float, width: int, height: int) -> Box:
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return left, top, max(1, right - left), max(1, bottom - top)


def _cut_sides(ink: U8, at_border: tuple[bool, bool, bool, bool]) -> int:
    """At how many sides ink runs out of the picture.

    A stroke that runs along the border is whole, and so is one that ends there, narrowing; one
    that meets the border at its full width, longer than wide, goes on outside.

    Args:
        ink: bright on dark, uint8 ``[h, w]``.
        at_border: whether its left, top, right and bottom are the picture's.
    """
    count = 0
    mask = ink > 128
    sides = (mask.T, mask, mask[:, ::-1].T, mask[::-1])
    for there, side in zip(at_border, sides, strict=True):
        if not there or not side[0].any():
            continue
        ends = np.flatnonzero(np.diff(np.r_[False, side[0], False]))
        for start, end in ends.reshape(-1, 2):
            long = int(end - start)
            # How deep the stroke goes straight in, and how wide it is there.
            depth = float(
                np.argmin(np.vstack([side[:, start:end], [[False] * long]]), axis=0).mean()
            )
            inner = side[min(len(side) - 1, 1 + long // 2), max(0, start - long) : end + long]
            if depth > 0.8 * long and long >= 0.7 * inner.sum() and long > 1:
                count += 1
                break
    return count
