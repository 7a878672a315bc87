"""Registration: where a form lies in a picture, found by its own print or by markers.

A first guess comes from markers, else from features of the print (ORB, Rublee et al., ICCV 2011;
where that fails SIFT, Lowe, IJCV 2004, at last on a finer scale) and a robust homography
(MAGSAC++, Barath et al., CVPR 2020). It is refined by looking for many small parts of the reference
near where they should be, which also shows how the sheet is bent, and whether it is this form at
all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, U8, Box
from digitkit.forms.registration.geometry import Placement, are_inside, fit_bend
from digitkit.forms.registration.markers import Markers
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage, reduce_to, resize_to
from digitkit.reading.confidence import format_confidence

FINE_SIDE = 877
"""Longer side of the reference where parts of it are looked for, pixels: A4 at 75 dots per inch."""

PART_SIDE = 31
"""Side of a part of the reference that is looked for, pixels of the fine reference."""

SEARCH_RADII = (16, 6, 3)
"""How far from its place a part is looked for, round by round, pixels of the fine reference."""

PART_GRID = (11, 15)
"""Parts are chosen from so many places across the shorter and along the longer side."""

MIN_PARTS = 12
"""Fewest parts of a reference that can be looked for."""

FIELD_DISTANCE = PART_SIDE // 2
"""Parts whose middle is at most this far from a field may be written over, pixels of the fine
reference; where there are enough others, these alone tell whether it is this form."""

MIN_CORRELATION = 0.45
"""Least correlation of a part with what is found in its place."""

MIN_SCORE, MIN_SCORE_WRITTEN = 0.7, 0.55
"""Least share of the parts that must be found for a picture to be this form; and where nearly all
that it can show are beside fields, so that handwriting may hide some."""

SCORE_MARGIN = 0.13
"""A guess whose score is this much above its minimum ends the search."""

MAX_RESIDUAL = 1.5
"""Greatest distance of the parts from where they should be, root mean square, in thousandths of the
reference's longer side: half a millimetre of A4."""

MIN_FOUND_PARTS = 0.45
"""Where at least this share of the parts is found in all regions, it is handwriting that moves them
further."""

REGIONS, MIN_REGION = (3, 4), 6
"""Regions of the reference, across and down; those with fewer parts in the picture do not count."""

MIN_PICTURE_SIDE = 64
"""Least side of a picture in which features are looked for, pixels, as it was reduced."""

ENOUGH_FEATURES = 8
"""Fewest features that must agree."""

MIN_CONTRAST = 0.01
"""Contrast threshold of SIFT, which OpenCV divides by its 3 layers an octave; scale 0–1. Pale print
has less contrast than the usual threshold of 0.04."""


@dataclass(frozen=True)
class Registration:
    """Where a form lies in a picture.

    Attributes:
        placement: from the reference to the picture.
        residual: how far parts of the print are from where they should be, root mean square, in
            pixels of the reference.
        score: share of the parts of the print that were found, 0–1, weighted by how alike they are.
        method: what the first guess came from: ``markers``, ``squares``, ``print``.
        min_score: the least score of this form in this picture.
        least_found: the share of the parts that were found, 0–1, in the region where it is least.
    """

    placement: Placement
    residual: float
    score: float
    method: str
    min_score: float
    least_found: float

    @property
    def fault(self) -> str | None:
        """Why the form cannot be read there, in words; None if it can be."""
        if self.score < self.min_score:
            return (
                f"only {format_confidence(self.score, 0)} of its print was found, at least "
                f"{self.min_score:.0%} must be"
            )
        if self.residual > self.limit and self.least_found < MIN_FOUND_PARTS:
            return (
                f"its print is {self.residual:.2f} pixels of the reference off its place, at most "
                f"{self.limit:.2f} are allowed"
            )
        return None

    @property
    def limit(self) -> float:
        """The greatest residual of a form that is in place, pixels of the reference."""
        return MAX_RESIDUAL * max(self.placement.shape) / 1000

    @property
    def is_in_place(self) -> bool:
        """Whether it has no fault, and its residual is at most `limit`."""
        return not self.fault and self.residual <= self.limit

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """Compares registrations: without a fault, then in place, then by score."""
        return not self.fault, self.is_in_place, self.score


@dataclass(frozen=True)
class Features:
    """Features of a picture.

    Attributes:
        points: float64 ``[N, 2]``, pixels of the whole picture.
        descriptors: of each, ``[N, D]``.
    """

    points: F64
    descriptors: Any = field(repr=False)


class ImageFeatures:
    """A picture to register, and its features, each found when first asked for.

    Attributes:
        image: the picture.
    """

    def __init__(self, image: GreyImage) -> None:
        """Find nothing yet."""
        self.image = image
        self._found: dict[str, Features] = {}

    def features(self, kind: str) -> Features:
        """Its features: of a kind of `FEATURE_SIDES`."""
        if kind not in self._found:
            self._found[kind] = find_features(self.image, kind, FEATURE_SIDES[kind][1])
        return self._found[kind]


FEATURE_SIDES = {"orb": (700, 800), "sift": (800, 900), "fine": (1000, 1200)}
"""Kinds of features, the faster ones first; longer sides of the reference and of a picture in which
they are found, pixels."""

GUESS_ROUNDS = (("markers", "orb", "sift"), ("fine",))
"""Where first guesses come from, and what takes long and is left for pictures in which no form is
found otherwise."""


def find_features(image: GreyImage, kind: str, side: int) -> Features:
    """The features of a picture reduced to a longer side."""
    grey = image.halved(image.halvings_to(2 * side, least=0))
    grey = reduce_to(grey, side)
    if min(grey.shape) < MIN_PICTURE_SIDE:
        return Features(np.empty((0, 2)), None)
    library: Any = cv2  # whose type hints lack both
    finder = (
        library.ORB_create(1500, 1.2, 8, fastThreshold=10)
        if kind == "orb"
        else library.SIFT_create(1500, contrastThreshold=MIN_CONTRAST)
    )
    keys, descriptors = finder.detectAndCompute(grey, None)
    points = np.array([key.pt for key in keys], np.float64).reshape(-1, 2) + 0.5
    scale = np.array([grey.shape[1] / image.shape[1], grey.shape[0] / image.shape[0]])
    return Features(points / scale, descriptors)


class Registrar:
    """Finds one form in pictures.

    Attributes:
        shape: height and width of the reference, pixels.
    """

    def __init__(self, reference: U8, fields: Sequence[Box] = ()) -> None:
        """Look at the reference; see `is_usable`.

        Args:
            reference: uint8 ``[H, W]``.
            fields: where handwriting may hide its print, pixels of it.
        """
        self.shape = reference.shape[0], reference.shape[1]
        self._image = GreyImage.from_pixels(reference)
        self._markers = Markers(reference)
        self._features: dict[str, Features] = {}
        self._ratio = min(1.0, FINE_SIDE / max(self.shape))
        fine = cv2.GaussianBlur(resize_to(reference, self._ratio), (0, 0), 0.7)
        self._fine = np.asarray(fine, np.uint8)
        free = _free_of(fields, self._fine.shape, self._ratio)
        self._places, self._is_free = _choose_parts(self._fine, free)

    @property
    def is_usable(self) -> bool:
        """Whether the reference has enough print to find it by."""
        return len(self._places) >= MIN_PARTS

    def register(
        self, picture: ImageFeatures, kinds: Sequence[str] = GUESS_ROUNDS[0]
    ) -> Registration | None:
        """Find the form in a picture; None where it is not there.

        What is returned may have a `Registration.fault`.

        Args:
            picture: the picture.
            kinds: what first guesses come from: ``markers``, and keys of `FEATURE_SIDES`.
        """
        best: Registration | None = None
        for kind in kinds:
            for guess, method in self._guesses(picture, kind):
                if not guess.is_plausible(picture.image.shape):
                    continue
                found = self._refine(picture.image, guess, method)
                if found is not None and is_better(found, best):
                    best = found
                    if found.score >= found.min_score + SCORE_MARGIN and found.is_in_place:
                        return best  # no other guess would be better
        return best

    def _guesses(self, picture: ImageFeatures, kind: str) -> Iterator[tuple[Placement, str]]:
        """Where the form may lie by its markers, or by features of a kind of `FEATURE_SIDES`."""
        if kind == "markers":
            for homography, method in self._markers.find(picture.image):
                yield Placement.flat(homography, self.shape), method
            return
        if kind not in self._features:
            self._features[kind] = find_features(self._image, kind, FEATURE_SIDES[kind][0])
        found = _match(self._features[kind], picture.features(kind), picture.image.shape)
        if found is not None:
            yield Placement.flat(found, self.shape), "print"

    def _refine(self, image: GreyImage, guess: Placement, method: str) -> Registration | None:
        """Look for the parts of the print, and fit the bend to where they are."""
        placement, score, residual = guess, 0.0, np.inf
        points = (self._places + 0.5) / self._ratio
        whole = (0.0, 0.0, float(self.shape[1]), float(self.shape[0]))
        for reach in SEARCH_RADII:
            sampled = cv2.GaussianBlur(placement.sample(image, whole, self._ratio), (0, 0), 0.7)
            size = self._fine.shape[1], self._fine.shape[0]
            if sampled.shape != self._fine.shape:
                sampled = cv2.resize(sampled, size, interpolation=cv2.INTER_LINEAR)
            moved, alike = _find_parts(
                self._fine, np.asarray(sampled, np.uint8), self._places, reach
            )
            inside = are_inside(placement.to_picture(points), image.shape)
            good = inside & (alike >= MIN_CORRELATION)
            if good.sum() < max(MIN_PARTS, 0.25 * inside.sum()) or inside.mean() < 0.5:
                return None
            moved = moved / self._ratio
            targets = moved + placement.bend_at(points + moved)
            bend, off = fit_bend(points[good], targets[good], alike[good], self.shape)
            placement = replace(placement, bend=bend)
            near = off < 4e-3 * max(self.shape)
            counted = inside & self._is_free
            is_enough = counted.sum() >= MIN_PARTS
            if not is_enough:
                counted = inside
            found = np.zeros_like(good)
            found[good] = near
            score = float(alike[found & counted].sum() / max(1, counted.sum()))
            residual = float(np.sqrt((off[near] ** 2).mean())) if near.any() else np.inf
        min_score = MIN_SCORE if is_enough else MIN_SCORE_WRITTEN
        least_found = _least_found(self._places / self._fine.shape[::-1], found, inside)
        return Registration(placement, residual, score, method, min_score, least_found)


def is_better(found: Registration, best: Registration | None) -> bool:
    """Whether a registration is better than the best one before; see `Registration.rank`."""
    return best is None or found.rank > best.rank


def _match(reference: Features, picture: Features, shape: tuple[int, int]) -> F64 | None:
    """The homography that most features agree with, by Lowe's ratio test and MAGSAC++."""
    if picture.descriptors is None or reference.descriptors is None:
        return None
    if min(len(picture.points), len(reference.points)) < ENOUGH_FEATURES:
        return None
    binary = picture.descriptors.dtype == np.uint8
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING if binary else cv2.NORM_L2)
    pairs = matcher.knnMatch(picture.descriptors, reference.descriptors, 2)
    close = [
        a for a, b in (pair for pair in pairs if len(pair) == 2) if a.distance < 0.85 * b.distance
    ]
    if len(close) < ENOUGH_FEATURES:
        return None
    source = reference.points[[match.trainIdx for match in close]]
    target = picture.points[[match.queryIdx for match in close]]
    limit = 8e-3 * max(shape)
    cv2.setRNGSeed(0)
    homography, agree = cv2.findHomography(
        source, target, cv2.USAC_MAGSAC, limit, maxIters=3000, confidence=0.999
    )
    if homography is None or int(agree.sum()) < ENOUGH_FEATURES:
        return None
    return np.asarray(homography, np.float64)


def _free_of(fields: Sequence[Box], shape: tuple[int, ...], ratio: float) -> npt.NDArray[np.bool_]:
    """Which pixels of the fine reference are not beside a field, bool ``[h, w]``."""
    free = np.ones(shape, bool)
    for x, y, w, h in fields:
        left, top = (max(0, round(side * ratio) - FIELD_DISTANCE) for side in (x, y))
        right, down = (round(side * ratio) + FIELD_DISTANCE for side in (x + w, y + h))
        free[top:down, left:right] = False
    return free


def _choose_parts(fine: U8, free: npt.NDArray[np.bool_]) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Choose parts of the print that can be found in both directions, not in fields if possible.

    Args:
        fine: the fine reference, uint8 ``[h, w]``.
        free: where nobody writes, bool ``[h, w]``.

    Returns:
        The x and y of their middles, float64 ``[N, 2]``, and which are in `free`.
    """
    strength = cv2.cornerMinEigenVal(fine, PART_SIDE // 2, ksize=3)
    margin = PART_SIDE // 2 + 1
    strength[:margin], strength[-margin:], strength[:, :margin], strength[:, -margin:] = 0, 0, 0, 0
    height, width = fine.shape
    down, across = PART_GRID[::-1] if height >= width else PART_GRID
    rows = np.linspace(0, height, down + 1).astype(int)
    columns = np.linspace(0, width, across + 1).astype(int)
    least = max(0.02 * float(strength.max()), 1e-7)
    strength[strength <= least] = 0
    found = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            whole, allowed = strength[top:bottom, left:right], free[top:bottom, left:right]
            cell = whole * allowed if (whole * allowed).any() else whole
            if cell.any():
                y, x = np.unravel_index(int(cell.argmax()), cell.shape)
                found.append((left + x, top + y, allowed[y, x]))
    places = np.array(found, np.float64).reshape(-1, 3)
    return places[:, :2], places[:, 2] > 0


def _least_found(places: F64, found: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]) -> float:
    """The share of the parts that were found, 0–1, in the region where it is least.

    Args:
        places: of the parts, 0–1 across and down, ``[N, 2]``.
        found: which were found, bool ``[N]``.
        inside: which the picture shows, bool ``[N]``.
    """
    across, down = REGIONS
    region = (places[:, 0] * across).astype(int) + across * (places[:, 1] * down).astype(int)
    shown, matched = (np.bincount(region, each, across * down) for each in (inside, found & inside))
    counts = shown >= MIN_REGION
    return float((matched[counts] / shown[counts]).min(initial=1.0))


def _find_parts(fine: U8, sampled: U8, places: F64, reach: int) -> tuple[F64, F64]:
    """Where each part is in a picture, relative to its place, and how alike it is there."""
    half = PART_SIDE // 2
    room = reach + half
    padded = cv2.copyMakeBorder(sampled, room, room, room, room, cv2.BORDER_REPLICATE)
    moved, alike = np.zeros((len(places), 2)), np.zeros(len(places))
    for i, (x, y) in enumerate(places.astype(int).tolist()):
        part = fine[y - half : y + half + 1, x - half : x + half + 1]
        around = padded[y : y + 2 * room + 1, x : x + 2 * room + 1]
        scores = np.asarray(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED), np.float32)
        _, best, _, (column, row) = cv2.minMaxLoc(scores)
        alike[i] = best if np.isfinite(best) else 0.0
        moved[i] = (
            column - reach + _peak(scores[row], column),
            row - reach + _peak(scores[:, column], row),
        )
    return moved, alike


def _peak(values: F32, place: int) -> float:
    """By how much the top of a parabola through a maximum and its neighbours is beside it."""
    if not 0 < place < len(values) - 1:
        return 0.0
    before, at, after = (float(values[place + step]) for step in (-1, 0, 1))
    curve = before - 2 * at + after
    return 0.5 * (before - after) / curve if curve < -1e-9 else 0.0
