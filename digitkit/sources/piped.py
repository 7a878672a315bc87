"""What is piped in: a list of paths, or an image."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from itertools import chain
from typing import Protocol

from digitkit.errors import ImageError, SourceError
from digitkit.images.decode import MAX_FILE_BYTES
from digitkit.images.formats import detect_format, may_be_image
from digitkit.sources.items import ImageBytes

MAX_PATH_BYTES = 1 << 16
"""Longest path in a list; no system takes as much."""

_CHUNK = 1 << 16
_SAMPLE_BYTES = 4096
_MAX_CONTROLS = 0.05
"""Text has hardly any control characters; of compressed data they are a tenth."""


class Stream(Protocol):
    """An open binary file or pipe."""

    def read1(self, size: int = -1, /) -> bytes:
        """What is there, up to so many bytes; waits for the first one, and is empty at the end."""


def read_piped(stream: Stream, *, nul: bool = False) -> Iterator[str | ImageBytes]:
    """An image, told by its first bytes; else the paths of a list, without empty ones.

    Paths are given as they arrive, so that a pipe is answered without waiting for its end.

    Args:
        stream: where from.
        nul: whether the paths are NUL-separated instead of one per line.

    Raises:
        SourceError: a path is longer than `MAX_PATH_BYTES`.
        ImageError: it is binary, but not an image that is known; or larger than `MAX_FILE_BYTES`.
        OSError: the stream cannot be read.
    """
    chunks = iter(lambda: stream.read1(_CHUNK), b"")
    head = b""
    for chunk in chunks:
        head += chunk
        if not may_be_image(head):
            break
    if detect_format(head) is not None:
        yield ImageBytes(_join(chain((head,), chunks)), "-")
        return
    if _is_binary(head, nul):
        raise ImageError(
            "is neither a list of paths nor an image of a known format",
            hint="pipe a whole image file or paths, one a line; for paths that end in NUL, add -0"
            if not nul
            else "pipe a whole image file, or paths that end in NUL",
        )
    head = head.removeprefix(codecs.BOM_UTF8)
    yield from _split(chain((head,), chunks), b"\0" if nul else b"\n")


def _join(chunks: Iterator[bytes]) -> bytes:
    size, kept = 0, []
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise ImageError(f"is larger than {MAX_FILE_BYTES / 1e6:,.0f} MB")
        kept.append(chunk)
    return b"".join(kept)


def _is_binary(head: bytes, nul: bool) -> bool:
    if not nul and b"\0" in head:
        return True
    sample = head[:_SAMPLE_BYTES]
    controls = sum(byte < 32 and byte not in b"\0\t\n\r" for byte in sample)
    return controls > _MAX_CONTROLS * len(sample) + 1


def _split(chunks: Iterator[bytes], separator: bytes) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(separator)
        for path in complete:
            yield from _to_path(path, separator)
        _check_length(rest)
    yield from _to_path(rest, separator)


def _to_path(path: bytes, separator: bytes) -> Iterator[str]:
    _check_length(path)
    if separator == b"\n":
        path = path.removesuffix(b"\r")
    if path:
        yield os.fsdecode(path)


def _check_length(path: bytes) -> None:
    if len(path) > MAX_PATH_BYTES:
        raise SourceError(
            f"a path is longer than {MAX_PATH_BYTES:,} bytes",
            hint="list one path a line, or end each with a NUL (-0)",
        )
