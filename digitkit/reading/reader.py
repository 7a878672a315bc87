"""The reader: an image in, the digits in it out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, overload

from digitkit.arrays import U8
from digitkit.choices import MAX_THREADS, Mode, Orientation, PrecisionChoice
from digitkit.errors import (
    ConfigError,
    at_least,
    check_choice,
    check_range,
)
from digitkit.images.cv import cv2, errors_of
from digitkit.images.grey import GreyImage
from digitkit.images.normal_form import normal_form
from digitkit.models.classifier import Classifier, Prediction
from digitkit.reading.detection.detections import ClassifiedDetection, Detection, Page
from digitkit.reading.detection.margins import add_margin, remove_margin, required_margin
from digitkit.reading.detection.orientation import is_clearly_better, surely_upright
from digitkit.reading.detection.rings import erase_rings
from digitkit.reading.networks.detector import Detector
from digitkit.reading.networks.grey_classifier import GreyClassifier
from digitkit.reading.networks.line_reader import LineReader
from digitkit.reading.numbers.finding import find_numbers
from digitkit.reading.results import Reading, Timings
from digitkit.reading.strategies import (
    PageNetworks,
    PageStrategy,
    SingleDigitStrategy,
    Strategy,
    classify_with,
)
from digitkit.sources.frames import Failure, Frame

if TYPE_CHECKING:
    from digitkit.sources.objects import Image

# What takes other objects than files is imported where it is used: most runs read a few files.

ONE_DIGIT_SIDE = 64
"""In mode ``auto``, an image whose longer side is at most this is one digit, pixels."""


class Reader:
    """Reads digits from images.

    >>> Reader().read("seven.png").text  # doctest: +SKIP
    '7'

    Attributes:
        classifier: the model.
        mode: what an image holds.
        orientation: which side of it is up.
        gap: least gap between two numbers, in heights of the digits; None for one that depends on
            the page, infinity in mode ``number``.
        threads: threads for the detector, the line reader and the grey classifier.
        min_confidence: the threshold for a digit to be accepted, 0–1.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Classifier = "digits",
        *,
        precision: PrecisionChoice = "auto",
        mode: Mode = "auto",
        orientation: Orientation = "exif",
        min_confidence: float | None = None,
        gap: float | None = None,
        threads: int = 1,
        detector: Detector | None = None,
        line_reader: LineReader | None = None,
        grey_classifier: GreyClassifier | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a shipped name, the path of an ``.onnx`` file, or a `Classifier`.
            precision: which file of a shipped model: ``int8``, ``fp32``, or ``auto`` for the
                faster one.
            mode: ``digit``: each image is one digit; ``number``: it is one number, whatever the
                gaps between its digits; ``page``: detect the digits in it; ``auto``: one digit up
                to 64 pixels on the longer side, else a page.
            orientation: which side of an image is up. ``exif``: as its EXIF data says; ``auto``:
                that, or another quarter turn where it reads clearly better (a page with doubtful
                digits takes four times as long; a single digit is not rotated); or the degrees
                clockwise by which the pixels are rotated, whatever the EXIF data says (except for
                TIFF and HEIC files, which their decoders rotate).
            min_confidence: threshold for a digit to be accepted, 0–1; the model's own by default.
            gap: least gap between two numbers of a row, in heights of the digits, at least 0; by
                default it depends on the gaps of the row and of the page. Not in mode ``number``.
            threads: threads for one call of a network, 1 to 1,024.
            detector: the detector; by default the shipped one, loaded for the first page.
            line_reader: the network that reads rows; by default the shipped one, loaded for the
                first page.
            grey_classifier: the network that reads the pixels of images of one digit whose ink is
                not clear or in doubt, and of pages that may be one digit, where it decides,
                whatever the model is; and of digits on pages with few, where it is one of the
                reasons to doubt them. By default the shipped one, loaded when it is first needed.

        Raises:
            InputNotFoundError: the model does not exist.
            ModelError: it cannot be loaded, or is not a digit model.
            ConfigError: `model`, `precision`, `mode`, `orientation`, `min_confidence`, `gap` or
                `threads` is not valid.
        """
        check_choice("mode", mode, Mode)
        check_choice("orientation", orientation, Orientation)
        if min_confidence is not None:
            check_range("min_confidence", min_confidence, 0, 1)
        if gap is not None:
            at_least("gap", gap, 0)
            if mode == "number":
                raise ConfigError("cannot be combined with the mode number", field="gap")
        check_range("threads", threads, 1, MAX_THREADS, whole=True)
        if isinstance(model, Classifier):
            if precision != "auto":
                raise ConfigError("cannot be combined with a Classifier", field="precision")
            self.classifier = model
        else:
            self.classifier = Classifier(model, precision=precision, threads=threads)
        self.mode: Mode = mode
        self.orientation: Orientation = orientation
        self.gap = math.inf if mode == "number" else gap
        self.threads = threads
        self.min_confidence = (
            self.classifier.min_confidence if min_confidence is None else min_confidence
        )
        self._given_detector, self._given_line_reader = detector, line_reader
        self._given_grey_classifier = grey_classifier

    def __repr__(self) -> str:
        """With which model, and how it reads."""
        return f"Reader({self.classifier!r}, mode={self.mode!r}, orientation={self.orientation!r})"

    @overload
    def read(self, images: Image) -> Reading: ...  # type: ignore[overload-overlap]  # str
    @overload
    def read(self, images: Iterable[Image]) -> list[Reading]: ...

    def read(self, images: Image | Iterable[Image]) -> Reading | list[Reading]:
        """Read one image, or each of several.

        Args:
            images: a path, also of a page (``scan.tiff#2``); an array as
                `digitkit.images.convert.from_array` takes it (uint8 ``[H, W]`` grey, ``[H, W, 3]``
                BGR, and others); the bytes of an image file; a file open in binary mode; an image
                of Pillow, of any mode; or several of these.

        Returns:
            A reading for one image; a list in the same order for several.

        Raises:
            InputNotFoundError: the file does not exist.
            SourceError: it cannot be read.
            ImageError: it is not an image that digits can be read from, or a file of several
                pages: see `read_pages`. `stream` continues instead.
            MissingDependencyError: a package that reads it is not installed.
            InputTypeError: it is of another type, such as None.
            ModelError, ModelRunError: as `read_frame` raises.
        """
        from digitkit.sources.objects import read_objects

        return read_objects(images, self.read_frame, exif=self.obeys_exif)

    def read_pages(self, image: Image) -> Iterator[Reading | Failure]:
        """Read the pages of a PDF, TIFF, GIF or WebP file one by one; of other images the only one.

        Args:
            image: as for `read`; of an image of Pillow, the frame that it shows.

        Yields:
            A reading for each page; a `Failure` for one, or a file, that cannot be read.
        """
        from digitkit.sources.objects import read_each_page

        yield from read_each_page(image, self.read_frame, exif=self.obeys_exif)

    def stream(self, images: Image | Iterable[Image]) -> Iterator[Reading | Failure]:
        """Read images one by one as they come; one that cannot be read gives a `Failure`.

        Args:
            images: as for `read`; files with several pages give a reading for each. For folders and
                patterns see `digitkit.sources.files.expand_sources`.
        """
        from digitkit.sources.objects import split_images

        for image in split_images(images):
            yield from self.read_pages(image)

    @property
    def obeys_exif(self) -> bool:
        """Whether a source is to rotate an image file as its EXIF data says."""
        return self.orientation in ("exif", "auto")

    def read_frame(self, frame: Frame) -> Reading:
        """Read an image that a source has decoded; one of a single colour has no digits.

        Raises:
            ImageError: the rest of a large JPEG image does not decode, or OpenCV fails.
            ModelError: one of the other networks cannot be loaded; it is when it is first needed.
            ModelRunError: ONNX Runtime fails.
        """
        with errors_of(frame.source):
            return self._read(frame)

    def _read(self, frame: Frame) -> Reading:
        strategy, image = self._choose_strategy(frame), frame.grey
        if not self.obeys_exif:
            return self._read_rotated(frame, image, strategy, int(self.orientation))[0]
        upright, evidence = self._read_rotated(frame, image, strategy, 0)
        if self.orientation == "exif" or not strategy.reads_pages or surely_upright(upright):
            return upright
        tried = [(upright, evidence)]
        tried += [self._read_rotated(frame, image, strategy, turn) for turn in (90, 180, 270)]
        best, most = max(tried, key=lambda attempt: attempt[1])
        chosen = best if is_clearly_better(most, evidence, len(best.digits)) else upright
        return replace(chosen, ms=_total([reading.ms for reading, _ in tried]))

    def is_small(self, frame: Frame) -> bool:
        """Whether an image is one digit and so small that `read_small` is worth while."""
        return self.mode in ("auto", "digit") and max(frame.shape) <= ONE_DIGIT_SIDE

    def read_small(self, frames: Sequence[Frame]) -> list[Reading]:
        """Read images for which `is_small` holds as `read_frame` does, in one call of the model.

        Args:
            frames: at least one.

        Returns:
            A reading for each, in order; `Timings.classify` has an equal share of the call, and the
            grey classifier's time where an image's ink says too little.

        Raises:
            ImageError, ModelError, ModelRunError: as `read_frame` raises; not for which image.
        """
        with errors_of(frames[0].source):
            return self._read_small(frames)

    def _read_small(self, frames: Sequence[Frame]) -> list[Reading]:
        turn = 0 if self.obeys_exif else int(self.orientation)
        strategy = SingleDigitStrategy(self._load_grey)
        reads = [_Read(frame, frame.grey.rotated(turn), strategy, turn) for frame in frames]
        found = [self._find(read.image, strategy) for read in reads]
        begun = time.perf_counter_ns()
        predictions = self.classifier.classify([image for each in found for image in each.images])
        ms = (time.perf_counter_ns() - begun) / 1e6 / max(1, len(frames))
        readings, start = [], 0
        for read, each in zip(reads, found, strict=True):
            own = predictions[start : start + len(each.images)]
            start += len(own)
            readings.append(self._assemble(read, each, own, ms)[0])
        return readings

    def _choose_strategy(self, frame: Frame) -> Strategy:
        if self.mode == "digit" or self.is_small(frame):
            return SingleDigitStrategy(self._load_grey)
        return self._page

    @cached_property
    def detector(self) -> Detector:
        """What finds digits on pages; loaded when it is first needed."""
        return self._given_detector or Detector(threads=self.threads)

    @cached_property
    def line_reader(self) -> LineReader:
        """What reads rows of digits as a whole; loaded when it is first needed."""
        return self._given_line_reader or LineReader(threads=self.threads)

    @cached_property
    def grey_classifier(self) -> GreyClassifier:
        """What reads an image of one digit itself, not its ink; loaded when it is first needed."""
        return self._given_grey_classifier or GreyClassifier(threads=self.threads)

    @cached_property
    def _page(self) -> Strategy:
        return PageStrategy(self.detector, PageNetworks(self.line_reader, self._load_grey))

    def _read_rotated(
        self, frame: Frame, image: GreyImage, strategy: Strategy, turn: int
    ) -> tuple[Reading, float]:
        """Read an image rotated clockwise by `turn` degrees.

        Returns:
            The reading, and how much it supports that orientation.
        """
        image, margin = image.rotated(turn), 0
        if strategy.reads_pages:
            margin = required_margin(image)
            image = erase_rings(add_margin(image, margin) if margin else image)
        found = self._find(image, strategy)
        begun = time.perf_counter_ns()
        predictions = self.classifier.classify(found.images)
        ms = (time.perf_counter_ns() - begun) / 1e6
        return self._assemble(_Read(frame, image, strategy, turn, margin), found, predictions, ms)

    def _find(self, image: GreyImage, strategy: Strategy) -> _Found:
        """What may be digits in an image, and what of it the classifier is to see."""
        started = time.perf_counter_ns()
        detections = [] if _is_blank(image) else strategy.detect(image)
        located = time.perf_counter_ns()
        images = [normal_form(detection.ink) for detection in detections]
        finished = time.perf_counter_ns()
        return _Found(detections, images, (located - started) / 1e6, (finished - located) / 1e6)

    def _assemble(
        self, read: _Read, found: _Found, predictions: Sequence[Prediction], classify_ms: float
    ) -> tuple[Reading, float]:
        """A reading from what was found and classified, and how much it supports the rotation."""
        begun = time.perf_counter_ns()
        frame = read.frame
        classified = list(map(ClassifiedDetection, found.detections, found.images, predictions))
        digits, marks, evidence = read.strategy.assemble(
            classified, Page(read.image, self._classify, self.min_confidence)
        )
        if read.margin:
            height, width = (side - 2 * read.margin for side in read.image.shape)
            digits = remove_margin(digits, read.margin, (height, width))
            marks = remove_margin(marks, read.margin, (height, width))
        numbers = find_numbers(digits, marks, gap=self.gap)
        ms = Timings(
            frame.decode_ms,
            found.locate_ms,
            found.normalise_ms,
            classify_ms + (time.perf_counter_ns() - begun) / 1e6,
        )
        reading = Reading(
            frame.source,
            digits,
            ms,
            frame=frame.number,
            time=frame.time,
            turn=read.turn,
            seconds=frame.seconds,
            page=frame.page,
            numbers=numbers,
            marks=marks,
            gap=self.gap,
        )
        return reading, evidence

    def _load_grey(self) -> GreyClassifier:
        return self.grey_classifier

    def _classify(self, detections: Sequence[Detection]) -> list[ClassifiedDetection]:
        return classify_with(self.classifier, detections)


@dataclass(frozen=True)
class _Read:
    """An image, and how it is read.

    Attributes:
        frame: that the image is of.
        image: it, rotated by `turn`.
        strategy: how it becomes digits.
        turn: degrees clockwise.
        margin: paper that `image` has around it and the frame has not, pixels.
    """

    frame: Frame
    image: GreyImage
    strategy: Strategy
    turn: int
    margin: int = 0


@dataclass(frozen=True)
class _Found:
    """What may be digits in an image.

    Attributes:
        detections: these.
        images: each in normal form, uint8 ``[28, 28]``.
        locate_ms: how long finding them took, milliseconds.
        normalise_ms: how long the normal forms took.
    """

    detections: list[Detection]
    images: list[U8]
    locate_ms: float
    normalise_ms: float


def _total(ms: Sequence[Timings]) -> Timings:
    """The times of several readings of one image, which was decoded once."""
    return Timings(
        ms[0].decode,
        sum(each.locate for each in ms),
        sum(each.normalise for each in ms),
        sum(each.classify for each in ms),
    )


def _is_blank(image: GreyImage) -> bool:
    """Whether an image is of a single colour: a blank page, a covered lens."""
    for halvings in (image.halvings, 0):  # what the reduced image shows, the whole one does, too
        low, high, _, _ = cv2.minMaxLoc(image.halved(halvings))
        if low < high:
            return False
    return True
