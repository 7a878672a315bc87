"""Checks of an image file before it is decoded: truncation, damage, impossible sizes.

Decoders pass over such files, print about them, or fill hundreds of megabytes with nothing.
"""

from __future__ import annotations

import struct
import zlib

from digitkit.errors import ImageError
from digitkit.images.jpeg import END, SCAN, jpeg_header, jpeg_segments
from digitkit.images.orientation import read_tiff_tags

MAX_PIXELS_PER_BYTE = 25_000
"""Pixels per byte of file that no blank image reaches, not even packed at 1 bit by LZW."""

UNCHECKED_PIXELS = 10_000_000
"""A header may claim up to this many pixels without being checked against the file's size."""

MAX_JPEG_SCANS = 100
"""Most scans of a progressive JPEG; each takes time for all pixels, however few bytes it has."""

MAX_JPEG_SEGMENTS = 10_000
"""Most segments of a JPEG; a colour profile of 16 MB takes 255."""

MAX_PNG_CHUNKS = 1_000_000
"""Most chunks of a PNG; one of a gigabyte has 130,000 of the usual 8 kB."""

MAX_PNG_TEXTS = 100
"""Most texts of a PNG that may be compressed: each may take 8 MB and, though not needed, time."""


def check_complete(data: bytes, name: str) -> None:
    """Check a file's container: a PNG's chunks and checksums, a JPEG's end marker.

    Args:
        data: the file's bytes; other formats pass.
        name: of the file, for errors.

    Raises:
        ImageError: the file is truncated or damaged.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        _check_png(data, name)
    elif data.startswith(b"\xff\xd8"):
        _check_jpeg(data, name)


def _check_jpeg(data: bytes, name: str) -> None:
    # Cameras may append data after the end marker; a thumbnail within a segment has its own.
    kind = scans = 0
    for number, (kind, _) in enumerate(jpeg_segments(data)):
        scans += kind == SCAN
        if scans > MAX_JPEG_SCANS or number > MAX_JPEG_SEGMENTS:
            what = "scans" if scans > MAX_JPEG_SCANS else "segments"
            raise ImageError(f"the JPEG file is damaged: it has too many {what}", subject=name)
    if kind != END:
        raise ImageError(f"the JPEG file is truncated ({len(data)} bytes)", subject=name)


def _check_png(data: bytes, name: str) -> None:
    position, kind = 8, b""
    chunks = texts = 0
    while kind != b"IEND":
        # Length, kind, body and checksum: 12 bytes around the body.
        length = 0
        if position + 12 <= len(data):
            (length,) = struct.unpack_from(">I", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ImageError(f"the PNG file is truncated ({len(data)} bytes)", subject=name)
        kind = data[position + 4 : position + 8]
        checksum = zlib.crc32(memoryview(data)[position + 4 : end])
        if checksum != struct.unpack_from(">I", data, end)[0]:
            raise ImageError(f"the PNG file is damaged (checksum of {kind!r})", subject=name)
        position = end + 4
        chunks += 1
        texts += kind in (b"zTXt", b"iTXt")
        if chunks > MAX_PNG_CHUNKS or texts > MAX_PNG_TEXTS:
            what = "texts" if texts > MAX_PNG_TEXTS else "chunks"
            raise ImageError(f"the PNG file is damaged: it has too many {what}", subject=name)


def check_claimed_size(data: bytes | bytearray, name: str, others: int = 0) -> int:
    """Check the size in the header of formats whose decoders would fill up what is missing.

    The other decoders notice by themselves, before they have touched the memory.

    Args:
        data: the file's bytes.
        name: of the file, for errors.
        others: pixels that other pages of the file claimed.

    Returns:
        The pixels that the header claims; 0 for other formats.

    Raises:
        ImageError: the header claims more pixels than the file's bytes can hold.
    """
    width, height = _claimed_size(data)
    check_pixels(width, height, len(data), name, others)
    return abs(width * height)


def check_pixels(width: int, height: int, size: int, name: str, others: int = 0) -> None:
    """Check the pixels that a header claims against the bytes of the file.

    Args:
        width: of the image; negative where that means something.
        height: of the image; negative where that means something.
        size: of the file, bytes.
        name: of the file, for errors.
        others: pixels that other pages of the file claimed.

    Raises:
        ImageError: so many pixels are not in so few bytes.
    """
    if abs(width * height) + others > max(UNCHECKED_PIXELS, MAX_PIXELS_PER_BYTE * size):
        pages = " and others for other pages" if others else ""
        raise ImageError(
            f"the file is damaged: its header claims {abs(width)}×{abs(height)} pixels{pages}, but "
            f"it has only {size} bytes",
            subject=name,
        )


def _claimed_size(data: bytes | bytearray) -> tuple[int, int]:
    """Width and height in the header of a JPEG, GIF, BMP or TIFF file; 0, 0 for other files."""
    if data.startswith(b"\xff\xd8"):
        return jpeg_header(data)[:2]
    if data.startswith(b"GIF8") and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        return width, height
    if data.startswith(b"BM") and len(data) >= 26 and data[14] != 12:  # OS/2's is all 16-bit
        width, height = struct.unpack_from("<ii", data, 18)
        return width, height
    if data.startswith((b"II*\0", b"MM\0*")):
        tags = read_tiff_tags(data)
        # Tag 259 is the compression; the kinds not listed pack blank paper better.
        if tags.get(259, 1) in (1, 5, 7, 8, 32773, 32946):
            return tags.get(256, 0), tags.get(257, 0)
    return 0, 0
