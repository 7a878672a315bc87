"""A frame: one image on its way through the pipeline; or the failure to get one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digitkit.arrays import U8
from digitkit.errors import DigitkitError, one_line


@dataclass(frozen=True)
class Frame:
    """One image on its way through the pipeline.

    Attributes:
        source: the path or the camera that it comes from, safe to display.
        image: uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR, upright.
        decode_ms: decoding time, milliseconds.
        number: of a live source's or a video's frame, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        seconds: position in a video file, seconds; None elsewhere, and for videos without times.
    """

    source: str
    image: U8
    decode_ms: float = 0.0
    number: int | None = None
    time: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Failure:
    """A source that gave no image, or an image that could not be read.

    Attributes:
        source: the path or the camera that failed, safe to display.
        error: the problem and its remedy, one line, without the source's name.
    """

    source: str
    error: str


def to_failure(source: str, error: DigitkitError) -> Failure:
    """The failure of a source; the error's subject is left out where it is the source itself."""
    subject = error.subject if error.subject != source else None
    text = DigitkitError(error.problem, subject=subject, hint=error.hint)
    return Failure(source, one_line(text))
