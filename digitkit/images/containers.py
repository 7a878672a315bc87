"""Whether a video file is complete, by the sizes that its container states.

FFmpeg plays a truncated file as far as it goes, and does not report it.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx")
)
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def is_whole(file: BinaryIO) -> bool | None:
    """Whether a video file is as long as its container states.

    Args:
        file: a seekable binary file; its position changes.

    Returns:
        True or False for AVI (RIFF), MP4 and MOV (ISO base media), MKV and WebM (EBML); None for
        other files, and where the size was left open, as live recorders do.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(64)
    if head[:4] == b"RIFF" and len(head) >= 8:
        stated: int = struct.unpack_from("<I", head, 4)[0]
        return size >= 8 + stated if stated else None
    if head[4:8] in _BOXES:
        return _iso_boxes_fit(file, size)
    if head.startswith(_EBML):
        at = head.find(_SEGMENT)
        return _ebml_segment_fits(head, at + len(_SEGMENT), size) if at >= 0 else None
    return None


def _iso_boxes_fit(file: BinaryIO, size: int) -> bool:
    """ISO base media: boxes in sequence, each with its length first; one is the index (moov)."""
    at, movie = 0, False
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return False
        length, kind = struct.unpack_from(">I4s", head)
        movie |= kind == b"moov"
        if length == 0:  # up to the end of the file
            break
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
        if length < 8:
            return True  # not a box but padding after the last one
        at += length
    return movie and at <= size


def _ebml_segment_fits(head: bytes, at: int, size: int) -> bool | None:
    """EBML: the leading zero bits of a length's first byte state how many bytes it takes."""
    if at >= len(head) or not head[at]:
        return None
    width = 9 - head[at].bit_length()
    if at + width > len(head):
        return None
    bits = 7 * width
    length = int.from_bytes(head[at : at + width]) & ((1 << bits) - 1)
    if length == (1 << bits) - 1:
        return None
    return size >= at + width + length
