"""Labelled digits as arrays: MNIST, IDX files, and folders of images.

Nothing here needs torch: evaluation on a device reads MNIST's test set through this module too.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import sys
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from . import atomic
from .errors import DatasetError, InputNotFoundError, one_line
from .folders import cache_folder

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]
Split = Literal["train", "test"]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is (0: unknown)."""

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the decompressed files, as published with torchvision's and other loaders."""

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class DigitData:
    """Digits with their labels.

    Attributes:
        images: uint8 ``[N, 28, 28]``, in MNIST's normal form: ink bright (255) on dark (0).
        labels: uint8 ``[N]``, 0 to 9.
        name: what the data is, for reports: ``MNIST test``, ``my-digits``.
        digest: SHA-256 over shapes, pixels and labels: the same data has the same digest.
    """

    images: Images
    labels: Labels
    name: str
    digest: str

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: npt.NDArray[np.int64], name: str | None = None) -> DigitData:
        """The digits at `index` (int64 ``[M]``), in that order."""
        return digit_data(self.images[index], self.labels[index], name or self.name)


def digit_data(images: Images, labels: Labels, name: str) -> DigitData:
    """Make a `DigitData` of arrays, checking them and computing the digest.

    Args:
        images: uint8 ``[N, 28, 28]``.
        labels: uint8 ``[N]``, 0 to 9.
        name: what the data is.

    Raises:
        DatasetError: shapes, kinds or labels don't fit.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise DatasetError(
            f"{name}: images are {images.dtype} {list(images.shape)}; needed is uint8 [N, 28, 28]"
        )
    if labels.shape != (len(images),):
        raise DatasetError(f"{name}: {len(images)} images but labels of shape {labels.shape}")
    if len(labels) == 0:
        raise DatasetError(f"{name}: holds no digits")
    if int(labels.max()) > 9:
        raise DatasetError(f"{name}: has the label {int(labels.max())}; digits are 0 to 9")
    digest = hashlib.sha256()
    digest.update(repr(images.shape).encode())
    digest.update(images.tobytes())
    digest.update(labels.tobytes())
    return DigitData(images, labels, name, digest.hexdigest())


# --- IDX files -------------------------------------------------------------------------------


def _read_maybe_gzipped(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"{path}: is damaged: {one_line(error)}; fetch the file again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}") from error


def parse_idx(data: bytes, name: str) -> npt.NDArray[np.uint8]:
    """Decode an IDX file of unsigned bytes (the format that MNIST is published in).

    Args:
        data: the file's bytes, decompressed.
        name: the file's name, for messages.

    Returns:
        A uint8 array of the shape that the header gives.

    Raises:
        DatasetError: the header is none, or its sizes don't fit the number of bytes.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or not 1 <= data[3] <= 3:
        raise DatasetError(f"{name}: is no IDX file of unsigned bytes (wrong first four bytes)")
    dimensions = data[3]
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise DatasetError(f"{name}: is truncated: its header alone takes {header} bytes")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    expected = header
    size = 1
    for side in shape:
        size *= side
    expected += size
    if len(data) != expected:
        raise DatasetError(
            f"{name}: has {len(data)} bytes but its header announces {expected}; "
            "the file is damaged or incomplete"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def idx_names(split: Split) -> tuple[str, str]:
    """How MNIST names the files of a split: its images, its labels."""
    return f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"


def _idx_file(folder: Path, stem: str) -> Path | None:
    candidates = [folder / stem, folder / f"{stem}.gz"]
    present = [path for path in candidates if path.is_file()]
    if len(present) > 1:
        raise DatasetError(
            f"{folder}: holds both {present[0].name} and {present[1].name}; "
            "remove one, so that it is clear which is meant"
        )
    return present[0] if present else None


def load_idx(folder: Path, split: Split, *, name: str | None = None) -> DigitData:
    """Load one split from a folder of IDX files, plain or gzipped, named as MNIST's are.

    Raises:
        DatasetError: a file is missing, doubled or damaged, or images and labels don't fit.
    """
    arrays = []
    for stem in idx_names(split):
        path = _idx_file(folder, stem)
        if path is None:
            raise DatasetError(f"{folder}: has no {stem} (nor {stem}.gz)")
        arrays.append(parse_idx(_read_maybe_gzipped(path), str(path)))
    images, labels = arrays
    return digit_data(images, labels, name or f"{folder.name} {split}")


# --- MNIST -----------------------------------------------------------------------------------


def find_mnist(split: Split) -> Path | None:
    """The nearest folder with the two files of one of MNIST's splits, or None.

    Looked for in this order: ``$DIGITKIT_MNIST``, ``data/mnist`` under the current folder,
    ``data/mnist`` of the checkout that this package is imported from, what a bundle has installed
    beside this environment (the test set), the download cache.
    """
    for folder in _mnist_folders():
        with suppress(PermissionError):  # within somebody else's folder, up to Python 3.13
            if all(_idx_file(folder, stem) for stem in idx_names(split)):
                return folder
    return None


def _mnist_folders() -> Iterator[Path]:
    if named := os.environ.get("DIGITKIT_MNIST"):
        yield Path(named)
    yield Path("data/mnist")
    yield Path(__file__).resolve().parent.parent / "data/mnist"
    yield Path(sys.prefix).parent / "mnist"
    yield cache_folder() / "mnist"  # last: a user without a home has none


def download_mnist(
    folder: Path, *, mirrors: tuple[str, ...] = MNIST_MIRRORS, progress: Progress | None = None
) -> None:
    """Fetch MNIST's four files into `folder`, each kept only if its MD5 is the published one.

    Args:
        folder: where the gzipped files go; made if missing.
        mirrors: base URLs, tried in order.
        progress: called with the file's name, bytes so far and bytes in all.

    Raises:
        DatasetError: no mirror gave a file with the right digest.
    """
    for stem, md5 in MNIST_MD5.items():
        if _idx_file(folder, stem):
            continue
        problems = []
        for mirror in mirrors:
            url = f"{mirror}{stem}.gz"
            try:
                data = _fetch(url, progress)
                found = hashlib.md5(gzip.decompress(data), usedforsecurity=False).hexdigest()
            except (OSError, EOFError, zlib.error, ValueError) as error:
                problems.append(f"{url}: {one_line(error)}")
                continue
            if found != md5:
                problems.append(f"{url}: MD5 {found} instead of {md5}")
                continue
            atomic.write_bytes(folder / f"{stem}.gz", data)
            break
        else:
            raise DatasetError(
                f"MNIST could not be downloaded ({'; '.join(problems)}); put its four IDX files "
                f"into {folder}, or name their folder with --data or DIGITKIT_MNIST"
            )


def _fetch(url: str, progress: Progress | None) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        total = int(response.headers.get("Content-Length") or 0)
        chunks: list[bytes] = []
        done = 0
        while chunk := response.read(1 << 16):
            chunks.append(chunk)
            done += len(chunk)
            if progress:
                progress(f"downloading {url.rsplit('/', 1)[1]}", done, total)
    if total and done != total:
        raise OSError(f"the connection broke after {done} of {total} bytes")
    return b"".join(chunks)


def load_mnist(split: Split, *, progress: Progress | None = None) -> DigitData:
    """MNIST's training set (60,000) or test set (10,000), from disk or else downloaded.

    MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, CC BY-SA 3.0.

    Raises:
        DatasetError: the files found are not MNIST's, or none were found and downloading failed.
    """
    folder = find_mnist(split)
    if folder is None:
        folder = cache_folder() / "mnist"
        download_mnist(folder, progress=progress)
    for stem in idx_names(split):
        path = _idx_file(folder, stem)
        assert path is not None  # find_mnist and download_mnist have seen to it
        found = hashlib.md5(_read_maybe_gzipped(path), usedforsecurity=False).hexdigest()
        if found != MNIST_MD5[stem]:
            raise DatasetError(
                f"{path}: is not MNIST's file (MD5 {found}, published {MNIST_MD5[stem]}); "
                "restore it, or name another data set with --data"
            )
    return load_idx(folder, split, name=f"MNIST {split}")


# --- folders of images -----------------------------------------------------------------------


def _has_class_folders(folder: Path) -> bool:
    return any((folder / str(digit)).is_dir() for digit in range(10))


def class_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """The image files under ``folder/0`` … ``folder/9``, with their labels, in a fixed order.

    Raises:
        DatasetError: a class is missing or empty, or two of its files have one name and differ
            in the suffix only (mostly the same picture twice, which would end up on both sides
            of a split).
    """
    from .sources import image_files

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
    from . import pixels
    from .errors import ImageError

    files = list(class_files(folder))
    images = np.empty((len(files), 28, 28), np.uint8)
    for i, (path, _) in enumerate(files):
        try:
            images[i] = pixels.digit_image(pixels.decode_file(path))
        except ImageError as error:
            raise DatasetError(f"{error}; mend or remove it") from error
        if progress and (i % 100 == 0 or i == len(files) - 1):
            progress("reading images", i + 1, len(files))
    labels = np.array([label for _, label in files], np.uint8)
    return digit_data(images, labels, name or folder.name)


@dataclass(frozen=True)
class TrainAndTest:
    """A training set and a test set that share no image."""

    train: DigitData
    test: DigitData


def stratified_split(
    labels: Labels, fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split indices in two, each class in the same proportion.

    Args:
        labels: uint8 ``[N]``.
        fraction: the share of the second part, 0 to 1 (exclusive); each class gives at least one
            to it where it has two or more.
        seed: the same seed gives the same split.

    Returns:
        Two sorted int64 arrays of indices: what is kept, and what was split off.
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


HELD_OUT = 0.15
"""Share of a data set without a test set of its own that is held out as one."""


def load_train_and_test(folder: Path | None, *, progress: Progress | None = None) -> TrainAndTest:
    """Load the data to train on: MNIST, or what `folder` holds.

    Args:
        folder: None for MNIST; else IDX files named as MNIST's, or one folder a class
            (``0`` … ``9``), or ``train`` and ``test`` folders of that kind. Where there is no
            ``test``, 15% are held out as the test set, the same ones each time.
        progress: called while images are read or downloaded.

    Raises:
        DatasetError, InputNotFoundError: `folder` is missing or holds no usable data.
    """
    if folder is None:
        return TrainAndTest(
            load_mnist("train", progress=progress), load_mnist("test", progress=progress)
        )
    kind = _kind_of(folder)
    if kind == "idx":
        return TrainAndTest(load_idx(folder, "train"), load_idx(folder, "test"))
    if kind == "split":
        return TrainAndTest(
            load_class_folders(folder / "train", name=f"{folder.name} train", progress=progress),
            load_class_folders(folder / "test", name=f"{folder.name} test", progress=progress),
        )
    data = load_class_folders(folder, progress=progress)
    kept, held_out = stratified_split(data.labels, HELD_OUT, seed=0)
    return TrainAndTest(
        data.take(kept, f"{data.name} train"), data.take(held_out, f"{data.name} test")
    )


def load_test(folder: Path | None, *, progress: Progress | None = None) -> DigitData:
    """Load the data to evaluate on: MNIST's test set, or what `folder` holds.

    Args:
        folder: None for MNIST; else as for `load_train_and_test`, except that one folder a class
            without a ``test`` beside it is taken whole.
        progress: called while images are read or downloaded.

    Raises:
        DatasetError, InputNotFoundError: `folder` is missing or holds no usable data.
    """
    if folder is None:
        return load_mnist("test", progress=progress)
    kind = _kind_of(folder)
    if kind == "idx":
        return load_idx(folder, "test")
    if kind == "split":
        return load_class_folders(folder / "test", name=f"{folder.name} test", progress=progress)
    return load_class_folders(folder, progress=progress)


def _kind_of(folder: Path) -> Literal["idx", "split", "classes"]:
    if not folder.is_dir():
        raise InputNotFoundError(f"{folder}: is no folder; name one with IDX files or 0/ … 9/")
    if any(_idx_file(folder, stem) for stem in MNIST_MD5):
        return "idx"
    if _has_class_folders(folder / "train") and _has_class_folders(folder / "test"):
        return "split"
    if _has_class_folders(folder):
        return "classes"
    raise DatasetError(
        f"{folder}: holds neither IDX files (train-images-idx3-ubyte …) nor one folder a class "
        "(0 … 9), nor train/ and test/ with such folders"
    )
