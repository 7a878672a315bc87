"""What is trained, validated and tested on; and MNIST mixed into a user's own images.

Trained on a hundred images of one hand alone, a net forgets all others. So MNIST's training images
are trained on as well, and the own ones are repeated until they are a part of each epoch.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitkit.datasets.corrections import is_corrections_folder, load_corrections
from digitkit.datasets.digits import (
    SPLIT_SEED,
    DigitData,
    Images,
    TrainAndTest,
    digit_data,
    stratified_split,
)
from digitkit.datasets.load import load_train_and_test
from digitkit.errors import DatasetError
from digitkit.system.progress import Progress, no_progress
from digitkit.training.page_digits import cut_out_digits, write_characters
from digitkit.training.recipes import Recipe

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingData:
    """The images of a training.

    Attributes:
        train: what is trained and validated on; where MNIST is mixed in, it comes first.
        test: what is tested on.
        own: the user's own training images where MNIST is mixed in; None where nothing is mixed.
        without_digit: the user's own images that show no digit, uint8 ``[M, 28, 28]``.
        mnist_test: MNIST's test set where MNIST is mixed in.
    """

    train: DigitData
    test: DigitData
    own: DigitData | None = None
    without_digit: Images = field(default_factory=lambda: np.empty((0, 28, 28), np.uint8))
    mnist_test: DigitData | None = None

    @property
    def without_digit_sha256(self) -> str:
        """SHA-256 of the images that show no digit."""
        return hashlib.sha256(self.without_digit.tobytes()).hexdigest()


def load_material(
    folder: Path | None, recipe: Recipe, *, progress: Progress = no_progress
) -> TrainingData:
    """Load what a recipe trains on.

    Args:
        folder: see `digitkit.datasets.load.load_train_and_test`; for a recipe that mixes MNIST in
            also a folder of corrections, of which MNIST's test set is the test set.
        recipe: how to train; says whether MNIST is mixed in.
        progress: called while images are read or downloaded.

    Raises:
        DatasetError, InputNotFoundError: as `load_train_and_test` raises; a folder of corrections
            has none of digits, or the recipe mixes MNIST in and there are no own images.
    """
    if not recipe.own:
        data = load_train_and_test(folder, progress=progress)
        return TrainingData(data.train, data.test)
    if folder is None:
        raise DatasetError(
            "is trained on anyway", subject="MNIST", hint="name your own images with --data"
        )
    mnist = load_train_and_test(None, progress=progress)
    own, without_digit = None, np.empty((0, 28, 28), np.uint8)
    if is_corrections_folder(folder):
        own, without_digit = load_corrections(folder)
        if own is None:
            raise DatasetError("has no corrections of digits", subject=str(folder))
        data = TrainAndTest(own, mnist.test)
    else:
        data = load_train_and_test(folder, progress=progress)
    images = np.concatenate([mnist.train.images, data.train.images])
    labels = np.concatenate([mnist.train.labels, data.train.labels])
    train = digit_data(images, labels, f"{mnist.train.name} and {data.train.name}")
    return TrainingData(train, data.test, data.train, without_digit, mnist.test)


def split_validation(data: DigitData, recipe: Recipe) -> tuple[DigitData, DigitData | None]:
    """Split a training set into what a recipe trains on and what it validates on.

    Returns:
        The two parts; the second is None if the recipe does not validate.
    """
    kept, split_off = stratified_split(data.labels, recipe.validation, SPLIT_SEED)
    return data.take(kept), data.take(split_off, "validation") if len(split_off) else None


def split_material(material: TrainingData, recipe: Recipe) -> tuple[Index, Index]:
    """Places of the images of `TrainingData.train` that are trained on, and validated on.

    MNIST is split as if it was alone, and the own images for themselves.
    """
    labels = material.train.labels
    if material.own is None:
        return stratified_split(labels, recipe.validation, SPLIT_SEED)
    first = len(labels) - len(material.own)
    kept, split_off = stratified_split(labels[:first], recipe.validation, SPLIT_SEED)
    own_kept, own_off = stratified_split(labels[first:], recipe.validation, SPLIT_SEED)
    return np.concatenate([kept, first + own_kept]), np.concatenate([split_off, first + own_off])


@dataclass(frozen=True)
class Epoch:
    """What an epoch trains on.

    Attributes:
        train: the images; the own ones are the last.
        new: how many of them are own ones, where MNIST is mixed in.
        validation: what is validated on; None without any.
        without_digit: own images without a digit, uint8 ``[M, 28, 28]``.
    """

    train: DigitData
    new: int
    validation: DigitData | None
    without_digit: Images


def mix_epoch(material: TrainingData, recipe: Recipe) -> Epoch:
    """What an epoch trains on.

    Where MNIST is mixed in, the own images are repeated so that they are the recipe's part of the
    epoch, or more where there are so many.

    Raises:
        DatasetError: all own images are validated on.
    """
    kept, split_off = split_material(material, recipe)
    validation = material.train.take(split_off, "validation") if len(split_off) else None
    if material.own is None:
        return Epoch(material.train.take(kept), 0, validation, material.without_digit)
    first = len(material.train) - len(material.own)
    own = kept[kept >= first]
    if not len(own):
        raise DatasetError(
            "has no images left to train on", subject=material.own.name, hint="lower validation"
        )
    others = len(kept) - len(own)
    part = recipe.own / (1 - recipe.own)
    repeated = np.repeat(own, max(1, round(part * others / len(own))))
    index = np.concatenate([kept[kept < first], repeated])
    without = material.without_digit
    if len(without):
        room = part * recipe.negatives * others
        without = np.repeat(without, max(1, round(room / len(without))), axis=0)
    return Epoch(material.train.take(index), len(repeated), validation, without)


def add_pages(epoch: Epoch, recipe: Recipe, *, progress: Progress = no_progress) -> Epoch:
    """What an epoch trains on, with digits as the detector cuts them out of pages, and letters.

    Raises:
        ModelError: the shipped detector or classifier is missing.
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    cut = cut_out_digits(epoch.train, recipe.pages, recipe.seed, progress=progress)
    # In front, since the own images are the last ones.
    train = digit_data(
        np.concatenate([cut.images, epoch.train.images]),
        np.concatenate([cut.labels, epoch.train.labels]),
        f"{epoch.train.name} and pages of it",
    )
    letters = write_characters(recipe.seed)
    without_digit = np.concatenate([epoch.without_digit, cut.without_digit, letters])
    return replace(epoch, train=train, without_digit=without_digit)


def own_validation(material: TrainingData, recipe: Recipe) -> DigitData | None:
    """The own images that are validated on; None where there is none, or nothing is mixed."""
    if material.own is None:
        return None
    first = len(material.train) - len(material.own)
    _, split_off = split_material(material, recipe)
    own = split_off[split_off >= first]
    return material.train.take(own, "own validation") if len(own) else None
