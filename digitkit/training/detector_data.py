"""Training samples for the detector, cut out of scenes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import IterableDataset

from digitkit.arrays import F32, U8
from digitkit.datasets.mnist import split_mnist
from digitkit.images.convert import to_grey
from digitkit.images.cv import cv2
from digitkit.reading.networks.detector import CENTRE_STRIDE, INK_STRIDE
from digitkit.training.scenes.lines import compose_lines
from digitkit.training.scenes.page import draw_log_uniform
from digitkit.training.scenes.scene import Scene, compose_scene

CROP_SIDE = 320
"""Side of the crops that are trained on, pixels."""

FOUND_SIDES = (9, 140)
"""Smallest and largest side of digits that the net must find, pixels; larger ones are found in a
reduced image. Up to 1.5 times the largest side, either answer is accepted."""

LINE_SHARE = 0.2
"""Share of scenes that show lines of numbers, with signs, dates and units close to them."""

ENLARGED_SHARE = 0.3
"""Share of scenes whose crops are enlarged: to large heavy digits, and blurred ones as of small
images."""

SCALES, ENLARGEMENTS = (0.55, 1.2), (1.2, 2.6)
"""Smallest and largest scale of crops, and of enlarged ones."""

MIXED_SAMPLES = 64
"""Samples that wait in each worker to be mixed."""

Sample = tuple[U8, F32, F32,
               F32, F32]  # fmt: skip
"""Image uint8 ``[CROP_SIDE, CROP_SIDE]``; ink of digits and other ink, 0 or 1, float32 at 1/2 of
the size; nearness of a centre 0–1, or -1 if it does not matter, at 1/4; and ``[5, …]`` at 1/4: the
logarithms of the distances to the left, top, right and bottom of the box in cells, and 1 where they
are to be learnt."""


def cut_samples(scene: Scene, rng: np.random.Generator, count: int) -> Iterator[Sample]:
    """Cut `count` crops out of a scene, at a random scale, with what the net should predict."""
    scales = ENLARGEMENTS if rng.random() < ENLARGED_SHARE else SCALES
    ratio = draw_log_uniform(rng, *scales)
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    plain = to_grey(scene.image)
    size = (max(16, round(plain.shape[1] * ratio)), max(16, round(plain.shape[0] * ratio)))
    plain, ink, other = (
        np.asarray(cv2.resize(x, size, interpolation=how), np.uint8)
        for x in (plain, scene.ink, scene.other)
    )
    boxes = np.array([*scene.boxes, *scene.cut], np.float32).reshape(-1, 4) * ratio
    for _ in range(count):
        x = int(rng.integers(0, max(1, size[0] - CROP_SIDE + 1)))
        y = int(rng.integers(0, max(1, size[1] - CROP_SIDE + 1)))
        if rng.random() < 0.1:
            x, y = x - int(rng.integers(0, 40)), y - int(rng.integers(0, 40))
        yield make_sample(plain, ink, other, boxes, x, y)


def make_sample(
    plain: U8,
    ink: U8,
    other: U8,
    boxes: F32,
    x: int,
    y: int,
) -> Sample:
    """Cut one crop and compute what the net should predict for it.

    Args:
        plain: uint8 ``[H, W]``, grey levels.
        ink: uint8 ``[H, W]``, how much a pixel is ink of a digit.
        other: uint8 ``[H, W]``, how much a pixel is other ink.
        boxes: float32 ``[N, 4]``, x, y, width and height of the digits, pixels.
        x: left side of the crop, pixels; may lie outside of the image.
        y: its top.
    """
    image = _crop(plain, x, y, cv2.BORDER_REPLICATE)
    stroke, other_stroke = (_shrink(_crop(a, x, y, cv2.BORDER_CONSTANT)) for a in (ink, other))
    side = CROP_SIDE // CENTRE_STRIDE
    heat, reach = np.zeros((side, side), np.float32), np.zeros((5, side, side), np.float32)
    either = np.zeros((side, side), bool)
    at = np.arange(side, dtype=np.float32) + 0.5
    for bx, by, bw, bh in boxes:
        left, top = max(bx - x, 0.0) / CENTRE_STRIDE, max(by - y, 0.0) / CENTRE_STRIDE
        right, bottom = (
            min(bx + bw - x, CROP_SIDE) / CENTRE_STRIDE,
            min(by + bh - y, CROP_SIDE) / CENTRE_STRIDE,
        )
        w, h = right - left, bottom - top
        if w <= 0 or h <= 0 or w * h * CENTRE_STRIDE**2 < 0.3 * bw * bh:
            continue
        size = float(max(bw, bh))
        if not FOUND_SIDES[0] <= size <= FOUND_SIDES[1]:
            if size < 1.5 * FOUND_SIDES[1]:
                either[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
            continue
        dx, dy = at - (left + right) / 2, at - (top + bottom) / 2
        # In proportion to the digit: a 1 has a narrow centre.
        sx, sy = max(0.7, 0.14 * w), max(0.7, 0.14 * h)
        spot = np.exp(-(dx[None, :] ** 2) / (2 * sx**2) - dy[:, None] ** 2 / (2 * sy**2))
        # The cell that contains the centre is the one that must be found.
        spot[min(int((top + bottom) / 2), side - 1), min(int((left + right) / 2), side - 1)] = 1
        near = (spot > 0.3) & (spot > heat)
        values = np.stack(np.broadcast_arrays(
            at[None, :] - left, at[:, None] - top, right - at[None, :], bottom - at[:, None]
        ))  # fmt: skip
        reach[:4, near] = np.log(np.maximum(values, 0.3))[:, near]
        reach[4, near] = 1
        heat = np.maximum(heat, spot)
    heat[either & (heat < 0.5)] = -1
    return image, stroke, other_stroke, heat, reach


def _shrink(ink: U8) -> F32:
    side = CROP_SIDE // INK_STRIDE
    small = cv2.resize(ink, (side, side), interpolation=cv2.INTER_AREA)
    return (small > 60).astype(np.float32)


def _crop(image: U8, x: int, y: int, border: int) -> U8:
    """A square of `CROP_SIDE` from (x, y), extended by OpenCV's `border` outside of the image."""
    h, w = image.shape
    left, top = max(-x, 0), max(-y, 0)
    right, bottom = max(x + CROP_SIDE - w, 0), max(y + CROP_SIDE - h, 0)
    part = image[max(y, 0) : y + CROP_SIDE, max(x, 0) : x + CROP_SIDE]
    return np.asarray(cv2.copyMakeBorder(part, top, bottom, left, right, border, value=0), np.uint8)


class SceneSamples(IterableDataset[Sample]):
    """An endless stream of samples; the same seed and number of workers give the same ones."""

    def __init__(self, seed: int, first: int = 0) -> None:
        """Start with scene number `first` of each worker."""
        self.seed, self.first = seed, first

    def __iter__(self) -> Iterator[Sample]:
        """Compose scenes and lines, two samples of each at two scales; every worker has its own.

        They are mixed with those of other scenes, so that a batch shows many.
        """
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        worker = info.id if info else 0
        mnist = split_mnist()[0]
        waiting: list[Sample] = []
        for i in itertools.count(self.first):
            rng = np.random.default_rng([self.seed, worker, i])
            if rng.random() < LINE_SHARE:
                scene = compose_lines(mnist.images, mnist.labels, rng)
            else:
                scene = compose_scene(mnist.images, mnist.labels, rng, sides=(300, 720))
            for _ in range(2):
                waiting += cut_samples(scene, rng, 2)
            while len(waiting) > MIXED_SAMPLES:
                yield waiting.pop(int(rng.integers(len(waiting))))
