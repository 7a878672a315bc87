"""EXIF orientation, and turning an image."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import islice

import numpy as np

from digitkit.arrays import F64, U8
from digitkit.images.chunks import png_chunks, webp_chunks
from digitkit.images.cv import cv2
from digitkit.images.jpeg import APP1, SCAN, jpeg_segments

EXIF_BYTES = 1 << 16
"""EXIF data that is read."""

MAX_CHUNKS = 100_000
"""Chunks of a PNG or WebP file among which the EXIF data is searched."""

ORIENTATION_TAG = 0x0112
"""The tag of TIFF and EXIF that says how a picture is turned."""

MAX_TIFF_TAGS = 512
"""Tags of a TIFF directory or of EXIF data that are read."""


def read_exif_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8, of a JPEG, PNG or WebP file; 1 where there is none.

    OpenCV obeys it only when it also drops alpha and depth. TIFF is turned by its own decoder.
    """
    if data.startswith(b"\xff\xd8"):
        start = _find_jpeg_exif(data)
    elif data.startswith(b"\x89PNG"):
        start = _find_png_exif(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        start = _find_webp_exif(data)
    else:
        return 1
    if start < 0:
        return 1
    block = data[start : start + EXIF_BYTES]
    orientation = read_tiff_tags(block.removeprefix(b"Exif\x00\x00")).get(ORIENTATION_TAG, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _find_jpeg_exif(data: bytes) -> int:
    """Where the EXIF data of a JPEG file begins; -1 where there is none."""
    for kind, position in jpeg_segments(data):
        if kind == SCAN:
            break
        if kind == APP1 and data.startswith(b"Exif\x00\x00", position + 4):
            return position + 10
    return -1


def _find_png_exif(data: bytes) -> int:
    """Where the EXIF block of a PNG file begins; -1 without one."""
    chunks = islice(png_chunks(data), MAX_CHUNKS)
    return next((body for kind, body in chunks if kind == b"eXIf"), -1)


def _find_webp_exif(data: bytes) -> int:
    """Where the EXIF block of a WebP file begins; -1 without one."""
    chunks = islice(webp_chunks(data), MAX_CHUNKS)
    return next((body for kind, body, _ in chunks if kind == b"EXIF"), -1)


def read_tiff_tags(block: bytes | bytearray) -> dict[int, int]:
    """The first directory of a TIFF file or an EXIF block: tag to value, or to its offset.

    A damaged directory gives its readable tags; the pixels are decoded all the same.
    """
    tags: dict[int, int] = {}
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    if order is None:
        return tags
    with suppress(struct.error):
        (offset,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, offset)
        for entry in range(min(count, MAX_TIFF_TAGS)):
            position = offset + 2 + 12 * entry
            tag, kind = struct.unpack_from(f"{order}HH", block, position)
            value = "I" if kind == 4 else "H"  # kind 4 is a 32-bit number
            (tags[tag],) = struct.unpack_from(order + value, block, position + 8)
    return tags


def turn_upright(image: U8, orientation: int) -> U8:
    """Turn or mirror an image by its EXIF orientation.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        orientation: 1 to 8; 1 leaves the image as it is.

    Returns:
        The same image with its top row up; 5 to 8 swap height and width.
    """
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)  # type: ignore[assignment]
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return image if flip is None else cv2.flip(image, flip)  # type: ignore[return-value]


def rotate(image: U8, turn: int) -> U8:
    """Turn an image clockwise.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        turn: 0, 90, 180 or 270 degrees.
    """
    how = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return cv2.rotate(image, how[turn]) if turn else image  # type: ignore[return-value]


def rotate_freely(pixels: U8, degrees: float, around: float = 0.0) -> tuple[U8, F64]:
    """Rotate pixels counter-clockwise by any angle; the result contains all of them.

    Args:
        pixels: uint8 ``[H, W]``.
        degrees: how far.
        around: grey level of what surrounds them, 0–255.

    Returns:
        The result, and the matrix from the old to the new places, float64 ``[2, 3]``.
    """
    h, w = pixels.shape
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    cos, sin = abs(matrix[0, 0]), abs(matrix[0, 1])
    width, height = round(h * sin + w * cos) + 2, round(h * cos + w * sin) + 2
    matrix[:, 2] += (width - w) / 2, (height - h) / 2
    turned = cv2.warpAffine(pixels, matrix, (width, height), borderValue=around)
    return np.asarray(turned, np.uint8), np.asarray(matrix, np.float64)
