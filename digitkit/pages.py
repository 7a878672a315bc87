"""From a picture larger than one digit to its digits: where they are, and each in normal form.

The finder's net says where ink and middles of digits are; here this becomes boxes, the ink of each
box apart from its neighbours', the paper and the ruling, and rows in the order that a person reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from . import pixels
from ._opencv import cv2
from .finder import CENTRE, INK, Box, Finder, Found, Maps

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

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

INK_HEIGHT = 75
"""Greatest height of a digit whose ink is taken from the map of a scale, pixels of that scale."""

MIN_CENTRE = 0.2
"""From which certainty of a middle on it is taken for a digit, 0–1."""

MIN_INK = 0.4
"""From which probability on a pixel is ink, 0–1."""

MIN_CONTRAST = 4
"""Least difference of ink and paper, grey levels."""

CROP_HEIGHT = 56
"""Height that a digit is reduced to before it is brought to normal form, pixels."""


@dataclass(frozen=True)
class _Spot:
    """A box that the net gives, in the whole picture's pixels: left, top, right, bottom."""

    edges: tuple[float, float, float, float]
    certainty: float
    worth: float  # certainty, less where the net knows the size less well


@dataclass(frozen=True)
class _Scale:
    """One scale of the picture and what the net says of it."""

    ratio: tuple[float, float]  # pixels of the whole picture to one of this, across and down
    maps: Maps
    parts: npt.NDArray[np.int32]  # connected pieces of ink, numbered from 1
    areas: npt.NDArray[np.int32]

    def in_ink(self, spot: _Spot) -> tuple[float, float, float, float]:
        """The edges of a box in this scale's map of ink."""
        across, down = (INK * ratio for ratio in self.ratio)
        left, top, right, bottom = spot.edges
        return left / across, top / down, right / across, bottom / down


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes have a part in common."""
    return (
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    )  # fmt: skip


def find_digits(plain: U8, finder: Finder) -> list[Found]:
    """Find the digits of a picture.

    Args:
        plain: grey, uint8 ``[H, W]``, upright, dark on light or light on dark, or both.
        finder: the net.

    Returns:
        What was found, in no particular order; see `in_order`.
    """
    scales, spots = _looked_at(plain, finder)
    kept = _without_doubles(spots)
    found = (_found(plain, spot, kept, scales) for spot in kept)
    return [one for one in found if one is not None]


def whole_picture(plain: U8) -> Found:
    """A picture taken for a single digit that fills it.

    Args:
        plain: grey, uint8 ``[H, W]``, of more than one level.
    """
    ink = pixels.ink_of_digit(plain)
    x, y, w, h = cv2.boundingRect(cv2.threshold(ink, 127, 255, cv2.THRESH_BINARY)[1])
    height, width = plain.shape
    ratio = width / ink.shape[1]
    box = _clipped(x * ratio, y * ratio, w * ratio, h * ratio, width, height)
    # From one side to the other, with room beside it: an edge or the light, and no digit.
    across, down = w >= 0.97 * ink.shape[1], h >= 0.97 * ink.shape[0]
    return Found(box, ink, runs_out=2 * (across != down), whole=True)


SURE, ALONE, LONE_STROKE = 0.45, 0.6, 0.75
"""Certainty from which a digit vouches for its neighbours; from which one that has no neighbours is
believed; and from which a lone, small 0 or 1 is, since rings and strokes are everywhere. Chosen on
synthetic pages: about one false digit in ten pages that hold nothing but clutter."""

SMALL = 0.2
"""What is small: a share of the picture's longer side."""


def _median(values: npt.ArrayLike) -> float:
    """The median of one value at least; NumPy's own loads its masked arrays first, 7 ms a start."""
    ordered = np.sort(np.asarray(values, float))
    return float(ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def judged(
    found: Sequence[Found],
    digits: Sequence[int],
    confidences: Sequence[float],
    threshold: float,
    side: int,
) -> list[tuple[float, bool]]:
    """How far each thing that was found is believed beyond its looks, and whether it is cut.

    Digits stand together: a faint one is believed beside others of its size, while what stands
    alone must be found for sure. What runs out of the picture is cut if it shows no digit clearly,
    is lower than the whole ones beside it, or runs out at more than one side.

    Args:
        found: everything that was found in one picture.
        digits: what the classifier reads, 0 to 9.
        confidences: how surely, 0–1.
        threshold: from which confidence on a digit is accepted.
        side: the picture's longer side, pixels.

    Returns:
        Of each a factor for its confidence, 0–1, and whether a part of it is missing.
    """
    x, y, w, h = np.array([one.box for one in found], np.float64).reshape(-1, 4).T
    certainty = np.array([one.certainty for one in found])
    confidence, digit = np.array(confidences), np.array(digits)
    whole = np.array([one.whole for one in found], bool)
    sides = np.array([one.runs_out for one in found], int)
    runs_out = sides > 0
    read = (confidence >= threshold) & ~whole
    # Each (down) beside each (across): of about its height, level, and not far.
    tall = np.maximum(h[:, None], h[None, :])
    apart = np.maximum(x[None, :] - (x + w)[:, None], x[:, None] - (x + w)[None, :])
    level = np.abs((y + h / 2)[None, :] - (y + h / 2)[:, None]) < 0.6 * tall
    beside = level & (apart < 4 * tall) & (np.minimum(h[:, None], h[None, :]) > 0.6 * tall)
    beside &= (read & (certainty >= SURE))[None, :]
    np.fill_diagonal(beside, False)
    stroke = np.isin(digit, (0, 1)) & (np.maximum(w, h) < SMALL * side)
    believed = beside.any(1) | (certainty >= np.where(stroke, LONE_STROKE, ALONE))
    factor = np.where(believed, 1.0, certainty)

    heights = h[read & ~runs_out]
    usual = _median(heights) if len(heights) else 0.0
    cut = runs_out & ((confidence < 0.99) | (h < 0.85 * usual) | (sides > 1))
    # Either the whole picture is one digit, or what was found in it counts.
    if whole.any():
        others = factor * confidence * ~whole
        found_in_it = bool((~cut & (others >= threshold)).any())
        as_one = not found_in_it and float(confidence[whole].max()) >= float(others.max())
        out = ~whole if as_one else whole
        factor[out], cut[out] = 0.0, False
    return list(zip(factor.tolist(), cut.tolist(), strict=True))


def _ratio(side: int) -> float:
    """How far a picture is reduced before it is looked at.

    A camera's frame, up to 640 pixels, is by a quarter: half the time, and its pixels are seldom
    sharp.
    """
    return min(0.75 if FRAME[0] <= side <= FRAME[1] else 1.0, WORK_SIDE / side)


def _looked_at(plain: U8, finder: Finder) -> tuple[list[_Scale], list[_Spot]]:
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
    scales: list[_Scale] = []
    spots: list[_Spot] = []
    for small in reversed(images):
        maps = finder.maps(small)
        mask = (maps.ink > MIN_INK).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        ratios = (width / small.shape[1], height / small.shape[0])
        areas = np.asarray(stats[:, cv2.CC_STAT_AREA], np.int32)
        scale = _Scale(ratios, maps, np.asarray(parts, np.int32), areas)
        scales.insert(0, scale)
        spots += _spots(scale)
        heights = [
            (spot.edges[3] - spot.edges[1]) / ratios[1] for spot in spots if spot.worth >= FAINT
        ]
        surest = max((spot.worth for spot in spots), default=0.0)
        if surest >= ENOUGH and min(heights) >= LARGE:
            break
    return scales, spots


def _spots(scale: _Scale) -> list[_Spot]:
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
        spots.append(_Spot(edges, certainty, certainty * known))
    return spots


def _without_doubles(spots: Sequence[_Spot]) -> list[_Spot]:
    """Of boxes that overlap, the one that is worth most."""
    kept: list[_Spot] = []
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


def _found(
    plain: U8, spot: _Spot, spots: Sequence[_Spot], scales: Sequence[_Scale]
) -> Found | None:
    """A digit's own ink, cut out of the picture."""
    # The finest map of ink in which the net sees enough around: a long stroke alone, as of a 1,
    # could be anything.
    tall = spot.edges[3] - spot.edges[1]
    scale = next((one for one in scales if tall / one.ratio[1] <= INK_HEIGHT), scales[-1])
    mask, x, y = _own_ink(spot, spots, scale)
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
    ink = _lifted(crop, np.asarray(own, np.float32))
    if ink is None:
        return None
    bx, by, bw, bh = cv2.boundingRect(cv2.threshold(ink, 96, 255, cv2.THRESH_BINARY)[1])
    if bw == 0 or bh == 0:
        return None
    box = _clipped(left + bx / ratio, top + by / ratio, bw / ratio, bh / ratio, width, height)
    at_border = (left == 0, top == 0, right == width, bottom == height)
    return Found(box, ink, spot.certainty, _runs_out(ink, at_border))


def _own_ink(spot: _Spot, spots: Sequence[_Spot], scale: _Scale) -> tuple[F32 | None, int, int]:
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
    spot: _Spot, spots: Sequence[_Spot], xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64],
    scale: _Scale,
) -> npt.NDArray[np.bool_] | None:  # fmt: skip
    """Where this digit's middle is nearer than any other's, in units of each one's size.

    None where no other is near.
    """

    def distance(one: _Spot) -> npt.NDArray[np.float64]:
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


def _lifted(crop: U8, own: F32) -> U8 | None:
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


def _clipped(x: float, y: float, w: float, h: float, width: int, height: int) -> Box:
    left, top = max(0, round(x)), max(0, round(y))
    right, bottom = min(width, round(x + w)), min(height, round(y + h))
    return left, top, max(1, right - left), max(1, bottom - top)


def _runs_out(ink: U8, at_border: tuple[bool, bool, bool, bool]) -> int:
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


# --- reading order ---------------------------------------------------------------------------


def in_order(boxes: Sequence[Box]) -> list[tuple[int, int]]:
    """The order in which a person reads boxes, and their rows.

    Each box is linked to its nearest neighbour on the right that is level with it, once the lean
    of the page is taken off; so rows may lean and drift. Rows go from top to bottom. Where a wide
    gutter parts three rows or more into two columns of numbers, or rows that are not level, one
    column comes before the other.

    Args:
        boxes: in any order.

    Returns:
        The index and the row of each box, in reading order.
    """
    if not boxes:
        return []
    at = np.array(boxes, np.float64)
    rows = _rows(at, list(range(len(boxes))), _lean(at))
    return [(i, number) for number, row in enumerate(rows) for i in row]


GUTTER = (1.8, 2.5)
"""Least width of a gutter, in digit heights, and in gaps inside a row."""


def _rows(at: npt.NDArray[np.float64], members: list[int], lean: float) -> list[list[int]]:
    """Rows of the boxes `at` ``[n, 4]`` that are members, in reading order."""
    parts = _columns(at, members, lean)
    if parts is not None:
        return _rows(at, parts[0], lean) + _rows(at, parts[1], lean)
    rows = _chains(at, members, lean)

    def height(row: list[int]) -> float:
        # Where the row would meet the page's left side.
        x, y = at[row, 0] + at[row, 2] / 2, at[row, 1] + at[row, 3] / 2
        return _median(y - lean * x)

    return sorted(rows, key=height)


def _lean(at: npt.NDArray[np.float64]) -> float:
    """How much rows fall a pixel to the right: the middle of the slopes of close neighbours."""
    cx, cy, h = at[:, 0] + at[:, 2] / 2, at[:, 1] + at[:, 3] / 2, at[:, 3]
    slopes = []
    for i in range(len(at)):
        gap = at[:, 0] - at[i, 0] - at[i, 2]
        near = (cx > cx[i]) & (gap < 1.5 * h[i]) & (np.abs(cy - cy[i]) < 0.5 * h[i])
        if near.any():
            j = int(np.flatnonzero(near)[cx[near].argmin()])
            slopes.append((cy[j] - cy[i]) / (cx[j] - cx[i]))
    return _median(slopes) if len(slopes) > 2 else 0.0


def _columns(
    at: npt.NDArray[np.float64], members: list[int], lean: float
) -> tuple[list[int], list[int]] | None:
    """The boxes on either side of a gutter; None where there is none."""
    by_left = sorted(members, key=lambda i: float(at[i, 0]))
    height = _median(at[members, 3]) if members else 0.0
    gutters = []
    end = -np.inf
    for place, i in enumerate(by_left):
        if place and at[i, 0] - end >= GUTTER[0] * height:
            gutters.append((float(at[i, 0] - end), place))
        end = max(end, float(at[i, 0] + at[i, 2]))
    for wide, place in sorted(gutters, reverse=True):
        left, right = by_left[:place], by_left[place:]
        sides = [_chains(at, side, lean) for side in (left, right)]
        if min(map(len, sides)) < 2:
            continue
        inner = [
            float(at[b, 0] - at[a, 0] - at[a, 2])
            for rows in sides
            for row in rows
            for a, b in pairwise(row)
        ]
        across = _chains(at, members, lean)
        level = len(across) < len(sides[0]) + len(sides[1]) - 0.5 * min(map(len, sides))
        numbers = len(inner) >= sum(map(len, sides)) / 2 and wide >= GUTTER[1] * max(inner)
        if not level or (numbers and min(map(len, sides)) >= 3):
            return left, right
    return None


def _chains(at: npt.NDArray[np.float64], members: list[int], lean: float) -> list[list[int]]:
    """Rows as chains of neighbours, each from the left."""
    here = np.array(members)
    left, right, height = at[here, 0], at[here, 0] + at[here, 2], at[here, 3]
    cx = (left + right) / 2
    level = at[here, 1] + height / 2 - lean * cx
    # From each (down) to each (across); of those on the right, that are about level.
    size = np.maximum(height[:, None], height[None, :])
    gap = np.maximum(0.0, left[None, :] - right[:, None])
    rise = np.abs(level[None, :] - level[:, None])
    # Neighbours may drift more than what stands far apart.
    linked = (cx[None, :] > cx[:, None]) & (rise < np.where(gap < 2 * size, 0.6, 0.45) * size)
    starts, ends = np.nonzero(linked)
    cost = (gap + 2.0 * rise)[linked]
    links = [(members[starts[k]], members[ends[k]]) for k in np.argsort(cost, kind="stable")]
    following: dict[int, int] = {}
    led: set[int] = set()
    for i, j in links:
        if i not in following and j not in led:
            following[i] = j
            led.add(j)
    rows = []
    for i in members:
        if i not in led:
            row = [i]
            while row[-1] in following:
                row.append(following[row[-1]])
            rows.append(row)
    return rows
