"""The frames of animated GIF and WebP files.

Each frame becomes a small file of its own, which the decoder of single images gets, and is laid on
those before it. So only one is in memory, a damaged one does not hide the others, and the frames of
a WebP are read by any OpenCV. OpenCV's own function for animations, of version 4.11 and later,
decodes all frames, or all that are before the one asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8, Box
from digitkit.errors import ImageError
from digitkit.images.chunks import end_of_chunk, webp_chunks
from digitkit.images.convert import from_array
from digitkit.images.cv import MAX_PIXELS, PIXEL_LIMIT, out_of_memory, too_many_pixels
from digitkit.images.decode import decode_array
from digitkit.images.guards import check_claimed_size, check_pixels
from digitkit.images.pages import MAX_PAGES, Pages

MAX_ANIMATION_PIXELS = 20_000_000_000
"""Most pixels of all frames of an animation together: 10,000 of 1920×1080. A frame that changes a
single pixel has few bytes, but takes time for all."""

MAX_SIDE = 65_535
"""Longest side of an animation, pixels; a GIF's header takes no more."""


@dataclass(frozen=True)
class _Part:
    """What a frame changes of the one before.

    Attributes:
        file: where it is in the animation's file: the first byte, and the one behind the last.
        box: the pixels that it changes.
        head: what stands before these bytes in a file of this frame alone; None where they are not
            all there.
        blends: whether it is laid over what is there, where it is transparent.
        after: what becomes of its box before the next frame: ``keep``, ``clear`` or ``restore``.
    """

    file: tuple[int, int]
    box: Box
    head: bytes | None
    blends: bool
    after: str


def open_animation(data: bytes, name: str) -> Pages | None:
    """The frames of a GIF or WebP file with several; None for a single image.

    Raises:
        ImageError: the frames are too large.
    """
    is_gif = data.startswith(b"GIF8")
    if is_gif and not _reads_gif():
        return None  # one error for the file, not one for each frame
    parts: list[_Part] = []
    problem = None
    try:
        parts.extend(islice(_gif_parts(data) if is_gif else _webp_parts(data), MAX_PAGES + 1))
    except (EOFError, IndexError, struct.error):
        problem = f"the file is truncated ({len(data)} bytes)"
    if not parts or (len(parts) == 1 and problem is None):
        return None
    if is_gif:
        width, height = struct.unpack_from("<HH", data, 6)
    else:
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    return AnimationPages(data, name, (height, width), parts, problem)


@cache
def _reads_gif() -> bool:
    """Whether this OpenCV reads GIF files; 4.10 does not."""
    pixel = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    with suppress(ImageError):
        return decode_array(pixel, "").size > 0
    return False


class AnimationPages(Pages):
    """The frames of an animation, each a page as it is seen."""

    def __init__(
        self,
        data: bytes,
        name: str,
        shape: tuple[int, int],
        parts: list[_Part],
        problem: str | None,
    ) -> None:
        """Begin with nothing.

        Args:
            data: the file's bytes.
            name: of the file, for errors.
            shape: height and width of all frames, pixels.
            parts: what each frame changes.
            problem: why there are no more; None where these are all.

        Raises:
            ImageError: the frames are too large.
        """
        height, width = shape
        pixels = height * width
        if max(shape) > MAX_SIDE:
            raise ImageError(f"is longer than {MAX_SIDE:,} pixels", subject=name)
        if pixels > (PIXEL_LIMIT or MAX_PIXELS):
            raise too_many_pixels(name)
        check_pixels(width, height, len(data), name)
        most = max(1, MAX_ANIMATION_PIXELS // max(1, pixels))
        if len(parts) > most:
            problem = f"only the first {most:,} frames of an animation of this size are read"
        super().__init__(name, min(len(parts), most), problem)
        self._data = data
        self._parts = parts
        self._shape = shape
        self._clear()

    def _clear(self) -> None:
        self._canvas: U8 = np.zeros((0, 0, 4), np.uint8)
        self._drawn = 0
        self._hidden: U8 | None = None

    def _decode(self, page: int, name: str) -> U8:
        if page <= self._drawn:
            self._clear()
        if not self._drawn:
            try:
                self._canvas = np.zeros((*self._shape, 4), np.uint8)
            except MemoryError as error:
                raise out_of_memory(name) from error
        while self._drawn < page - 1:
            with suppress(ImageError):  # its own page reports it
                self._draw_next(name)
        self._draw_next(name)
        return from_array(self._canvas, name)

    def _draw_next(self, name: str) -> None:
        """Draw the next frame; one that is damaged leaves what was there before.

        Raises:
            ImageError: it is damaged.
        """
        if self._drawn:
            self._tidy(self._parts[self._drawn - 1])
        part = self._parts[self._drawn]
        self._drawn += 1
        place = self._place(part)
        self._hidden = self._canvas[place].copy() if part.after == "restore" else None
        pixels = self._decode_part(part, name)
        seen = self._canvas[place]
        pixels = pixels[: seen.shape[0], : seen.shape[1]]
        self._canvas[place] = _blend(seen, pixels) if part.blends else pixels

    def _tidy(self, part: _Part) -> None:
        """What becomes of a frame's box before the next frame."""
        if part.after == "clear":
            self._canvas[self._place(part)] = 0
        elif self._hidden is not None:
            self._canvas[self._place(part)] = self._hidden

    def _place(self, part: _Part) -> tuple[slice, slice]:
        x, y, width, height = part.box
        return slice(y, y + height), slice(x, x + width)

    def _decode_part(self, part: _Part, name: str) -> U8:
        """The pixels of a frame, uint8 ``[h, w, 4]`` BGRA."""
        if part.head is None:
            raise ImageError("the file is truncated", subject=name)
        start, end = part.file
        file = part.head + self._data[start:end] + (b";" if part.head.startswith(b"GIF") else b"")
        check_claimed_size(file, name)
        try:
            image = decode_array(file, name)
        except MemoryError as error:
            raise out_of_memory(name) from error
        if image.shape[:2] != (part.box[3], part.box[2]):
            raise ImageError("the frame is damaged: its size is wrong", subject=name)
        return _to_bgra(image)


def _to_bgra(image: npt.NDArray[np.generic]) -> U8:
    opaque = np.full((*image.shape[:2], 4), 255, np.uint8)
    if image.ndim == 2:
        image = image[:, :, None]
    opaque[:, :, : max(3, image.shape[2])] = image
    return opaque


def _blend(below: U8, above: U8) -> U8:
    """Lay an image on another, both uint8 ``[h, w, 4]`` BGRA."""
    opacity = above[:, :, 3:]
    if not ((opacity > 0) & (opacity < 255)).any():
        return np.asarray(np.where(opacity > 0, above, below), np.uint8)
    weight = opacity / np.float32(255)
    rest = below[:, :, 3:] / np.float32(255) * (1 - weight)
    total = weight + rest
    colours = (above[:, :, :3] * weight + below[:, :, :3] * rest) / np.maximum(total, 1e-6)
    return np.asarray(np.rint(np.concatenate([colours, 255 * total], axis=2)), np.uint8)


# --- GIF: blocks, each of its kind's byte, a header, and pieces of up to 255 bytes ---


def _gif_parts(data: bytes) -> Iterator[_Part]:
    at = 13 + _palette_bytes(data[10])
    beginning, control = (data[:6], data[10:at]), b""
    while at < len(data) and data[at] != ord(";"):
        start = at
        if data[at] == ord("!"):
            at = _behind_pieces(data, at + 2)
            if data[start + 1] == 0xF9:
                control = data[start:at]
        elif data[at] == ord(","):
            x, y, width, height, flags = struct.unpack_from("<4HB", data, at + 1)
            after = ("keep", "keep", "clear", "restore")[control[3] >> 2 & 3 if control else 0]
            # Alone, the frame is all of the image.
            head = beginning[0] + struct.pack("<2H", width, height) + beginning[1] + control
            head += struct.pack("<c4H", b",", 0, 0, width, height)
            box = (x, y, width, height)
            try:
                at = _behind_pieces(data, at + 11 + _palette_bytes(flags))
            except IndexError:
                yield _Part((0, 0), box, None, True, after)
                return
            yield _Part((start + 9, at), box, head, True, after)
            control = b""
        else:
            return


def _palette_bytes(flags: int) -> int:
    return 3 * (2 << (flags & 7)) if flags & 0x80 else 0


def _behind_pieces(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


# --- WebP: RIFF chunks, one a frame, which contains the chunks of an image ---


def _webp_parts(data: bytes) -> Iterator[_Part]:
    at = 12
    for kind, body, length in webp_chunks(data):
        if kind == b"ANMF":
            left, top, right, bottom = (
                int.from_bytes(data[i : i + 3], "little") for i in range(body, body + 12, 3)
            )
            flags = data[body + 15]
            box = (2 * left, 2 * top, right + 1, bottom + 1)
            start, end = body + 16, body + length
            head = _webp_head(data[start : start + 4], box, end - start)
            yield _Part(
                (start, end),
                box,
                head if end <= len(data) else None,
                blends=not flags & 2,
                after="clear" if flags & 1 else "keep",
            )
            if end > len(data):
                return
        at = end_of_chunk(body, length)
    if at < 8 + int.from_bytes(data[4:8], "little") or at > len(data) + 1:
        raise EOFError


def _webp_head(kind: bytes, box: Box, length: int) -> bytes:
    """What makes the chunks of a frame a file."""
    extra = b""
    if kind != b"VP8L":
        size = b"".join((side - 1).to_bytes(3, "little") for side in box[2:])
        has_alpha = b"\x10" if kind == b"ALPH" else b"\0"
        extra = struct.pack("<4sI", b"VP8X", 10) + has_alpha + bytes(3) + size
    return struct.pack("<4sI4s", b"RIFF", 4 + len(extra) + length, b"WEBP") + extra
