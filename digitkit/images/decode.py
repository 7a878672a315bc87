"""Image files to pixels, with guards against damaged and lying files."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import ImageError, InputNotFoundError, SourceError, one_line, printable_path
from digitkit.images.convert import from_array
from digitkit.images.opencv import MAX_PIXELS, cv2
from digitkit.images.orientation import exif_orientation, tiff_tags, upright

# --- decoding --------------------------------------------------------------------------------


def decode_file(path: str | os.PathLike[str], *, exif: bool = True) -> U8:
    """Read an image file; see `decode`.

    Raises:
        InputNotFoundError: there is no such file.
        SourceError: it cannot be read.
        ImageError: it is no image, is damaged or too large.
    """
    name = printable_path(path)
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(f"{name}: does not exist") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name}: is a folder, not an image file") from error
    except OSError as error:
        raise SourceError(f"{name}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL byte inside the name
        raise InputNotFoundError(f"{name}: is no path: {error}") from error
    return decode(data, name, exif=exif)


def decode(data: bytes, name: str, *, exif: bool = True) -> U8:
    """Decode an image file's bytes: upright (EXIF), 8 bits, without alpha.

    Transparency is laid on white, or on black where what is drawn is light. 16-bit and float
    images are stretched from their darkest to their brightest value.

    Args:
        data: the file's bytes, in any format that this OpenCV decodes.
        name: what to call it in messages.
        exif: turn it upright as its EXIF orientation says.

    Returns:
        uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR.

    Raises:
        ImageError: no image, damaged, truncated, or over `MAX_PIXELS`.
    """
    if not data:
        raise ImageError(f"{name}: not an image: the file is empty")
    _check_container(data, name)
    _check_claim(data, name)
    try:
        with _silent_decoders():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is not None:
            return upright(from_array(image, name), exif_orientation(data) if exif else 1)
    except cv2.error as error:
        if "MAX_IMAGE" in str(error):
            raise ImageError(
                f"{name}: is larger than {MAX_PIXELS // 10**6} megapixels; reduce it, or set "
                "OPENCV_IO_MAX_IMAGE_PIXELS"
            ) from error
        if error.code == cv2.Error.StsNoMem:
            raise ImageError(f"{name}: does not fit into memory; reduce it") from error
        raise ImageError(
            f"{name}: not an image OpenCV can decode ({one_line(error.err)})"
        ) from error
    except MemoryError as error:
        raise ImageError(f"{name}: does not fit into memory; reduce it") from error
    raise ImageError(
        f"{name}: not an image OpenCV can decode ({len(data)} bytes); if other programs "
        "open it, save it as PNG or JPEG"
    )


@contextmanager
def _silent_decoders() -> Iterator[None]:
    """Keep libpng's and libjpeg's own lines off the standard error; nothing else turns them off.

    They go to the process's descriptor. While other Python threads run, which may have something
    to say there, it is left alone.
    """
    if threading.active_count() > 1:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # a service without a standard error
        yield
        return
    try:
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_container(data: bytes, name: str) -> None:
    """Find truncation and damage that decoders pass over or print about, from the file's frame."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        position, kind = 8, b""
        while kind != b"IEND":
            if position + 12 > len(data):
                raise ImageError(f"{name}: the PNG file is truncated ({len(data)} bytes)")
            (length,) = struct.unpack(">I", data[position : position + 4])
            kind = data[position + 4 : position + 8]
            end = position + 8 + length
            if end + 4 > len(data):
                raise ImageError(f"{name}: the PNG file is truncated ({len(data)} bytes)")
            checksum = zlib.crc32(memoryview(data)[position + 4 : end])
            if checksum != struct.unpack(">I", data[end : end + 4])[0]:
                raise ImageError(f"{name}: the PNG file is damaged (checksum of {kind!r})")
            position = end + 4
    # Cameras may append data after a JPEG's end marker, so it need not come last.
    elif data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < 0:
        raise ImageError(f"{name}: the JPEG file is truncated ({len(data)} bytes)")


_MOST_PER_BYTE = 25_000
"""Pixels in a byte of file that no blank picture reaches, not even packed at 1 bit by LZW."""

_CLAIM = 10_000_000
"""Up to this many pixels a header may claim what it likes."""


def _check_claim(data: bytes, name: str) -> None:
    """Refuse sizes that the file's bytes cannot hold, where decoders would fill up what is missing.

    Other decoders notice by themselves, before they have touched the memory.
    """
    width = height = 0
    if data.startswith(b"\xff\xd8"):
        position = 2
        while position + 9 <= len(data) and data[position] == 0xFF:
            kind, length = struct.unpack_from(">BH", data, position + 1)
            if kind in (0xC0, 0xC1, 0xC2):  # baseline, extended, progressive
                height, width = struct.unpack_from(">HH", data, position + 5)
                break
            position += 1 if kind == 0xFF else 2 + length  # 0xFF may fill the gap before a marker
    elif data.startswith(b"GIF8") and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
    elif data.startswith(b"BM") and len(data) >= 26 and data[14] != 12:  # OS/2's is all 16-bit
        width, height = struct.unpack_from("<ii", data, 18)
    elif data.startswith((b"II*\0", b"MM\0*")):
        tags = tiff_tags(data)
        if tags.get(259, 1) in (1, 5, 7, 8, 32773, 32946):  # others pack blank paper better
            width, height = tags.get(256, 0), tags.get(257, 0)
    pixels = abs(width * height)
    if pixels > max(_CLAIM, _MOST_PER_BYTE * len(data)):
        raise ImageError(
            f"{name}: is damaged: it says {abs(width)}×{abs(height)} pixels, but holds "
            f"{len(data)} bytes"
        )
