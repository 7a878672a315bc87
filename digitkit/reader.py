"""The reader: a picture in, the digits in it out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from . import pixels, sources
from ._opencv import cv2
from .classifier import Classifier, PrecisionChoice
from .errors import ImageError, InputNotFoundError, SourceError, shown
from .finder import Finder, Found
from .sources import Failure, Frame

U8 = npt.NDArray[np.uint8]
Mode = Literal["auto", "digit", "page"]
Orientation = Literal["exif", "auto", "0", "90", "180", "270"]
Image = str | os.PathLike[str] | npt.NDArray[np.generic]

ONE_DIGIT_SIDE = 64
"""In mode ``auto``, a picture whose longer side is at most this is one digit, pixels."""

REPORTED = 0.25
"""Least confidence of what is reported at all: under it, it is clutter and no doubtful digit."""


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        digit: 0 to 9.
        confidence: probability that this is a digit and that it is this one, 0–1.
        box: x, y, width and height of its ink, pixels of the upright picture.
        row: number of its row, from 0 at the top.
        accepted: whether it counts: the confidence reaches the threshold and the border does not
            cut it, or `digitkit.fields` has taken it in.
        image: what the net saw, uint8 ``[28, 28]``.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
        is_digit: probability that this is a digit at all, 0–1; 1 where the model doesn't say.
        cut: whether the picture's border seems to cut a part of it off; it is not accepted then.
    """

    digit: int
    confidence: float
    box: tuple[int, int, int, int]
    row: int
    accepted: bool
    image: U8 = field(repr=False, compare=False)
    probabilities: npt.NDArray[np.float32] = field(repr=False, compare=False)
    is_digit: float = 1.0
    cut: bool = False


@dataclass(frozen=True)
class Timings:
    """What the steps took, milliseconds.

    Attributes:
        decode: from the file's bytes to pixels; 0 for an array.
        locate: finding the digits and lifting their ink off the paper.
        normalise: bringing that ink to normal form.
        classify: the net, all digits of the picture in one batch.
    """

    decode: float
    locate: float
    normalise: float
    classify: float


@dataclass(frozen=True)
class Reading:
    """What was read from one picture.

    Attributes:
        source: the path, camera, or ``array``.
        digits: all digits found, in reading order, those not accepted among them.
        ms: what it took.
        frame: number of a live frame; None for a file.
        time: when a live frame was taken; None for a file.
        turn: by how many degrees clockwise the source's picture was turned before it was read;
            boxes are in the turned picture.
        seconds: position in a video file; None elsewhere.
    """

    source: str
    digits: tuple[Digit, ...]
    ms: Timings
    frame: int | None = None
    time: datetime | None = None
    turn: int = 0
    seconds: float | None = None

    @property
    def text(self) -> str:
        """The accepted digits in reading order, rows parted by a newline."""
        rows: dict[int, str] = {}
        for digit in self.digits:
            if digit.accepted:
                rows[digit.row] = rows.get(digit.row, "") + str(digit.digit)
        return "\n".join(rows.values())

    def to_json(self) -> dict[str, Any]:
        """The reading as ``digitkit infer --format jsonl`` gives it."""
        values: dict[str, Any] = {"source": self.source}
        if self.frame is not None:
            values["frame"] = self.frame
        if self.time is not None:
            values["time"] = self.time.isoformat(timespec="milliseconds")
        if self.seconds is not None:
            values["seconds"] = round(self.seconds, 3)
        values["text"] = self.text
        if self.turn:
            values["turn"] = self.turn
        values["digits"] = [
            {
                "digit": digit.digit,
                # Rounded, so that a confidence under the threshold may not look like over it.
                "confidence": round(digit.confidence, 4),
                "box": list(digit.box),
                "row": digit.row,
            }
            | ({} if digit.accepted else {"accepted": False})
            | ({"cut": True} if digit.cut else {})
            for digit in self.digits
        ]
        values["ms"] = {name: round(value, 3) for name, value in vars(self.ms).items()}
        return values


class Reader:
    """Reads digits from pictures.

    >>> Reader().read("seven.png").text  # doctest: +SKIP
    '7'

    Attributes:
        classifier: the model.
        mode: what a picture is taken for.
        orientation: which side of it is up.
        threads: that the net that finds digits may use.
        min_confidence: the threshold, 0–1.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Classifier = "digits",
        *,
        precision: PrecisionChoice = "auto",
        mode: Mode = "auto",
        orientation: Orientation = "exif",
        min_confidence: float | None = None,
        threads: int = 1,
    ) -> None:
        """Load a model.

        Args:
            model: a shipped name, the path of an ``.onnx`` file, or a `Classifier`.
            precision: of a shipped model: ``int8``, ``fp32``, or ``auto`` for the faster.
            mode: ``digit`` takes each picture for one digit; ``page`` looks for digits in it;
                ``auto`` does the first up to 64 pixels on the longer side, else the second.
            orientation: which side of a picture is up. ``exif``: as its file says; ``auto``: the
                same, but where another quarter turn reads clearly better, that one (a page that
                leaves doubts takes four times as long; one digit that fills the picture is not
                turned); or the degrees clockwise by which the pixels are turned, whatever the
                file says (TIFF files excepted, which their decoder turns).
            min_confidence: threshold under which a digit is not accepted, 0–1; the model's own by
                default.
            threads: that one run of a net may use.

        Raises:
            InputNotFoundError, ModelError: there is no such model, or it is none.
            ValueError: `mode`, `orientation` or `min_confidence` is none.
        """
        if mode not in ("auto", "digit", "page"):
            raise ValueError(f"mode is {mode!r}; there is auto, digit and page")
        if orientation not in get_args(Orientation):
            raise ValueError(
                f"orientation is {orientation!r}; there is {', '.join(get_args(Orientation))}"
            )
        if min_confidence is not None and not 0 <= min_confidence <= 1:
            raise ValueError(f"min_confidence is {min_confidence}; needed is 0 to 1")
        if isinstance(model, Classifier):
            self.classifier = model
        else:
            self.classifier = Classifier(model, precision=precision, threads=threads)
        self.mode: Mode = mode
        self.orientation: Orientation = orientation
        self.threads = threads
        self._finder: Finder | None = None
        self.min_confidence = (
            self.classifier.min_confidence if min_confidence is None else min_confidence
        )

    @overload
    def read(self, images: Image) -> Reading: ...  # type: ignore[overload-overlap]  # str
    @overload
    def read(self, images: Sequence[Image]) -> list[Reading]: ...

    def read(self, images: Image | Sequence[Image]) -> Reading | list[Reading]:
        """Read one picture, or each of several.

        Args:
            images: a path; or an array as `digitkit.pixels.from_array` takes it (uint8 ``[H, W]``
                grey or ``[H, W, 3]`` BGR, and others); or a sequence of these.

        Raises:
            InputNotFoundError, SourceError: there is no such file, or it cannot be read.
            ImageError: it is no picture that digits can be read from. `stream` goes on instead.
        """
        if isinstance(images, str | os.PathLike | np.ndarray):
            return self.read_frame(self._frame(images))
        return [self.read_frame(self._frame(image)) for image in images]

    def stream(self, images: Iterable[Image]) -> Iterator[Reading | Failure]:
        """Read pictures one by one as they come; what cannot be read gives a `Failure`.

        Args:
            images: paths and arrays, as for `read`. Folders and patterns:
                `digitkit.sources.expand`.
        """
        for image in images:
            name = "array" if isinstance(image, np.ndarray) else shown(image)
            try:
                yield self.read_frame(self._frame(image))
            except (ImageError, InputNotFoundError, SourceError) as error:
                yield sources.failure(name, error)

    def _frame(self, image: Image) -> Frame:
        if isinstance(image, np.ndarray):
            return Frame("array", pixels.from_array(image))
        return sources.read_frame(image, exif=self.obeys_exif)

    @property
    def obeys_exif(self) -> bool:
        """Whether a source is to turn a file's picture as its EXIF orientation says."""
        return self.orientation in ("exif", "auto")

    def read_frame(self, frame: Frame) -> Reading:
        """Read a picture that a source has decoded.

        Raises:
            ImageError: it is of a single colour.
        """
        if self.orientation not in ("exif", "auto"):
            return self._read_turned(frame, int(self.orientation))[0]
        upright, evidence = self._read_turned(frame, 0)
        if self.orientation == "exif" or self._is_one_digit(frame) or _surely_upright(upright):
            return upright
        tried = [(upright, evidence)] + [self._read_turned(frame, turn) for turn in (90, 180, 270)]
        best, most = max(tried, key=lambda one: one[1])
        # As it came is right far more often than not.
        chosen = best if most - evidence > max(1.0, 0.15 * len(best.digits)) else upright
        ms = [reading.ms for reading, _ in tried]
        spent = Timings(
            frame.decode_ms,
            sum(one.locate for one in ms),
            sum(one.normalise for one in ms),
            sum(one.classify for one in ms),
        )
        return replace(chosen, ms=spent)

    def _read_turned(self, frame: Frame, turn: int) -> tuple[Reading, float]:
        """What a picture reads when it is turned, and how much speaks for that turn."""
        begun = time.perf_counter_ns()
        found = self._find(frame, turn)
        located = time.perf_counter_ns()
        images = [pixels.normal_form(one.ink) for one in found]
        normalised = time.perf_counter_ns()
        predictions = self.classifier.classify(images)
        one_digit = self._is_one_digit(frame)
        judged = [(1.0, False)] * len(found)
        if not one_digit:
            from . import pages  # not at the top: one digit is read without

            judged = pages.judged(
                found,
                [prediction.digit for prediction in predictions],
                [prediction.confidence for prediction in predictions],
                self.min_confidence,
                max(frame.image.shape[:2]),
            )
        digits, evidence = [], 0.0
        for one, image, prediction, (belief, cut) in zip(
            found, images, predictions, judged, strict=True
        ):
            confidence = prediction.confidence * belief
            digit = Digit(
                digit=prediction.digit,
                confidence=confidence,
                box=one.box,
                row=0,
                accepted=confidence >= self.min_confidence and not cut,
                image=image,
                probabilities=prediction.probabilities,
                is_digit=prediction.is_digit * belief,
                cut=cut,
            )
            evidence += _evidence(digit)
            # What is cut is no clear digit, but surely was one.
            if one_digit or confidence >= REPORTED or (cut and one.certainty >= pages.SURE):
                digits.append(digit)
        if not one_digit:
            places = pages.in_order([digit.box for digit in digits])
            digits = [replace(digits[i], row=row) for i, row in places]
        classified = time.perf_counter_ns()
        ms = Timings(
            frame.decode_ms,
            (located - begun) / 1e6,
            (normalised - located) / 1e6,
            (classified - normalised) / 1e6,
        )
        reading = Reading(
            frame.source, tuple(digits), ms, frame.number, frame.time, turn, frame.seconds
        )
        return reading, evidence

    def _is_one_digit(self, frame: Frame) -> bool:
        return self.mode == "digit" or (
            self.mode == "auto" and max(frame.image.shape[:2]) <= ONE_DIGIT_SIDE
        )

    def _find(self, frame: Frame, turn: int) -> list[Found]:
        plain = turned(pixels.grey(frame.image), turn)
        low, high, _, _ = cv2.minMaxLoc(plain)
        if low == high:
            if frame.number is not None:
                return []  # a covered lens
            raise ImageError(f"{frame.source}: is of a single colour; there is nothing to read")
        if self._is_one_digit(frame):
            height, width = plain.shape
            return [Found((0, 0, width, height), pixels.ink_of_digit(plain))]
        from . import pages

        if self._finder is None:
            self._finder = Finder(threads=self.threads)
        found = pages.find_digits(plain, self._finder)
        # A page of one digit may be that digit and nothing else, up to the border.
        return [*found, pages.whole_picture(plain)] if len(found) < 3 else found


def turned(image: U8, turn: int) -> U8:
    """A picture turned clockwise by 0, 90, 180 or 270 degrees."""
    how = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return cv2.rotate(image, how[turn]) if turn else image  # type: ignore[return-value]


_DIRECTED = {2: 0.5, 3: 1.0, 4: 1.0, 5: 0.5, 7: 1.0}
"""How much a digit tells which side is up. 0, 1 and 8 look alike upside down, a 6 is a 9 then, and
2 and 5 are much like themselves in some hands."""


def _evidence(digit: Digit) -> float:
    """How much one thing that was found speaks for the way the picture is turned."""
    weight = _DIRECTED.get(digit.digit, 0.1)
    return weight * digit.confidence - 0.5 * (1 - digit.confidence)


def _surely_upright(reading: Reading) -> bool:
    """Whether it reads so well that no turn needs to be tried."""
    sure = [digit for digit in reading.digits if digit.accepted]
    directed = sum(_DIRECTED.get(digit.digit, 0.0) for digit in sure)
    return directed >= max(1.0, 0.2 * len(sure)) and len(sure) >= 0.9 * len(reading.digits)
