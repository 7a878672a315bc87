"""A frame: one image on its way through the pipeline; or the failure to get one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, overload

import numpy as np

from digitkit.arrays import U8
from digitkit.errors import (
    DigitkitError,
    FormError,
    ImageError,
    InputNotFoundError,
    InputTypeError,
    MissingDependencyError,
    SourceError,
    one_line,
    page_name,
)
from digitkit.images.grey import GreyImage
from digitkit.images.large import LargeJpeg


class _Pixels:
    """The field `Frame.image`: an array; or a `LargeJpeg`, decoded when its pixels are wanted."""

    @overload
    def __get__(self, frame: None, kind: type[Frame]) -> _Pixels: ...
    @overload
    def __get__(self, frame: Frame, kind: type[Frame]) -> U8: ...

    def __get__(self, frame: Frame | None, kind: type[Frame]) -> _Pixels | U8:
        if frame is None:
            raise AttributeError  # the field has no default
        stored = self.stored(frame)
        return stored.colours if isinstance(stored, LargeJpeg) else stored

    def __set__(self, frame: Frame, image: U8 | LargeJpeg) -> None:
        if not isinstance(image, LargeJpeg):
            _check_pixels(image, frame.source)
        vars(frame)["image"] = image

    @staticmethod
    def stored(frame: Frame) -> U8 | LargeJpeg:
        """What the frame was made of."""
        image: U8 | LargeJpeg = vars(frame)["image"]
        return image


def _check_pixels(image: U8, source: str) -> None:
    if not isinstance(image, np.ndarray):
        raise InputTypeError(f"must be an array, got {type(image).__name__}", subject=source)
    is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if image.dtype != np.uint8 or not is_image or 0 in image.shape:
        raise ImageError(
            f"must be uint8 [H, W] or [H, W, 3], got {image.dtype} {list(image.shape)}",
            subject=source,
            hint="convert other arrays with digitkit.images.convert.from_array",
        )


@dataclass(frozen=True, eq=False)
class Frame:
    """One image on its way through the pipeline.

    Attributes:
        source: the path or the camera that it comes from, safe to display.
        image: uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR, upright. A `LargeJpeg` may be passed; its
            colours are decoded when this is first read. Neither side may be 0.
        decode_ms: decoding time, milliseconds.
        number: of a live source's or a video's frame, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        seconds: position in a video file, seconds; None elsewhere, and for videos without times.
        page: of a file with several, from 1; None elsewhere.
    """

    source: str
    image: _Pixels = _Pixels()
    decode_ms: float = 0.0
    number: int | None = None
    time: datetime | None = None
    seconds: float | None = None
    page: int | None = None

    def __repr__(self) -> str:
        """Without pixels, which need not have been decoded."""
        page = "" if self.page is None else f", page={self.page}"
        return f"Frame(source={self.source!r}, shape={self.shape}, number={self.number}{page})"

    @property
    def name(self) -> str:
        """The source, of a page with its number: ``scan.tiff#2``."""
        return page_name(self.source, self.page)

    @property
    def grey(self) -> GreyImage:
        """The image in grey, for reading."""
        image = _Pixels.stored(self)
        return image.grey if isinstance(image, LargeJpeg) else GreyImage.from_pixels(image)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        image = _Pixels.stored(self)
        return image.shape[0], image.shape[1]


FailureKind = Literal["missing", "unreadable", "bad image", "unread form", "not installed", "other"]
"""What is wrong with a source: there is none, the system does not give it, it is not an image or is
damaged, a form in it cannot be read, a package that reads it is missing, or something else."""

_KINDS: tuple[tuple[type[DigitkitError], FailureKind], ...] = (
    (InputNotFoundError, "missing"),
    (MissingDependencyError, "not installed"),
    (SourceError, "unreadable"),
    (FormError, "unread form"),
    (ImageError, "bad image"),
)


@dataclass(frozen=True)
class Failure:
    """A source that gave no image, or an image that could not be read.

    Attributes:
        source: the path or the camera that failed, safe to display.
        error: the problem and its remedy, one line, without the source's name.
        page: which page of the source it is, from 1; None for all of it.
        kind: what kind of problem it is, for counting.
    """

    source: str
    error: str
    page: int | None = None
    kind: FailureKind = field(default="other", compare=False)

    @property
    def name(self) -> str:
        """The source, of a page with its number: ``scan.tiff#2``."""
        return page_name(self.source, self.page)


def failure_json(failure: Failure) -> dict[str, Any]:
    """A failure as JSON lines have it: source, page and error."""
    page = {} if failure.page is None else {"page": failure.page}
    return {"source": failure.source, **page, "error": failure.error}


def count_failures(kinds: Mapping[FailureKind, int]) -> str:
    """How many failures there are of each kind: ``bad image: 60, missing: 1``."""
    return ", ".join(f"{kind}: {count:,}" for kind, count in sorted(kinds.items()))


def to_failure(source: str, error: DigitkitError, *, page: int | None = None) -> Failure:
    """The failure of a source; the error's subject is left out where it is the source itself."""
    own = error.subject in (source, page_name(source, page))
    text = DigitkitError(error.problem, subject=None if own else error.subject, hint=error.hint)
    kinds = (kind for of, kind in _KINDS if isinstance(error, of))
    return Failure(source, one_line(text), page, next(kinds, "other"))
