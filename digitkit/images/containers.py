"""Containers of video files: which ones are read, and whether all of a file is there.

FFmpeg plays a truncated or damaged file as far as it goes, and does not report it. It also takes
any text that looks like a playlist for a video, and opens the files that this names.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal

State = Literal["whole", "truncated", "damaged"]

SIGNATURE_BYTES = 200
"""How much of a file's beginning `is_video_container` looks at."""

MAX_CHUNKS = 1_000_000
"""Most chunks of a video that are looked at: nine hours of frames."""

_BOXES = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx")
)
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_ANYWHERE = (b"\xec", b"\xbf")  # padding and checksums
_IN_SEGMENT = frozenset(
    (
        *(b"\x11\x4d\x9b\x74", b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", _CLUSTER),
        *(b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67", b"\x10\x43\xa7\x70"),
        *(b"\x19\x41\xa4\x69", *_ANYWHERE),
    )
)
_IN_CLUSTER = frozenset(
    (b"\xe7", b"\xa3", b"\xa0", b"\xab", b"\xa7", b"\xaf", b"\x58\x54", *_ANYWHERE)
)

_FLV = b"FLV\x01"
_FLV_TAGS = (8, 9, 18)  # sound, picture, data
_ASF = b"\x30\x26\xb2\x75"
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_HEAD = 4096  # bytes in which an FLV or ASF file states its size

_SIGNATURES = (
    b"RIFF",  # AVI
    _EBML,  # Matroska, WebM
    _ASF,  # WMV
    _FLV,
    b"OggS",
    b"\xff\xd8",  # JPEG images one after the other
    b"\0\0\1",  # MPEG program and video streams
    b"\0\0\0\1",  # H.264 and H.265 streams
)
_PACKETS = ((0, 188), (4, 192))
"""MPEG transport streams: where the first packet's ``G`` is, and how far the next one's is."""


def is_video_container(head: bytes) -> bool:
    """Whether a file begins like a binary video container; a playlist, which is text, does not.

    Args:
        head: its first `SIGNATURE_BYTES` bytes.
    """
    if head.startswith(_SIGNATURES) or head[4:8] in _BOXES:
        return True
    if head.lstrip().startswith(b"--") and b"image/jpeg" in head.lower():
        return True  # a saved stream of JPEG images
    return any(head[at : at + 1] == head[at + step :][:1] == b"G" for at, step in _PACKETS)


def check_container(file: BinaryIO) -> State | None:
    """Whether a video file is as its container states: its length, and its chunks in sequence.

    Args:
        file: a seekable binary file; its position changes.

    Returns:
        The state of AVI (RIFF), MP4 and MOV (ISO base media), MKV and WebM (EBML), FLV, WMV (ASF);
        None for other files, where the size was left open, as live recorders do, and of more than
        `MAX_CHUNKS`. Damage inside a chunk is not noticed.
    """
    try:
        return _check(file, iter(range(MAX_CHUNKS)))
    except StopIteration:
        return None


def _check(file: BinaryIO, budget: Iterator[int]) -> State | None:
    """`check_container`; raises `StopIteration` after as many chunks as the budget has items."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(SIGNATURE_BYTES)
    if head[:4] == b"RIFF" and len(head) >= 8:
        return _check_riff(file, size, budget)
    if head[4:8] in _BOXES:
        return "whole" if _iso_boxes_fit(file, size, budget) else "truncated"
    if head.startswith(_EBML):
        at = head.find(_SEGMENT)
        return _check_segment(file, at, size, budget) if at >= 0 else None
    if head.startswith(_FLV):
        return _check_flv(file, size, budget)
    if head.startswith(_ASF):
        return _check_asf(file, size, budget)
    return None


def _check_riff(file: BinaryIO, size: int, budget: Iterator[int]) -> State | None:
    """RIFF: an AVI of more than a gigabyte is several in sequence; the first is looked into.

    Other bytes behind it do not matter.
    """
    at = 0
    while at < size:
        next(budget)
        file.seek(at)
        head = file.read(8)
        if head[:4] != b"RIFF" or len(head) < 8:
            break
        stated: int = struct.unpack_from("<I", head, 4)[0]
        end = at + 8 + stated
        if not stated:
            return None
        if size < end:
            return "truncated"
        if at == 0 and not _riff_chunks_fit(file, 12, end, (b"movi", b"rec "), budget):
            return "damaged"
        at = end + stated % 2
    return "whole"


def _riff_chunks_fit(
    file: BinaryIO, at: int, end: int, lists: tuple[bytes, ...], budget: Iterator[int]
) -> bool:
    """RIFF: chunks of a name, a length and a body, in sequence.

    A list contains chunks; the first of `lists` is looked into, for the others.
    """
    while at + 8 <= end:
        next(budget)
        file.seek(at)
        head = file.read(12)
        kind, length = struct.unpack_from("<4sI", head)
        if not (kind.isascii() and kind.decode("ascii").isprintable()) or at + 8 + length > end:
            return False
        if (
            kind == b"LIST"
            and head[8:] in lists[:1]
            and not _riff_chunks_fit(file, at + 12, at + 8 + length, lists[1:], budget)
        ):
            return False
        at += 8 + length + length % 2
    return True


def _iso_boxes_fit(file: BinaryIO, size: int, budget: Iterator[int]) -> bool:
    """ISO base media: boxes in sequence, each with its length first; one is the index (moov)."""
    at, movie = 0, False
    while at < size:
        next(budget)
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


def _check_segment(file: BinaryIO, at: int, size: int, budget: Iterator[int]) -> State | None:
    """EBML: the segment has a length, and its elements follow one another."""
    element = _read_element(file, at)
    if element is None:
        return None
    _, body, length = element
    if length is None:
        return None
    if body + length > size:
        return "truncated"
    fit = _elements_fit(file, body, body + length, _IN_SEGMENT, budget)
    return "whole" if fit else "damaged"


def _elements_fit(
    file: BinaryIO, at: int, end: int, allowed: frozenset[bytes], budget: Iterator[int]
) -> bool:
    while at < end:
        next(budget)
        element = _read_element(file, at)
        if element is None or element[0] not in allowed:
            return False
        code, body, length = element
        if length is None:  # left open: where it ends is not stated
            return True
        if body + length > end:
            return False
        if code == _CLUSTER and not _elements_fit(file, body, body + length, _IN_CLUSTER, budget):
            return False
        at = body + length
    return True


def _read_element(file: BinaryIO, at: int) -> tuple[bytes, int, int | None] | None:
    """The code of an EBML element, where its body begins and how long it is (None: left open).

    The leading zero bits of the first byte of code and length state how many bytes each takes.
    """
    file.seek(at)
    head = file.read(12)
    code = 9 - head[0].bit_length() if head else 0
    if not 1 <= code <= 4 or code >= len(head):
        return None
    width = 9 - head[code].bit_length()
    if width > 8 or code + width > len(head):
        return None
    bits = 7 * width
    length = int.from_bytes(head[code : code + width]) & ((1 << bits) - 1)
    return head[:code], at + code + width, None if length == (1 << bits) - 1 else length


def _check_flv(file: BinaryIO, size: int, budget: Iterator[int]) -> State:
    """FLV: tags of a kind, a length and a body, in sequence; each is followed by its length.

    The first may state the size of the file: what is behind that does not matter.
    """
    end = _stated_size(file, size, b"filesize\0", 9, ">d")
    if end > size:
        return "truncated"
    at = 13
    while at < end:
        next(budget)
        file.seek(at)
        head = file.read(4)
        if head[0] & 0x1F not in _FLV_TAGS:
            return "damaged"
        at += 11 + int.from_bytes(head[1:]) + 4
    # Some writers leave out the last length.
    return "whole" if end in (at, at - 4) else "truncated"


def _check_asf(file: BinaryIO, size: int, budget: Iterator[int]) -> State | None:
    """ASF: objects of a name and a length in sequence: the header, the packets, indexes.

    The header states the size of the file: what is behind that does not matter.
    """
    end = _stated_size(file, size, _ASF_PROPERTIES, 40, "<Q")
    if end > size:
        return "truncated"
    at = number = 0
    while at < end:
        next(budget)
        file.seek(at + 16)
        length = int.from_bytes(file.read(8), "little")
        if number == 1 and length <= 50:  # left open: no packet has room in it
            return None
        if length < 24 or (number > 1 and at + length > end):
            return "damaged"
        at, number = at + length, number + 1
    return "whole" if number > 1 and at == end else "truncated"


def _stated_size(file: BinaryIO, size: int, mark: bytes, distance: int, form: str) -> int:
    """The size that the beginning of a file states so many bytes behind a mark; else its own."""
    file.seek(0)
    head = file.read(_HEAD)
    place = head.find(mark) + distance
    if distance <= place <= len(head) - struct.calcsize(form):
        return int(struct.unpack_from(form, head, place)[0]) or size
    return size
