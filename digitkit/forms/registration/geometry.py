"""Where a form's reference lies in a picture: a homography, and a smooth bend of the sheet.

Coordinates are continuous: a pixel's centre is at half its index more, so that a point of a picture
reduced to a ratio is that ratio times the point.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F64, U8
from digitkit.images.cv import cv2
from digitkit.images.grey import MAX_HALVINGS, GreyImage

BEND_DEGREE = 4
"""Of the polynomial that describes how a sheet is bent."""

MAP_STEP = 24
"""Maps are computed for one of so many pixels, across and down, and interpolated between them."""


@dataclass(frozen=True)
class Placement:
    """From the reference to the picture.

    A point ``p`` of the reference is at ``H (p + d(p))``, where ``d`` is a polynomial.

    Attributes:
        homography: float64 ``[3, 3]``, from pixels of the reference to pixels of the picture.
        bend: coefficients of ``d``, float64 ``[terms, 2]``, pixels of the reference.
        shape: height and width of the reference, pixels.
    """

    homography: F64 = field(repr=False)
    bend: F64 = field(repr=False)
    shape: tuple[int, int]

    @classmethod
    def flat(cls, homography: F64, shape: tuple[int, int]) -> Placement:
        """A placement without a bend."""
        return cls(homography, np.zeros((len(_TERMS), 2)), shape)

    def bend_at(self, points: F64) -> F64:
        """How far the bend moves points of the reference, ``[N, 2]`` pixels."""
        return polynomial(points, self.shape) @ self.bend

    def to_picture(self, points: F64) -> F64:
        """Where points of the reference are in the picture, ``[N, 2]`` pixels."""
        moved = points + self.bend_at(points)
        mapped = moved @ self.homography[:, :2].T + self.homography[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def scale(self) -> float:
        """Pixels of the picture per pixel of the reference, around its middle."""
        height, width = self.shape
        middle, side = np.array([width / 2, height / 2]), min(self.shape) / 4
        offsets = np.array([(-side, 0.0), (side, 0), (0, -side), (0, side)])
        at = self.to_picture(middle + offsets)
        across, down = np.linalg.norm(at[1] - at[0]), np.linalg.norm(at[3] - at[2])
        return float(np.sqrt(across * down) / (2 * side))

    def is_plausible(self, picture: tuple[int, int]) -> bool:
        """Whether it shows most of the form in a picture of this height and width, not mirrored."""
        height, width = self.shape
        corners = np.array([(0.0, 0.0), (width, 0), (width, height), (0, height)])
        weights = corners @ self.homography[2, :2] + self.homography[2, 2]
        if not np.isfinite(self.homography).all() or not (weights > 1e-3 * weights.max()).all():
            return False
        at = self.to_picture(corners)
        limit = 4.0 * max(picture)
        if not np.isfinite(at).all() or np.abs(at).max() > limit:
            return False
        turned = np.roll(at, -1, 0) - at
        following = np.roll(turned, -1, 0)
        convex = turned[:, 0] * following[:, 1] - turned[:, 1] * following[:, 0] > 0
        sides = np.linalg.norm(turned, axis=1)
        similar = sides.min() > 0.3 * sides.max() * min(self.shape) / max(self.shape)
        return bool(convex.all()) and bool(similar) and self.scale() * max(self.shape) >= 150

    def sample(
        self,
        image: GreyImage,
        box: tuple[float, float, float, float],
        ratio: float,
    ) -> U8:
        """A part of the picture as the reference would show it.

        Args:
            image: the picture.
            box: x, y, width and height in the reference.
            ratio: size of the result, in pixels per pixel of the reference.

        Returns:
            uint8 ``[h, w]``.
        """
        x, y, w, h = box
        size = max(1, round(w * ratio)), max(1, round(h * ratio))
        # The middles of squares of MAP_STEP pixels, one more on each side.
        columns, rows = (-(-side // MAP_STEP) + 2 for side in size)
        xs = x + (np.arange(columns) - 0.5) * MAP_STEP / ratio
        ys = y + (np.arange(rows) - 0.5) * MAP_STEP / ratio
        grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
        halvings = 0
        while halvings < MAX_HALVINGS and self.scale() / ratio >= 1.8 * 2**halvings:
            halvings += 1
        coarse = self.to_picture(grid) / 2**halvings - 0.5
        coarse = np.nan_to_num(coarse, nan=-1e4).clip(-1e4, 1e5).reshape(rows, columns, 2)
        maps = cv2.resize(
            coarse.astype(np.float32),
            (columns * MAP_STEP, rows * MAP_STEP),
            interpolation=cv2.INTER_LINEAR,
        )[MAP_STEP : MAP_STEP + size[1], MAP_STEP : MAP_STEP + size[0]]
        library: Any = cv2  # whose type hints lacked a second map of None before OpenCV 5.1
        sampled = library.remap(
            image.halved(halvings), maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(sampled, np.uint8)


def are_inside(points: F64, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which points, ``[N, 2]`` pixels, are in a picture of this height and width; ``[N]``."""
    return np.asarray(((points > 0) & (points < (shape[1], shape[0]))).all(1))


_TERMS = [(i, j) for i in range(BEND_DEGREE + 1) for j in range(BEND_DEGREE + 1 - i)]
"""Powers of x and y of the polynomial's terms."""


def polynomial(points: F64, shape: tuple[int, int]) -> F64:
    """The polynomial's terms at points of a reference of this shape, ``[N, terms]``."""
    height, width = shape
    side = max(shape) / 2
    x, y = (points[:, 0] - width / 2) / side, (points[:, 1] - height / 2) / side
    return np.stack([x**i * y**j for i, j in _TERMS], 1)


BEND_RIDGE = np.array([1e-4 if i + j < 2 else 0.02 * (i + j) for i, j in _TERMS])
"""How much less each term is taken for than the points say: less where few points say it."""


def fit_bend(points: F64, targets: F64, weights: F64, shape: tuple[int, int]) -> tuple[F64, F64]:
    """Fit a bend to displacements; outliers lose their weight (Tukey's biweight).

    Args:
        points: of the reference, ``[N, 2]`` pixels.
        targets: their displacements, ``[N, 2]`` pixels.
        weights: of the points, ``[N]``.
        shape: height and width of the reference.

    Returns:
        Coefficients, ``[terms, 2]``; and how far each point is off, ``[N]`` pixels.
    """
    terms = polynomial(points, shape)
    robust = np.ones(len(points))
    bend, off = np.zeros((terms.shape[1], 2)), np.zeros(len(points))
    for _ in range(6):
        weighted = terms * (weights * robust)[:, None]
        solved = np.linalg.solve(terms.T @ weighted + np.diag(BEND_RIDGE), weighted.T @ targets)
        bend = np.asarray(solved, np.float64)
        off = np.asarray(np.linalg.norm(targets - terms @ bend, axis=1), np.float64)
        limit = max(4.685 * 1.4826 * float(np.median(off)), 1e-3 * max(shape))
        robust = np.asarray(np.where(off < limit, (1 - (off / limit) ** 2) ** 2, 0), np.float64)
    return bend, off
