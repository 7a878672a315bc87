"""Folders of images, one a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from digitkit.datasets.digits import DigitData, digit_data
from digitkit.errors import DatasetError
from digitkit.system.progress import Progress

# --- folders of images -----------------------------------------------------------------------


def has_class_folders(folder: Path) -> bool:
    return any((folder / str(digit)).is_dir() for digit in range(10))


def class_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The image files under ``folder/0`` … ``folder/9``, with their labels, in a fixed order.

    Raises:
        DatasetError: a class is missing or empty, or two of its files have one name and differ
            in the suffix only (mostly the same picture twice, which would end up on both sides
            of a split).
    """
    from digitkit.sources.files import image_files

    missing = [str(digit) for digit in range(10) if not (folder / str(digit)).is_dir()]
    if missing:
        raise DatasetError(
            f"{folder}: has no folder for the digit{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}; each of 0 to 9 needs one with images in it"
        )
    for digit in range(10):
        paths = list(image_files(folder / str(digit)))
        if not paths:
            raise DatasetError(f"{folder / str(digit)}: holds no images")
        seen: dict[Path, Path] = {}
        for path in paths:
            twin = seen.setdefault(path.with_suffix("").parent / path.stem.lower(), path)
            if twin is not path:
                raise DatasetError(
                    f"{folder / str(digit)}: {twin.name} and {path.name} are two files of one "
                    "name; remove or rename one"
                )
            yield path, digit


def load_class_folders(
    folder: Path, *, name: str | None = None, progress: Progress | None = None
) -> DigitData:
    """Load images of any size and polarity from one folder a class, through `digitkit.pixels`.

    Raises:
        DatasetError: a class is missing, or an image cannot be read (training on what is left
            would quietly be training on something else).
    """
    from digitkit.errors import ImageError
    from digitkit.images.decode import decode_file
    from digitkit.images.normal_form import digit_image

    files = list(class_files(folder))
    images = np.empty((len(files), 28, 28), np.uint8)
    for i, (path, _) in enumerate(files):
        try:
            images[i] = digit_image(decode_file(path))
        except ImageError as error:
            raise DatasetError(f"{error}; mend or remove it") from error
        if progress and (i % 100 == 0 or i == len(files) - 1):
            progress("reading images", i + 1, len(files))
    labels = np.array([label for _, label in files], np.uint8)
    return digit_data(images, labels, name or folder.name)
