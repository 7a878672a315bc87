"""What reads posted images: a process of its own, so that nothing in them stops the camera."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitkit.choices import Mode, Orientation
from digitkit.errors import DigitkitError
from digitkit.images.cv import cv2
from digitkit.images.encode import data_uri, encode_png
from digitkit.inference.pipeline import constrain
from digitkit.reading.numbers.fields import Field
from digitkit.reading.reader import Reader
from digitkit.sinks.review import ReviewItem, review_items
from digitkit.sources.files import load_item
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes
from digitkit.system.streams import silence_native_errors
from digitkit.web.live_view import draw_jpeg

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from digitkit.reading.results import Digit

NICENESS = 10
"""Added to that of the process: the camera comes first."""

OOM_SCORE = 500
"""Added to what Linux goes by when memory runs out, of 1,000: this process goes first."""


@dataclass(frozen=True)
class ReadRequest:
    """A posted image, and how it is to be read.

    Attributes:
        data: the bytes of the image file.
        name: what it is called.
        mode: what it holds; None for the service's own.
        orientation: which side is up; None for the service's own.
        min_confidence: threshold for a digit, 0–1; None for the service's own.
        gap: least gap between two numbers, heights of the digits; None for the service's own.
        number_rule: what each number must look like; None for anything.
        detail: whether the digits say what the classifier saw, and all probabilities.
        picture: whether the annotated picture is wanted.
        review: whether what is doubtful is wanted.
    """

    data: bytes = field(repr=False)
    name: str = "upload"
    mode: Mode | None = None
    orientation: Orientation | None = None
    min_confidence: float | None = None
    gap: float | None = None
    number_rule: Field | None = None
    detail: bool = False
    picture: bool = False
    review: bool = True


@dataclass(frozen=True)
class ReadAnswer:
    """What was read from a posted image.

    Attributes:
        line: the JSON line of ``digitkit infer``.
        jpeg: the annotated picture; None where it was not wanted.
        items: what of it is doubtful.
        ms: how long it took, milliseconds.
    """

    line: dict[str, Any]
    jpeg: bytes | None
    items: tuple[ReviewItem, ...]
    ms: float


@dataclass(frozen=True)
class ReadFailure:
    """Why an image could not be read.

    Attributes:
        message: one line.
        is_option: whether an option is at fault, instead of the image.
    """

    message: str
    is_option: bool = False


class ImageReader:
    """Reads posted images with the service's model."""

    def __init__(self, reader: Reader) -> None:
        """Read with this reader where a request says nothing else."""
        self._reader = reader

    def read(self, request: ReadRequest) -> ReadAnswer | ReadFailure:
        """Read one image; what is wrong with it is a failure."""
        try:
            reader = self._reader_for(request)
        except DigitkitError as error:
            return ReadFailure(str(error), is_option=True)
        try:
            item = ImageBytes(request.data, request.name)
            frame = load_item(item, exif=reader.obeys_exif)
            reading = reader.read_frame(frame)
        except DigitkitError as error:
            return ReadFailure(error.problem)
        outcome = constrain(frame, reading, request.number_rule)
        if isinstance(outcome, Failure):
            return ReadFailure(outcome.error, is_option=True)
        reading = outcome[1]
        line = reading.to_json()
        if request.detail:
            for values, digit in zip(line["digits"], reading.digits, strict=True):
                values |= _detail(digit)
        return ReadAnswer(
            line,
            draw_jpeg(frame.image, reading) if request.picture else None,
            tuple(review_items(frame, reading)) if request.review else (),
            reading.ms.total,
        )

    def _reader_for(self, request: ReadRequest) -> Reader:
        own = self._reader
        mode = request.mode or own.mode
        gap = request.gap
        if gap is None and "number" not in (mode, own.mode):  # which has its own: infinity
            gap = own.gap
        return Reader(
            own.classifier,
            mode=mode,
            orientation=request.orientation or own.orientation,
            min_confidence=(
                own.min_confidence if request.min_confidence is None else request.min_confidence
            ),
            gap=gap,
            threads=own.threads,
            detector=own.detector,
            line_reader=own.line_reader,
            grey_classifier=own.grey_classifier,
        )


def _detail(digit: Digit) -> dict[str, Any]:
    return {
        "probabilities": [round(float(value), 6) for value in digit.probabilities],
        "is_digit": round(digit.is_digit, 6),
        "image": data_uri(encode_png(digit.image), "image/png"),
    }


def serve_reads(connection: Connection, make_reader: Callable[[], Reader]) -> None:
    """What the process does: read one image after the other until the other end is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the service ends it
        signal.signal(number, signal.SIG_IGN)
    threading.current_thread().name = "reads"
    with suppress(OSError, AttributeError):  # not on every platform
        os.nice(NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    silence_native_errors()
    cv2.setNumThreads(1)
    reader = ImageReader(make_reader())
    connection.send(None)  # ready
    with suppress(EOFError, BrokenPipeError):
        while True:
            connection.send(reader.read(connection.recv()))
