"""MNIST's file format, IDX."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from digitkit.arrays import U8
from digitkit.datasets.digits import DigitData, Split, digit_data
from digitkit.errors import DatasetError, one_line, os_reason
from digitkit.system.bounded import read_bounded

MAX_IDX_BYTES = 2_000_000_000
"""Largest IDX file that is read, compressed or not."""

_PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


def read_maybe_gzipped(path: Path) -> bytes:
    """Read a file, decompressed if it is gzipped.

    Raises:
        DatasetError: it is damaged or cannot be read.
    """
    try:
        data = read_bounded(path, MAX_IDX_BYTES)
        return decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(
            f"is damaged: {one_line(error)}", subject=str(path), hint="download the file again"
        ) from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", subject=str(path)) from error


def decompress(data: bytes) -> bytes:
    """Decompress gzip up to `MAX_IDX_BYTES`; a small file may claim any number of bytes.

    Raises:
        OSError: it is not gzip's, or larger.
        EOFError, zlib.error: it is truncated, or damaged.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        data = file.read(MAX_IDX_BYTES + 1)
    if len(data) > MAX_IDX_BYTES:
        raise OSError(f"it is larger than {MAX_IDX_BYTES / 1e6:,.0f} MB decompressed")
    return data


def parse_idx(data: bytes, name: str) -> U8:
    """Decode an IDX file of unsigned bytes (the format that MNIST is published in).

    Args:
        data: the file's bytes, decompressed.
        name: the file's name, for messages.

    Returns:
        A uint8 array with the shape in the header.

    Raises:
        DatasetError: the header is not IDX's, or its sizes do not match the number of bytes.
    """
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or not 1 <= data[3] <= 3:
        raise DatasetError(
            "is not an IDX file of unsigned bytes (wrong first four bytes)", subject=name
        )
    dimensions = data[3]
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise DatasetError(f"is truncated: its header alone takes {header} bytes", subject=name)
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    expected = header + math.prod(shape)
    if len(data) != expected:
        raise DatasetError(
            f"is damaged or incomplete: it has {len(data)} bytes, but {expected} by its header",
            subject=name,
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def idx_names(split: Split) -> tuple[str, str]:
    """MNIST's names for the files of a split: images, labels."""
    return f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"


def find_idx_file(folder: Path, stem: str) -> Path | None:
    """Find an IDX file in a folder, plain or gzipped; None if it is not there.

    Raises:
        DatasetError: it is there in both forms.
    """
    candidates = [folder / stem, folder / f"{stem}.gz"]
    present = [path for path in candidates if path.is_file()]
    if len(present) > 1:
        raise DatasetError(
            f"contains both {present[0].name} and {present[1].name}",
            subject=str(folder),
            hint="remove one of them",
        )
    return present[0] if present else None


def load_idx(folder: Path, split: Split, *, name: str | None = None) -> DigitData:
    """Load one split from a folder of IDX files, plain or gzipped, named as MNIST's are.

    Raises:
        DatasetError: a file is missing, there twice or damaged, or images and labels do not match.
    """
    arrays = []
    for stem in idx_names(split):
        path = find_idx_file(folder, stem)
        if path is None:
            raise DatasetError(f"contains neither {stem} nor {stem}.gz", subject=str(folder))
        arrays.append(parse_idx(read_maybe_gzipped(path), str(path)))
    images, labels = arrays
    return digit_data(images, labels, name or f"{folder.name} {split}")
