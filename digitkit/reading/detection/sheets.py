"""Sheets: a note or a label that lies on something, of which the picture shows more.

Its edges and what it lies on look like strokes beside its digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, reduce_to
from digitkit.reading.results import Digit

SIDE = 240
"""Sheets are looked for in an image reduced to this longer side, pixels."""

LEVEL_STEP = 12
"""Grey levels between those of two thresholds at which sheets are looked for."""

SHEET_AREAS = (0.04, 0.9)
"""Minimum and maximum area of a sheet, as a fraction of the image's."""

MIN_SOLID, MIN_STRAIGHT, MAX_ALIKE = 0.6, 0.95, 0.3
"""Minimum fraction of a sheet that is as bright, or as dark, as it is at its edge; and of the
quadrilateral around it that the sheet is. Maximum fraction of what is around it that is as bright,
or as dark: a wall has many stones."""

CORNERS, MAX_ROUNDING = 4, 0.03
"""Number of corners, and how far its outline may be from straight sides between them, as a fraction
of its length."""

EDGE_DEPTH, MIN_EDGE_CONTRAST, MIN_EDGE_SEEN = 3, 24, 0.85
"""On both sides of its edge, so many pixels away, the levels of the reduced image differ by the
second value in at least the last fraction of the places."""

EDGE_KERNEL, PAPER_KERNEL, PAPER_SIGMA = 7, 15, 12.0
"""The paper begins half as far as the first value from its edge, and strokes are narrower than half
of the second; odd numbers of pixels of the reduced image."""


def find_sheet_around(image: GreyImage, digits: Iterable[Digit]) -> F64 | None:
    """The corners of the sheet that all digits of a page are on; None where there is none.

    Args:
        image: the page.
        digits: of it.
    """
    sheet = find_sheet(image)
    if sheet is None:
        return None
    outline = sheet.astype(np.float32)
    middles = ((x + w / 2, y + h / 2) for x, y, w, h in (digit.box for digit in digits))
    are_within = all(cv2.pointPolygonTest(outline, middle, False) > 0 for middle in middles)
    return sheet if are_within else None


def find_sheet(image: GreyImage) -> F64 | None:
    """The corners of a sheet that lies on something else, ``[4, 2]`` as x and y, pixels; or None.

    Args:
        image: a page.
    """
    grey = _reduce(image)
    if min(grey.shape) < 4 * EDGE_DEPTH:
        return None
    grey = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.uint8)
    best, most = None, 0.0
    for corners in _find_quadrilaterals(grey):
        contrast = _contrast_at_edge(grey, corners)
        if contrast > most:
            best, most = corners, contrast
    if best is None:
        return None
    return np.asarray(best * (max(image.shape) / max(grey.shape)))


def erase_surroundings(image: GreyImage, sheet: F64) -> GreyImage:
    """The image, in which the paper of a sheet goes on where something else was around it.

    Args:
        image: a page.
        sheet: the corners of a sheet on it, as `find_sheet` returns them.
    """
    small = _reduce(image)
    inner = np.zeros_like(small)
    corners = np.round(sheet * (max(small.shape) / max(image.shape))).astype(np.int32)
    cv2.fillConvexPoly(inner, corners, 255)
    inner = np.asarray(cv2.erode(inner, np.ones((EDGE_KERNEL, EDGE_KERNEL), np.uint8)), np.uint8)
    paper = _continue_paper(small, inner)

    def make(halvings: int) -> U8:
        pixels = image.halved(halvings)
        size = pixels.shape[::-1]
        share = cv2.resize(inner, size, interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        around = cv2.resize(paper, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.blendLinear(pixels, around, share, 1 - share), np.uint8)

    return GreyImage(image.shape, make, image.halvings + 1)


def _reduce(image: GreyImage) -> U8:
    return reduce_to(image.halved(image.halvings_to(2 * SIDE, least=0)), SIDE)


def _continue_paper(grey: U8, inner: U8) -> U8:
    """Paper everywhere: without ink, as it is at the nearest place of a sheet.

    Args:
        grey: an image, uint8 ``[h, w]``.
        inner: 255 on the sheet, 0 elsewhere.
    """
    paper = np.asarray(cv2.medianBlur(grey, PAPER_KERNEL), np.uint8)
    known = cv2.erode(inner, np.ones((PAPER_KERNEL, PAPER_KERNEL), np.uint8))
    if not known.any():
        return np.full_like(grey, np.median(grey[inner > 0]) if inner.any() else 0)
    _, labels = cv2.distanceTransformWithLabels(
        np.asarray(known == 0, np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    levels = np.zeros(labels.max() + 1, np.uint8)
    levels[labels[known > 0]] = paper[known > 0]
    return np.asarray(cv2.GaussianBlur(levels[labels], (0, 0), PAPER_SIGMA), np.uint8)


def _find_quadrilaterals(grey: U8) -> Iterator[F64]:
    """The corners of what may be a sheet in an image, each ``[4, 2]``."""
    low, high = int(grey.min()), int(grey.max())
    for level in range(low + LEVEL_STEP, high, LEVEL_STEP):
        for how in (cv2.THRESH_BINARY, cv2.THRESH_BINARY_INV):
            mask = np.asarray(cv2.threshold(grey, level, 1, how)[1], np.uint8)
            contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            for contour in contours:
                area = cv2.contourArea(contour)
                if not SHEET_AREAS[0] * grey.size <= area <= SHEET_AREAS[1] * grey.size:
                    continue
                corners = cv2.approxPolyDP(
                    contour, MAX_ROUNDING * cv2.arcLength(contour, True), True
                )
                if len(corners) != CORNERS or not cv2.isContourConvex(corners):
                    continue
                if (
                    not MIN_STRAIGHT
                    <= area / max(1.0, cv2.contourArea(corners))
                    <= 1 / MIN_STRAIGHT
                ):
                    continue
                own = np.zeros_like(mask)
                cv2.fillConvexPoly(own, corners, 1)
                around = mask[own == 0]
                is_solid = mask[own > 0].mean() >= MIN_SOLID
                if is_solid and (not around.size or around.mean() <= MAX_ALIKE):
                    yield corners[:, 0].astype(np.float64)


def _contrast_at_edge(grey: U8, corners: F64) -> float:
    """The median difference of the levels inside and outside of an edge; 0 if that is not one."""
    height, width = grey.shape
    centre = corners.mean(0)
    differences = []
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        length = float(np.hypot(*(end - start)))
        if length < 4 * EDGE_DEPTH:
            return 0.0
        along = np.linspace(0.1, 0.9, max(4, int(length / 2)))[:, None]
        places = start + along * (end - start)
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / length
        if normal @ (centre - start) < 0:
            normal = -normal
        outside, inside = places - EDGE_DEPTH * normal, places + EDGE_DEPTH * normal
        shown = ((outside >= 0) & (outside < [width, height])).all(1)
        if not shown.any():
            continue  # the image's border cuts the sheet
        first, second = (_levels_at(grey, at[shown]) for at in (inside, outside))
        differences.append(first - second)
    if len(differences) < 3:
        return 0.0
    sign = np.sign(np.median(np.concatenate(differences)))
    if any((sign * each >= MIN_EDGE_CONTRAST).mean() < MIN_EDGE_SEEN for each in differences):
        return 0.0
    return float(min(np.median(sign * each) for each in differences))


def _levels_at(grey: U8, places: F64) -> npt.NDArray[np.int16]:
    x, y = np.round(places).astype(np.int64).T
    height, width = grey.shape
    levels = grey[y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.asarray(levels, np.int16)
