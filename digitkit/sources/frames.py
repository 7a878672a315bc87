"""A frame: one image on its way through the runtime; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digitkit.arrays import U8
from digitkit.errors import DigitkitError, one_line


@dataclass(frozen=True)
class Frame:
    """One picture on its way through the runtime.

    Attributes:
        source: the path or the camera that it comes from, fit to be shown.
        image: uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR, upright.
        decode_ms: what decoding took, milliseconds.
        number: of a live source's or a video's frame, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        seconds: position in a video file, seconds; None elsewhere, and where the file doesn't say.
    """

    source: str
    image: U8
    decode_ms: float = 0.0
    number: int | None = None
    time: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Failure:
    """A source that gave no picture, or a picture that could not be read.

    Attributes:
        source: what failed, fit to be shown.
        error: what is wrong and what to do, one line, without the source's name.
    """

    source: str
    error: str


def to_failure(source: str, error: DigitkitError) -> Failure:
    """The failure of a source, its name taken off the front of the message."""
    text = str(error).removeprefix(f"{source}: ")
    return Failure(source, one_line(text))
