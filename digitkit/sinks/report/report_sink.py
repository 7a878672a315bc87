"""The sink that writes a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from digitkit.reading.results import Number, Reading
from digitkit.sinks.records import digit_label
from digitkit.sinks.report.builder import Line, ReportBuilder, ReportInfo
from digitkit.sinks.review import UprightFrame, review_items
from digitkit.sources.frames import Failure, Frame
from digitkit.system import atomic


class BuilderSink:
    """Collects what is read, and what fails, for a report."""

    wants_every_frame = False

    def __init__(self, builder: ReportBuilder) -> None:
        """Collect into a builder."""
        self._builder = builder

    def fail(self, failure: Failure) -> None:
        """Collect a failure."""
        self._builder.fail(failure)


class ReportSink(BuilderSink):
    """Collects readings for a report; see `open_report`."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Collect a reading."""
        lines = [_to_line(number) for number in reading.numbers]
        lines += [_to_line(number, is_dropped=True) for number in reading.dropped]
        lines += [
            Line(digit_label(digit), digit.confidence, is_sure=False, is_alone=True)
            for digit in reading.lone_digits
        ]
        picture = UprightFrame(frame, reading.turn)
        self._builder.add(picture, lines, reading.verdict, review_items(frame, reading))


def _to_line(number: Number, *, is_dropped: bool = False) -> Line:
    return Line(number.text, number.confidence, number.complete and not is_dropped)


@contextmanager
def open_report(
    path: Path, info: ReportInfo, is_finished: Callable[[], bool] = lambda: True
) -> Iterator[ReportBuilder]:
    """A report that is written when all is read; not at all if that is interrupted.

    Args:
        path: of the file.
        info: what the report says of itself.
        is_finished: whether all was read; called at the end.

    Raises:
        OutputError: the file cannot be written.
    """
    from digitkit.sinks.report.page import make_page  # not before it is needed

    atomic.check_writable(path)
    builder = ReportBuilder(info)
    yield builder
    if is_finished():
        atomic.write_bytes(path, make_page(builder).encode("utf-8", "replace"))
