"""Folders of images, one per class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from digitkit.datasets.digits import DigitData, digit_data
from digitkit.errors import DatasetError, ImageError, InputNotFoundError, SourceError
from digitkit.system.progress import Progress, no_progress


def has_class_folders(folder: Path) -> bool:
    """Whether a folder contains at least one of the folders ``0`` … ``9``."""
    return any((folder / str(digit)).is_dir() for digit in range(10))


def class_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The image files under ``folder/0`` … ``folder/9``, with their labels, in a fixed order.

    Raises:
        DatasetError: a class is missing or empty, or two of its files differ only in the suffix
            (mostly the same image twice, which could end up on both sides of a split).
    """
    from digitkit.sources.folders import image_files
    from digitkit.sources.frames import Failure

    missing = [str(digit) for digit in range(10) if not (folder / str(digit)).is_dir()]
    if missing:
        raise DatasetError(
            f"has no folder for the digit{'s' * (len(missing) > 1)} {', '.join(missing)}",
            subject=str(folder),
            hint="each of 0 to 9 needs a folder with images",
        )
    for digit in range(10):
        paths: list[Path] = []
        for path in image_files(folder / str(digit)):
            if isinstance(path, Failure):
                raise DatasetError(path.error, subject=path.source)
            paths.append(path)
        if not paths:
            raise DatasetError("contains no images", subject=str(folder / str(digit)))
        seen: dict[Path, Path] = {}
        for path in paths:
            twin = seen.setdefault(path.parent / path.stem.lower(), path)
            if twin is not path:
                raise DatasetError(
                    f"{twin.name} and {path.name} have the same name but for suffix and case",
                    subject=str(folder / str(digit)),
                    hint="remove or rename one of them",
                )
            yield path, digit


def load_class_folders(
    folder: Path, *, name: str | None = None, progress: Progress = no_progress
) -> DigitData:
    """Load images of any size and polarity from one folder per class, in normal form.

    Args:
        folder: contains the folders ``0`` … ``9``.
        name: of the data; the folder's by default.
        progress: called while images are read.

    Raises:
        DatasetError: a class is missing, or an image cannot be read (skipping it would silently
            change the data).
    """
    from digitkit.images.decode import decode_file
    from digitkit.images.normal_form import digit_image

    files = list(class_files(folder))
    images = np.empty((len(files), 28, 28), np.uint8)
    for i, (path, _) in enumerate(files):
        try:
            images[i] = digit_image(decode_file(path), str(path))
        except (ImageError, InputNotFoundError, SourceError) as error:
            hint = error.hint or "repair or remove it"
            raise DatasetError(error.problem, subject=error.subject, hint=hint) from error
        if i % 100 == 0 or i == len(files) - 1:
            progress("reading images", i + 1, len(files))
    labels = np.array([label for _, label in files], np.uint8)
    return digit_data(images, labels, name or folder.name)
