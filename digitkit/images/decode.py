"""Image files to pixels: upright, 8 bits, without alpha."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.errors import (
    ImageError,
    InputNotFoundError,
    SourceError,
    one_line,
    os_reason,
    printable_path,
)
from digitkit.images.convert import from_array
from digitkit.images.cv import cv2, out_of_memory, too_many_pixels
from digitkit.images.guards import check_claimed_size, check_complete
from digitkit.images.orientation import read_exif_orientation, turn_upright
from digitkit.system.bounded import read_bounded
from digitkit.system.streams import divert_errors, restore_errors

MAX_FILE_BYTES = 1_000_000_000
"""Largest image file that is read: 200 megapixels as 16-bit colour are 1.2 GB uncompressed."""


def decode_file(path: str | os.PathLike[str]) -> U8:
    """Read and decode an image file; see `decode`.

    Raises:
        InputNotFoundError: the file does not exist.
        SourceError: it cannot be read.
        ImageError: it is not an image, is damaged or too large.
    """
    return decode(read_image_file(path), printable_path(path))


def read_image_file(path: str | os.PathLike[str]) -> bytes:
    """Read an image file's bytes.

    Raises:
        InputNotFoundError: the file does not exist.
        SourceError: it cannot be read.
        ImageError: it is a folder.
    """
    name = printable_path(path)
    try:
        return read_bounded(path, MAX_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError("does not exist", subject=name) from error
    except IsADirectoryError as error:
        raise ImageError("is a folder, not an image file", subject=name) from error
    except OSError as error:
        raise SourceError(f"cannot be read: {os_reason(error)}", subject=name) from error
    except ValueError as error:  # a NUL byte inside the name
        raise InputNotFoundError(f"is not a valid path: {error}", subject=name) from error


def decode(data: bytes, name: str, *, exif: bool = True) -> U8:
    """Decode an image file's bytes: upright (EXIF), 8 bits, without alpha.

    Transparency is laid on white, or on black where the drawing is light. 16-bit and float images
    are stretched from their darkest to their brightest value.

    Args:
        data: the file's bytes, in any format that this OpenCV decodes.
        name: of the file, for errors.
        exif: turn the image upright by its EXIF orientation; a TIFF always is.

    Returns:
        uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR.

    Raises:
        ImageError: not an image, damaged, truncated, or over `MAX_PIXELS`.
    """
    check(data, name)
    return decode_pixels(data, name, read_exif_orientation(data) if exif else 1)


def check(data: bytes, name: str) -> None:
    """Check an image file's bytes before they are decoded.

    Raises:
        ImageError: they are empty, truncated or damaged.
    """
    if not data:
        raise ImageError("not an image: the file is empty", subject=name)
    check_complete(data, name)
    check_claimed_size(data, name)


def decode_pixels(
    data: bytes | bytearray, name: str, orientation: int, flags: int = cv2.IMREAD_UNCHANGED
) -> U8:
    """Decode bytes that were checked: upright, 8 bits, without alpha.

    Args:
        data: the file's bytes.
        name: of the file, for errors.
        orientation: EXIF's, 1 to 8; OpenCV must not obey it.
        flags: OpenCV's ``IMREAD`` flags.

    Raises:
        ImageError: not an image, damaged, or over `MAX_PIXELS`.
        MissingDependencyError: a HEIC image, and pillow-heif is not installed.
    """
    try:
        return turn_upright(from_array(decode_array(data, name, flags), name), orientation)
    except MemoryError as error:
        raise out_of_memory(name) from error


def decode_array(
    data: bytes | bytearray, name: str, flags: int = cv2.IMREAD_UNCHANGED
) -> npt.NDArray[np.generic]:
    """Decode bytes that were checked, as they are: any depth, with alpha.

    Raises:
        ImageError, MissingDependencyError, MemoryError: as `decode_pixels` does.
    """
    if data[4:8] == b"ftyp":
        from digitkit.images.heif import decode_heif, is_heif

        if is_heif(data):
            return decode_heif(data, name)
    try:
        with _silent_decoders():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if image is not None:
            return image
    except cv2.error as error:
        raise _decoding_error(error, name) from error
    raise ImageError(
        f"not an image OpenCV can decode ({len(data)} bytes)",
        subject=name,
        hint="if other programs open it, save it as PNG or JPEG",
    )


def _decoding_error(error: cv2.error, name: str) -> ImageError:
    # All failed assertions of OpenCV have one code; only the asserted expression, which names the
    # limit (CV_IO_MAX_IMAGE_PIXELS, _WIDTH or _HEIGHT), separates a size over it from damage.
    if error.code == cv2.Error.StsAssert and "MAX_IMAGE" in error.err:
        return too_many_pixels(name)
    if error.code == cv2.Error.StsNoMem:
        return out_of_memory(name)
    return ImageError(f"not an image OpenCV can decode ({one_line(error.err)})", subject=name)


@contextmanager
def _silent_decoders() -> Iterator[None]:
    """Keep libpng's and libjpeg's own lines off standard error; they have no option for it.

    They write to the process's file descriptor. While other Python threads run, which may write
    there themselves, it is left alone.
    """
    original = divert_errors() if threading.active_count() == 1 else None
    try:
        yield
    finally:
        restore_errors(original)
