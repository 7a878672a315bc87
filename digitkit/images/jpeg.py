"""The segments of JPEG files."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

APP1, SCAN, END = 0xE1, 0xDA, 0xD9
"""Kinds of segments: EXIF data or other metadata, pixels, the end."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Not a marker: 0xFF as a pixel's byte (a 0 follows) or as filling. Of those without a length, the
# marks within a scan (0xD0 to 0xD7), 1, and a second beginning (0xD8) decide nothing.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")


def jpeg_header(data: bytes | bytearray) -> tuple[int, int, int]:
    """Width, height and channels in the header of a JPEG file; 0, 0, 0 for other files."""
    for kind, position in jpeg_segments(data) if data.startswith(b"\xff\xd8") else ():
        if kind in _FRAMES and position + 10 <= len(data):
            height, width, channels = struct.unpack_from(">HHB", data, position + 5)
            return width, height, channels
    return 0, 0, 0


def jpeg_segments(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Kind and position of each segment of a JPEG file up to its end, found as libjpeg does.

    Bytes between segments, such as a scan's pixels, are passed over.
    """
    position = 2
    while (marker := _MARKER.search(data, position)) is not None:
        kind, position = marker[0][1], marker.start()
        yield kind, position
        if kind == END:
            return
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
