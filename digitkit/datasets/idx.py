"""MNIST's file format, IDX."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitkit.datasets.digits import DigitData, Split, digit_data
from digitkit.errors import DatasetError, one_line

_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


# --- IDX files -------------------------------------------------------------------------------


def read_maybe_gzipped(path: Path) -> bytes:
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


def find_idx_file(folder: Path, stem: str) -> Path | None:
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
        path = find_idx_file(folder, stem)
        if path is None:
            raise DatasetError(f"{folder}: has no {stem} (nor {stem}.gz)")
        arrays.append(parse_idx(read_maybe_gzipped(path), str(path)))
    images, labels = arrays
    return digit_data(images, labels, name or f"{folder.name} {split}")
