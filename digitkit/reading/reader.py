"""The reader: a picture in, the digits in it out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, get_args, overload

import numpy as np
import numpy.typing as npt

from digitkit.errors import ImageError, InputNotFoundError, SourceError, printable_path
from digitkit.images.convert import from_array, to_grey
from digitkit.images.ink import extract_ink
from digitkit.images.normal_form import normal_form
from digitkit.images.opencv import cv2
from digitkit.images.orientation import rotate
from digitkit.models.classifier import Classifier
from digitkit.models.registry import PrecisionChoice
from digitkit.reading.detections import Detection
from digitkit.reading.detector import Detector
from digitkit.reading.orientation import Orientation, orientation_evidence, surely_upright
from digitkit.reading.results import Digit, Reading, Timings
from digitkit.sources.files import load_frame
from digitkit.sources.frames import Failure, Frame, to_failure

Mode = Literal["auto", "digit", "page"]
Image = str | os.PathLike[str] | npt.NDArray[np.generic]

ONE_DIGIT_SIDE = 64
"""In mode ``auto``, a picture whose longer side is at most this is one digit, pixels."""

REPORTED = 0.25
"""Least confidence of what is reported at all: under it, it is clutter and no doubtful digit."""


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
        self._finder: Detector | None = None
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
            name = "array" if isinstance(image, np.ndarray) else printable_path(image)
            try:
                yield self.read_frame(self._frame(image))
            except (ImageError, InputNotFoundError, SourceError) as error:
                yield to_failure(name, error)

    def _frame(self, image: Image) -> Frame:
        if isinstance(image, np.ndarray):
            return Frame("array", from_array(image))
        return load_frame(image, exif=self.obeys_exif)

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
        if self.orientation == "exif" or self._is_one_digit(frame) or surely_upright(upright):
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
        images = [normal_form(one.ink) for one in found]
        normalised = time.perf_counter_ns()
        predictions = self.classifier.classify(images)
        one_digit = self._is_one_digit(frame)
        judged = [(1.0, False)] * len(found)
        if not one_digit:
            from digitkit.reading.context import SURE, rescore
            from digitkit.reading.order import (
                reading_order,  # not at the top: one digit is read without
            )

            judged = rescore(
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
            evidence += orientation_evidence(digit)
            # What is cut is no clear digit, but surely was one.
            if one_digit or confidence >= REPORTED or (cut and one.certainty >= SURE):
                digits.append(digit)
        if not one_digit:
            places = reading_order([digit.box for digit in digits])
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

    def _find(self, frame: Frame, turn: int) -> list[Detection]:
        plain = rotate(to_grey(frame.image), turn)
        low, high, _, _ = cv2.minMaxLoc(plain)
        if low == high:
            if frame.number is not None:
                return []  # a covered lens
            raise ImageError(f"{frame.source}: is of a single colour; there is nothing to read")
        if self._is_one_digit(frame):
            height, width = plain.shape
            return [Detection((0, 0, width, height), extract_ink(plain))]
        from digitkit.reading.pages import detect_digits, whole_image_detection

        if self._finder is None:
            self._finder = Detector(threads=self.threads)
        found = detect_digits(plain, self._finder)
        # A page of one digit may be that digit and nothing else, up to the border.
        return [*found, whole_image_detection(plain)] if len(found) < 3 else found
