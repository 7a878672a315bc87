"""Training samples for the line reader: rows of synthetic pages, as the reader lays them out.

Pages are composed of MNIST's training digits (`digitkit.training.scenes`), the shipped detector and
classifier find the digits of each, and the strip of every row that they find is a sample: with its
signs and words, with digits that were missed, and of rows that are no numbers at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from digitkit.arrays import F32, U8
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage
from digitkit.models.classifier import Classifier
from digitkit.reading.detection.detections import MIN_REPORTED, Detection
from digitkit.reading.detection.single import is_page
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    DIGIT_HEIGHT,
    HEIGHT,
    LETTER,
    NONE,
    POINT,
    SIGN,
    SPOILED,
)
from digitkit.reading.results import group_by_row
from digitkit.reading.rows.layout import RowDigit
from digitkit.reading.rows.lines import lay_strip, to_input
from digitkit.reading.strategies import PageStrategy, classify_with, find_row_digits
from digitkit.system import atomic
from digitkit.system.progress import Progress
from digitkit.training.composing import StoredSamples, compose_all
from digitkit.training.scenes import spoiling
from digitkit.training.scenes.lines import LETTER as LETTER_SIGN
from digitkit.training.scenes.lines import compose_lines
from digitkit.training.scenes.scene import Scene, compose_scene

PAGE_SIDES = (250, 800)
"""Smallest and largest longer side of pages, pixels."""

LINE_FRACTION = 0.72
"""Fraction of the images that show only a few lines."""

SPOILED_SHARES = 0.4, 0.12
"""In this fraction of the images of lines digits are struck out or written over, and how likely
each is."""

LETTER_SHARES = 0.4, 0.3
"""In this fraction of the images of lines letters stand close to numbers, and how likely one stands
before each; see `compose_lines`."""

WEAK_CONFIDENCE = 0.05
"""In some images rows are made of all detections with at least this confidence."""

SAMPLE_WIDTH = 192
"""Width of a sample, pixels."""

MAX_MIDDLE_DISTANCE = 3
"""A column at most this far from a digit's middle belongs to it, pixels."""

MAX_EITHER_DISTANCE = 5
"""Up to this distance either answer is accepted, pixels."""

MAX_DIGIT_OFFSET = 0.45
"""The middle of a row's digit is at most this far above or below the row's, in heights."""

MAX_SIGN_OFFSET = 0.6
"""The middle of a row's sign is at most this far above or below the row's, in heights."""

OTHER_ROW = 0.75
"""From this distance on it is another row's, in heights."""

DIGIT_SIZES = (0.5, 1.8)
"""Sizes of a row's digits, in heights."""

SIGN_LABELS = {".": POINT, ",": POINT, spoiling.SPOILED: SPOILED, LETTER_SIGN: LETTER}
"""Labels of signs; of all others `SIGN`."""

IGNORED_LABEL = -1
"""Label of a column for which either answer is accepted."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LineStrip:
    """A row as the line reader sees it.

    Attributes:
        ink: uint8 ``[HEIGHT, W]``.
        digits: float32 ``[N, 5]``: of each digit or sign near it, the x coordinate of its middle,
            pixels; how far that is below the row's, in heights; width and height, pixels; and its
            value: the digit, `SIGN`, `POINT`, `SPOILED`, `LETTER`, or `IGNORED_LABEL` if the border
            cuts it.
    """

    ink: U8
    digits: F32


def cut_out_lines(data: DigitData, scenes: int, seed: int, progress: Progress) -> list[LineStrip]:
    """Compose images, and lay out the rows that are found in each: about three of each.

    As many processes as torch may use threads compose them, about ten images a second each; how
    many there are does not change the result.

    Args:
        data: the digits that are written.
        scenes: how many images.
        seed: the same seed gives the same rows.
        progress: called after each image.

    Raises:
        ModelError: the shipped detector or classifier is missing.
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    Detector()  # here, too, where an error is seen as it is
    found = compose_all(_Scenes(data, scenes, seed), scenes, "composing lines", progress)
    return list(itertools.chain.from_iterable(found))


class _Scenes(Dataset[list[LineStrip]]):
    """Images by their number, and the rows that are found in each."""

    def __init__(self, data: DigitData, scenes: int, seed: int) -> None:
        self._data, self._scenes, self._seed = data, scenes, seed

    @cached_property
    def _strategy(self) -> PageStrategy:
        return PageStrategy(Detector())  # of each process, as a session cannot be sent to it

    def _detect(self, image: GreyImage) -> list[Detection]:
        """What may be digits; on a page, not the whole image as one."""
        detections = self._strategy.detect(image)
        others = [detection for detection in detections if not detection.whole_image]
        return others if is_page(others) else detections

    @cached_property
    def _classifier(self) -> Classifier:
        return Classifier("digits")

    def __len__(self) -> int:
        return self._scenes

    def __getitem__(self, number: int) -> list[LineStrip]:
        rng = np.random.default_rng([self._seed, number])
        images, labels = self._data.images, self._data.labels
        if rng.random() < LINE_FRACTION:
            pages, own = SPOILED_SHARES
            spoiled = own if rng.random() < pages else 0
            pages, own = LETTER_SHARES
            letters = own if rng.random() < pages else 0
            scene = compose_lines(images, labels, rng, spoiled=spoiled, letters=letters)
        else:
            scene = compose_scene(images, labels, rng, sides=PAGE_SIDES)
        grey = GreyImage.from_pixels(scene.image)
        found = classify_with(self._classifier, self._detect(grey))
        least = WEAK_CONFIDENCE if rng.random() < 0.3 else MIN_REPORTED
        row_digits, _ = find_row_digits(
            found, self._classifier.min_confidence, max(grey.shape), least
        )
        rows = (_cut_out(grey, own, scene) for own in group_by_row(row_digits).values())
        return [row for row in rows if row is not None]


def _cut_out(image: GreyImage, row_digits: Sequence[RowDigit], scene: Scene) -> LineStrip | None:
    strip = lay_strip(image, row_digits)
    if strip.ink is None:
        return None
    ink = to_input(strip.ink)
    signs = [SIGN_LABELS.get(kind, SIGN) for _, kind in scene.signs]
    boxes = [*(box for box, _ in scene.signs), *scene.boxes, *scene.cut]
    if not boxes:
        return LineStrip(ink, np.empty((0, 5), np.float32))
    scale = HEIGHT / strip.shape[0]
    places = strip.locate(boxes)
    sizes = np.array(boxes, np.float64)[:, 2:] * strip.unit / strip.digit_height
    values = [*signs, *scene.digits, *[IGNORED_LABEL] * len(scene.cut)]
    digits = np.column_stack([places[:, 0] * scale, places[:, 1], sizes * scale, values])
    near = (np.abs(digits[:, 1]) < 1.2) & (np.abs(digits[:, 0] - ink.shape[1] / 2) < ink.shape[1])
    return LineStrip(ink, digits[near].astype(np.float32))


class LineSamples(StoredSamples[tuple[U8, Labels, Labels]]):
    """A part of a strip, varied, and what each of its columns shows; from `write_strips`."""

    @cached_property
    def _strips(self) -> list[LineStrip]:
        return read_strips(self.path)  # of each process

    def __getitem__(self, number: int) -> tuple[U8, Labels, Labels]:
        rng = self.randomness(number)
        return vary(self._strips[int(rng.integers(len(self._strips)))], rng)


def vary(strip: LineStrip, rng: np.random.Generator) -> tuple[U8, Labels, Labels]:
    """Cut a part out of a strip at random, stretched, moved, slanted, lighter or noisy.

    Returns:
        The ink, uint8 ``[HEIGHT, SAMPLE_WIDTH]``, and for each column what it is the middle of: a
        digit, `SIGN`, `POINT` or `NONE`; or `IGNORED_LABEL`; int64
        ``[SAMPLE_WIDTH / COLUMN_STRIDE]``. And what `label_doubts` returns.
    """
    across, down = np.exp(rng.normal(0, 0.1)), np.exp(rng.normal(0, 0.05))
    shift, slant = rng.normal(0, 1.5), rng.normal(0, 0.08)
    left = rng.uniform(-40, max(strip.ink.shape[1] * across - SAMPLE_WIDTH + 40, -39))
    matrix = np.array(
        [
            [across, slant, -left - slant * HEIGHT / 2],
            [0, down, HEIGHT / 2 * (1 - down) + shift],
        ]
    )
    ink = cv2.warpAffine(strip.ink, matrix, (SAMPLE_WIDTH, HEIGHT)).astype(np.float32)
    ink *= np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.3:
        ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 1.2)).astype(np.float32)
    if rng.random() < 0.5:
        ink += rng.normal(0, rng.uniform(0, 14), ink.shape)
    if rng.random() < 0.1:
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        ink = change(ink, np.ones((2, 2), np.uint8)).astype(np.float32)
    digits = strip.digits * np.array([across, 1, across, down, 1], np.float32)
    digits[:, 0] -= left
    return np.clip(ink, 0, 255).astype(np.uint8), label_columns(digits), label_doubts(digits)


def label_columns(digits: F32) -> Labels:
    """What each column of a sample shows; `digits` as those of `LineStrip`."""
    columns = np.arange(SAMPLE_WIDTH // COLUMN_STRIDE) * COLUMN_STRIDE + COLUMN_STRIDE / 2
    labels = np.full(len(columns), NONE, np.int64)
    for x, y, width, height, value in digits.tolist():
        distance = np.abs(columns - x)
        if abs(y) > OTHER_ROW or value == LETTER:
            continue
        if value in (SIGN, POINT):
            if y > 0 if value == POINT else abs(y) <= MAX_SIGN_OFFSET:
                labels[distance <= MAX_MIDDLE_DISTANCE] = int(value)
            continue
        size = max(height, width / 2) / DIGIT_HEIGHT
        is_partly_outside = x < width / 4 or x > SAMPLE_WIDTH - width / 4
        fits = abs(y) <= MAX_DIGIT_OFFSET and DIGIT_SIZES[0] <= size <= DIGIT_SIZES[1]
        if value in (IGNORED_LABEL, SPOILED) or not fits or is_partly_outside:
            labels[distance <= max(MAX_EITHER_DISTANCE, width / 2)] = IGNORED_LABEL
            continue
        labels[(distance <= MAX_EITHER_DISTANCE) & (labels >= SIGN)] = IGNORED_LABEL
        labels[distance <= MAX_MIDDLE_DISTANCE] = int(value)
    return labels


def label_doubts(digits: F32) -> Labels:
    """In which columns a digit is struck out or written over, and in which a letter stands.

    Args:
        digits: as those of `LineStrip`.

    Returns:
        For either, 1, 0 where the row has a digit instead, or `IGNORED_LABEL`;
        int64 ``[2, SAMPLE_WIDTH / COLUMN_STRIDE]``.
    """
    columns = np.arange(SAMPLE_WIDTH // COLUMN_STRIDE) * COLUMN_STRIDE + COLUMN_STRIDE / 2
    labels = np.full((2, len(columns)), IGNORED_LABEL, np.int64)
    for x, y, _, _, value in digits.tolist():
        near = np.abs(columns - x) <= MAX_MIDDLE_DISTANCE
        for own, kind in zip(labels, (SPOILED, LETTER), strict=True):
            if abs(y) <= MAX_DIGIT_OFFSET and (0 <= value < SIGN or value == kind):
                own[near] = np.maximum(own[near], int(value == kind))
    return labels


def write_strips(path: Path, strips: Sequence[LineStrip]) -> None:
    """Write strips into a file.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic.replace_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            ink=np.concatenate([strip.ink for strip in strips], axis=1),
            widths=np.array([strip.ink.shape[1] for strip in strips], np.int64),
            digits=np.concatenate([strip.digits for strip in strips]),
            counts=np.array([len(strip.digits) for strip in strips], np.int64),
        )


def read_strips(path: Path) -> list[LineStrip]:
    """Read strips from a file that `write_strips` wrote."""
    with np.load(path) as data:
        inks = np.split(data["ink"], np.cumsum(data["widths"])[:-1], axis=1)
        digits = np.split(data["digits"], np.cumsum(data["counts"])[:-1])
    # Copies, as OpenCV reads no part of an array whose last row is over 2 GiB after its first.
    return [
        LineStrip(np.ascontiguousarray(ink), own) for ink, own in zip(inks, digits, strict=True)
    ]
