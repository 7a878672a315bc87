"""Markers of a form: ArUco markers, or solid squares in its corners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage

MARKER_SIDE = 1300
"""Longer side of the picture in which markers are looked for, pixels, or a little more."""

MARKER_FAMILIES = ("DICT_4X4_50", "DICT_5X5_50", "DICT_6X6_50", "DICT_APRILTAG_36h11")
"""Families of markers that a form may have (OpenCV's names)."""

MAX_CORNER_DISTANCE = 0.15
"""A corner square is at most this far from the corner, in sides of the reference."""

MAX_SQUARES = 12
"""Most squares of a picture that may be the form's."""


class Markers:
    """The markers of a reference.

    Attributes:
        aruco: corners of each ArUco marker by its number, ``[4, 2]`` pixels.
        squares: the middles of squares in the four corners, from the upper left clockwise,
            ``[4, 2]`` pixels; empty where it has none.
    """

    def __init__(self, reference: U8) -> None:
        """Find them in a reference, uint8 ``[H, W]``."""
        image = GreyImage.from_pixels(reference)
        self.aruco: dict[int, F64] = {}
        self._family = ""
        for family in MARKER_FAMILIES:
            found = _find_aruco(image, _detector(family))
            if len(found) > max(1, len(self.aruco)):
                self.aruco, self._family = found, family
        self.squares = _corner_squares(_find_squares(image), reference.shape[::-1])

    @cached_property
    def _aruco_detector(self) -> Any:
        return _detector(self._family)

    def find(self, image: GreyImage) -> Iterator[tuple[F64, str]]:
        """Homographies from the reference to a picture, the likelier first; none without markers.

        Yields:
            float64 ``[3, 3]``, and what it is from: ``markers`` or ``squares``.
        """
        if self.aruco:
            found = _find_aruco(image, self._aruco_detector)
            common = [number for number in self.aruco if number in found]
            if len(common) >= 2:
                source = np.concatenate([self.aruco[number] for number in common])
                target = np.concatenate([found[number] for number in common])
                homography, _ = cv2.findHomography(source, target, 0)
                if homography is not None:
                    yield np.asarray(homography, np.float64), "markers"
        if len(self.squares):
            outer = _outer_four(_find_squares(image))
            for turn in range(4) if len(outer) else ():
                target = np.roll(outer, turn, 0).astype(np.float32)
                homography = cv2.getPerspectiveTransform(self.squares.astype(np.float32), target)
                yield np.asarray(homography, np.float64), "squares"


def _detector(family: str) -> Any:
    words = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, family))
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    return cv2.aruco.ArucoDetector(words, parameters)


def _reduced(image: GreyImage) -> tuple[U8, int]:
    """A picture of about `MARKER_SIDE`, and by which factor it was reduced."""
    halvings = image.halvings_to(round(1.6 * MARKER_SIDE), least=0)
    return image.halved(halvings), 2**halvings


def _find_aruco(image: GreyImage, detector: Any) -> dict[int, F64]:
    grey, factor = _reduced(image)
    corners, numbers, _ = detector.detectMarkers(grey)
    if numbers is None:
        return {}
    return {
        int(number): (np.asarray(each, np.float64).reshape(4, 2) + 0.5) * factor
        for number, each in zip(np.ravel(numbers), corners, strict=True)
    }


def _find_squares(image: GreyImage) -> F64:
    """The middles of solid dark squares, ``[N, 2]`` pixels, the largest first."""
    grey, factor = _reduced(image)
    side = max(3, max(grey.shape) // 12 | 1)
    dark = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, side, 25
    )
    contours, _ = cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found: list[tuple[float, float, float]] = []
    for contour in contours:
        area = cv2.contourArea(contour)
        if not 30 < area < 0.003 * grey.size:
            continue
        (x, y), (width, height), _ = cv2.minAreaRect(contour)
        x0, y0, w, h = cv2.boundingRect(contour)
        filled = cv2.countNonZero(dark[y0 : y0 + h, x0 : x0 + w])
        even = min(width, height) > 0.7 * max(width, height)
        if even and area > 0.82 * width * height and filled > 0.9 * area:
            found.append((area, (x + 0.5) * factor, (y + 0.5) * factor))
    found.sort(reverse=True)
    return np.array([place[1:] for place in found[:MAX_SQUARES]], np.float64).reshape(-1, 2)


def _corner_squares(squares: F64, size: Sequence[int]) -> F64:
    """The squares that are in the four corners, clockwise from the upper left; else none."""
    chosen = []
    for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
        if not len(squares):
            break
        away = np.abs(squares / np.array(size) - np.array((x, y))).max(1)
        if away.min() <= MAX_CORNER_DISTANCE:
            chosen.append(squares[away.argmin()])
    return np.array(chosen) if len(chosen) == 4 else np.empty((0, 2))


def _outer_four(squares: F64) -> F64:
    """The squares with the least and the greatest x + y and x - y, clockwise from the upper left.

    Empty where these are not four, as near 45 degrees of rotation.
    """
    if len(squares) < 4:
        return np.empty((0, 2))
    sums, differences = squares.sum(1), squares[:, 0] - squares[:, 1]
    places = [int(sums.argmin()), int(differences.argmax()), int(sums.argmax()),
              int(differences.argmin())]  # fmt: skip
    return squares[places] if len(set(places)) == 4 else np.empty((0, 2))
