"""The chunks of PNG and WebP files."""

from __future__ import annotations

import struct
from collections.abc import Iterator


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The name and the position of the body of each chunk of a PNG file, up to its end chunk."""
    position, kind = 8, b""
    while kind != b"IEND" and position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8
        position += 12 + length  # with a checksum of 4 bytes


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name, the position of the body and its length of each chunk of a WebP file."""
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, length
        position = end_of_chunk(position + 8, length)


def end_of_chunk(body: int, length: int) -> int:
    """Where a chunk of a WebP file ends, by its body and its length: at an even position."""
    return body + length + length % 2
