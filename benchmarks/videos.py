"""How soon and how reliably a video's numbers are reported: the last part of ``photos.py``.

A video is read as ``digitkit infer`` does with default options: frame by frame, but of an animated
picture only the first one. A number is shown from the moment at which it is reported until the next
one is. A label's ``timeline`` says what should be shown: ``[[from, to, text], …]``, in seconds of
the video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common import table

from digitkit import Reader
from digitkit.errors import ImageError
from digitkit.inference.infer_values import DEFAULT_HOLD
from digitkit.inference.pipeline import Reporting, deliver, read_each
from digitkit.reading.results import Reading
from digitkit.sinks.base import Sink
from digitkit.sources.files import read_frames
from digitkit.sources.frames import Failure, Frame

Timeline = Sequence[tuple[float, float, str]]
"""From and to, seconds, and the text that is legible then, rows separated by newlines."""


@dataclass(frozen=True)
class Playback:
    """What was reported of one video.

    Attributes:
        file: its name.
        reports: seconds and text of each report.
        nothing: seconds of the timeline during which nothing had been reported.
        wrong: seconds during which something else than the label was shown.
        right: seconds during which the label was shown.
    """

    file: str
    reports: tuple[tuple[float, str], ...]
    nothing: float
    wrong: float
    right: float


class _Reports(Sink[Reading]):
    """Collects what is reported."""

    wants_every_frame = False

    def __init__(self) -> None:
        self.reports: list[tuple[float, str]] = []

    def write(self, frame: Frame, reading: Reading) -> None:
        """Remember when it was reported."""
        self.reports.append((frame.seconds or 0.0, reading.text))

    def fail(self, failure: Failure) -> None:
        """A video that breaks off is no result."""
        raise ImageError(failure.error, subject=failure.source)


def play(path: Path, timeline: Timeline, reader: Reader) -> Playback:
    """Read a video as ``digitkit infer`` does.

    Args:
        path: the video.
        timeline: what is legible when.
        reader: reads each frame.

    Raises:
        ImageError: it cannot be read to its end.
    """
    sink = _Reports()
    deliver(
        read_each(reader, read_frames([path])),
        [sink],
        Reporting(reader.min_confidence, hold=DEFAULT_HOLD),
        on_failure=lambda failure: None,
    )
    return judge(path.name, timeline, sink.reports)


def judge(name: str, timeline: Timeline, reports: Sequence[tuple[float, str]]) -> Playback:
    """Compare reports (seconds, text) with the timeline."""
    seconds = {"nothing": 0.0, "wrong": 0.0, "right": 0.0}
    for begin, end, text in timeline:
        changes = [begin, *(at for at, _ in reports if begin < at < end), end]
        for start, stop in pairwise(changes):
            shown = [told for at, told in reports if at <= start]
            if not shown:
                kind = "nothing"
            else:
                kind = "right" if shown[-1].split() == text.split() else "wrong"
            seconds[kind] += stop - start
    return Playback(name, tuple(reports), **seconds)


def print_videos(played: Mapping[str, Sequence[Playback]]) -> None:
    """Print a row for each video and reader; nothing without videos."""
    rows = [
        [
            playback.file, name, f"{playback.nothing:.1f}", f"{playback.wrong:.1f}",
            f"{playback.right:.1f}",
            "; ".join(f"{at:.1f} s: {' '.join(text.split())}" for at, text in playback.reports),
        ]
        for name, playbacks in played.items()
        for playback in playbacks
    ]  # fmt: skip
    if rows:
        heads = ["video", "", "nothing s", "wrong s", "right s", "reported"]
        print(f"\n{table(heads, rows, left=2)}")
