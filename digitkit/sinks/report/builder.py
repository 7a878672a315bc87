"""What goes into a report: totals of everything, and the least certain pictures and items."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from digitkit.images.encode import encode_jpeg
from digitkit.reading.confidence import round_confidence
from digitkit.reading.results import Verdict
from digitkit.sinks.records import describe_moment
from digitkit.sinks.review import ReviewItem, UprightFrame, to_inline_json
from digitkit.sources.frames import Failure, FailureKind

MAX_PICTURES = 1000
"""Most pictures that are shown: a thousand are about 10 MB."""

MAX_ITEMS = 1000
"""Most items that are reviewed, which are of about the same size."""

MAX_FAILURES = 200
"""Most failures that are listed; all are counted."""

MAX_LINES = 12
"""Most numbers of a picture that are listed; the least certain are."""

BIN_STARTS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Where the bins of the histogram begin, after 0."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class ReportInfo:
    """What a report says of itself.

    Attributes:
        version: of digitkit.
        model: as the user named it.
        model_file: name of the model's file.
        model_sha256: of the file.
        created: when it is made.
    """

    version: str
    model: str
    model_file: str
    model_sha256: str
    created: datetime


@dataclass(frozen=True)
class Line:
    """One number or field, as a report lists it.

    Attributes:
        text: what was read.
        confidence: probability that it is right, 0–1.
        is_sure: whether nobody needs to look at it.
        label: what it is, the name of a field; empty for a number.
        is_alone: whether it is a digit that is not accepted and in no number, which is listed, but
            not counted as a number.
    """

    text: str
    confidence: float
    is_sure: bool
    label: str = ""
    is_alone: bool = False


@dataclass(frozen=True)
class ShownPicture:
    """A picture that is shown.

    Attributes:
        name: its source, of a frame with its moment.
        verdict: on what was read in it.
        lines: its least certain numbers or fields.
        more: how many others it has.
        thumbnail: JPEG file.
        shape: height and width of the thumbnail, pixels.
    """

    name: str
    verdict: Verdict
    lines: tuple[Line, ...]
    more: int
    thumbnail: bytes
    shape: tuple[int, int]


class _Smallest(Generic[_T]):
    """The values with the smallest keys, made only where they are kept."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[float, int, _T]] = []
        self._added = 0

    def add(self, key: float, make: Callable[[], _T]) -> None:
        self._added += 1
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, (-key, -self._added, make()))
        elif -key > self._heap[0][0]:
            heapq.heapreplace(self._heap, (-key, -self._added, make()))

    def sorted(self) -> list[_T]:
        return [value for _, _, value in sorted(self._heap, key=lambda one: (-one[0], -one[1]))]

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def left_out(self) -> int:
        return self._added - len(self._heap)


class ReportBuilder:
    """Collects what a report shows; its memory does not depend on the number of pictures.

    Attributes:
        info: what the report says of itself.
        verdicts: how many pictures are what.
        failed: how many sources could not be read, by why.
        failures: the first of these.
        histogram: how many numbers have a confidence in each bin.
    """

    def __init__(self, info: ReportInfo) -> None:
        """Begin an empty report."""
        self.info = info
        self.verdicts: Counter[Verdict] = Counter()
        self.failed: Counter[FailureKind] = Counter()
        self.failures: list[Failure] = []
        self.histogram = [0] * (len(BIN_STARTS) + 1)
        self._pictures: _Smallest[ShownPicture] = _Smallest(MAX_PICTURES)
        self._items: _Smallest[str] = _Smallest(MAX_ITEMS)

    @property
    def pictures(self) -> list[ShownPicture]:
        """The least certain pictures, these first."""
        return self._pictures.sorted()

    @property
    def items_json(self) -> str:
        """The least certain items, these first, as a JSON array of `to_inline_json`."""
        return f"[{', '.join(self._items.sorted())}]"

    @property
    def item_count(self) -> int:
        """How many items `items_json` has."""
        return len(self._items)

    @property
    def hidden(self) -> tuple[int, int]:
        """How many pictures and items are left out, more certain ones."""
        return self._pictures.left_out, self._items.left_out

    def add(
        self,
        picture: UprightFrame,
        lines: Sequence[Line],
        verdict: Verdict,
        items: Sequence[ReviewItem],
    ) -> None:
        """Add a picture.

        Args:
            picture: its pixels.
            lines: what was read.
            verdict: on what was read.
            items: what of it is to be reviewed.
        """
        self.verdicts[verdict] += 1
        for line in lines:
            if not line.is_alone:
                confidence = round_confidence(line.confidence)
                self.histogram[sum(confidence >= start for start in BIN_STARTS)] += 1
        # Doubtful pictures first, those in which nothing was found last.
        key = min((line.is_sure + line.confidence for line in lines), default=2.0)
        self._pictures.add(key, lambda: _show(picture, lines, verdict))
        for item in items:
            self._items.add(item.confidence, lambda item=item: json.dumps(to_inline_json(item)))  # type: ignore[misc]

    def fail(self, failure: Failure) -> None:
        """Add a source that could not be read."""
        self.failed[failure.kind] += 1
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)


def _show(picture: UprightFrame, lines: Sequence[Line], verdict: Verdict) -> ShownPicture:
    frame, (height, width) = picture.frame, picture.shape
    moment = describe_moment(frame.time, frame.seconds, frame.number)
    whole = (0, 0, width, height)
    thumbnail, _ = picture.cut_out(whole, whole)
    least = sorted(lines, key=lambda line: (line.is_sure, line.confidence))[:MAX_LINES]
    return ShownPicture(
        name=f"{frame.name} {moment}".rstrip(),
        verdict=verdict,
        lines=tuple(least),
        more=len(lines) - len(least),
        thumbnail=encode_jpeg(thumbnail, quality=75),
        shape=(thumbnail.shape[0], thumbnail.shape[1]),
    )
