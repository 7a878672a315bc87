"""Loading data to train and evaluate on: MNIST, IDX files, or folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from digitkit.datasets.class_folders import has_class_folders, load_class_folders
from digitkit.datasets.corrections import is_corrections_folder, load_corrections
from digitkit.datasets.digits import DigitData, TrainAndTest, stratified_split
from digitkit.datasets.idx import find_idx_file, load_idx
from digitkit.datasets.mnist import MNIST_MD5, load_mnist
from digitkit.errors import DatasetError, InputNotFoundError, os_reason
from digitkit.system.progress import Progress, no_progress

HELD_OUT = 0.15
"""Fraction of a data set without a test set that is held out as one."""


def load_train_and_test(folder: Path | None, *, progress: Progress = no_progress) -> TrainAndTest:
    """Load the data to train on: MNIST, or the contents of `folder`.

    Args:
        folder: None for MNIST; else a folder of IDX files named as MNIST's, or one folder per
            class (``0`` … ``9``), or ``train`` and ``test`` folders of that kind. Without
            ``test``, 15% are held out as the test set, the same images each time.
        progress: called while images are read or downloaded.

    Raises:
        DatasetError, InputNotFoundError: `folder` does not exist or contains no usable data.
    """
    if folder is None:
        return TrainAndTest(
            load_mnist("train", progress=progress), load_mnist("test", progress=progress)
        )
    kind = _kind_of(folder)
    if kind == "corrections":
        raise DatasetError(
            "has corrections, which are too few to be trained on alone",
            subject=str(folder),
            hint=f"fine-tune a model on them: digitkit train --init digits --data {folder}",
        )
    if kind == "idx":
        return TrainAndTest(load_idx(folder, "train"), load_idx(folder, "test"))
    if kind == "split":
        return TrainAndTest(
            load_class_folders(folder / "train", name=f"{folder.name} train", progress=progress),
            load_class_folders(folder / "test", name=f"{folder.name} test", progress=progress),
        )
    data = load_class_folders(folder, progress=progress)
    kept, held_out = stratified_split(data.labels, HELD_OUT, seed=0)
    if not len(held_out):
        raise DatasetError(
            f"has too few images to hold out {HELD_OUT:.0%} as a test set",
            subject=str(folder),
            hint="add images, or make the folders train and test",
        )
    return TrainAndTest(
        data.take(kept, f"{data.name} train"), data.take(held_out, f"{data.name} test")
    )


def load_test(folder: Path | None, *, progress: Progress = no_progress) -> DigitData:
    """Load the data to evaluate on: MNIST's test set, or the contents of `folder`.

    Args:
        folder: None for MNIST; else as for `load_train_and_test`, except that folders per class
            without ``train`` and ``test`` are used whole, and so are corrections.
        progress: called while images are read or downloaded.

    Raises:
        DatasetError, InputNotFoundError: `folder` does not exist or contains no usable data.
    """
    if folder is None:
        return load_mnist("test", progress=progress)
    kind = _kind_of(folder)
    if kind == "corrections":
        data, _ = load_corrections(folder)
        if data is None:
            raise DatasetError("has no corrections of digits", subject=str(folder))
        return data
    if kind == "idx":
        return load_idx(folder, "test")
    if kind == "split":
        return load_class_folders(folder / "test", name=f"{folder.name} test", progress=progress)
    return load_class_folders(folder, progress=progress)


def _kind_of(folder: Path) -> Literal["corrections", "idx", "split", "classes"]:
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
    except OSError as error:  # a name that is too long, up to Python 3.13
        raise InputNotFoundError(
            f"cannot be accessed: {os_reason(error)}", subject=str(folder)
        ) from error
    if not is_folder:
        raise InputNotFoundError(
            "is not a folder" if exists else "does not exist",
            subject=str(folder),
            hint="name a folder with IDX files or with folders 0 … 9",
        )
    if is_corrections_folder(folder):
        return "corrections"
    if any(find_idx_file(folder, stem) for stem in MNIST_MD5):
        return "idx"
    if has_class_folders(folder / "train") and has_class_folders(folder / "test"):
        return "split"
    if has_class_folders(folder):
        return "classes"
    raise DatasetError(
        "contains neither IDX files (train-images-idx3-ubyte …) nor folders 0 … 9, nor train and "
        "test with such folders",
        subject=str(folder),
    )
