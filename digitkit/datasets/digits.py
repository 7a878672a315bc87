"""Labelled digits as arrays, and how they are split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Labels
from digitkit.errors import DatasetError

Images = U8
"""uint8 ``[N, 28, 28]`` or ``[28, 28]``, in MNIST's normal form."""

Split = Literal["train", "test"]


@dataclass(frozen=True)
class DigitData:
    """Digits with their labels.

    Attributes:
        images: uint8 ``[N, 28, 28]``, in MNIST's normal form: ink bright (255) on dark (0).
        labels: uint8 ``[N]``, 0 to 9.
        name: what the data is, for reports: ``MNIST test``, ``my-digits``.
        digest: SHA-256 of shape, pixels and labels: the same data has the same digest.
    """

    images: Images
    labels: Labels
    name: str
    digest: str

    def __len__(self) -> int:
        """Number of digits."""
        return len(self.labels)

    def take(self, index: npt.NDArray[np.int64], name: str | None = None) -> DigitData:
        """Select the digits at `index` (int64 ``[M]``), in that order; `name` renames them."""
        return digit_data(self.images[index], self.labels[index], name or self.name)


def digit_data(images: Images, labels: Labels, name: str) -> DigitData:
    """Make a `DigitData` from arrays, checking them and computing the digest.

    Args:
        images: uint8 ``[N, 28, 28]``.
        labels: uint8 ``[N]``, 0 to 9.
        name: what the data is.

    Raises:
        DatasetError: shapes, dtypes or labels are wrong.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise DatasetError(
            f"images must be uint8 [N, 28, 28], got {images.dtype} {list(images.shape)}",
            subject=name,
        )
    if labels.shape != (len(images),):
        raise DatasetError(
            f"has {len(images)} images but labels of shape {list(labels.shape)}", subject=name
        )
    if len(labels) == 0:
        raise DatasetError("contains no digits", subject=name)
    if int(labels.max()) > 9:
        raise DatasetError(f"labels must be 0 to 9, got {int(labels.max())}", subject=name)
    digest = hashlib.sha256()
    digest.update(repr(images.shape).encode())
    digest.update(images.tobytes())
    digest.update(labels.tobytes())
    return DigitData(images, labels, name, digest.hexdigest())


@dataclass(frozen=True)
class TrainAndTest:
    """A training set and a test set that have no image in common."""

    train: DigitData
    test: DigitData


VALIDATION = 1 / 12
"""The fraction of the training images that is split off for validation."""

SPLIT_SEED = 2
"""The seed of that split, whatever the seed of the training: trainings that validate leave the same
digits of MNIST unseen, and those with different seeds are compared on the same images."""


def stratified_split(
    labels: Labels, fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split indices in two, with the same proportion of each class.

    Args:
        labels: uint8 ``[N]``.
        fraction: of the second part, 0 to 1 (exclusive); a class with two or more members gives
            at least one to it.
        seed: the same seed gives the same split.

    Returns:
        Two sorted int64 arrays of indices: what is kept, and what is split off.
    """
    rng = np.random.default_rng(seed)
    off = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(len(members) * fraction)
        if fraction > 0 and len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        off.append(rng.permutation(members)[:count])
    second = np.sort(np.concatenate(off)).astype(np.int64)
    first = np.setdiff1d(np.arange(len(labels), dtype=np.int64), second)
    return first, second
