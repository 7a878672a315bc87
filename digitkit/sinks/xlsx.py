"""Readings as an Excel table, with a picture of each number that is not complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from digitkit.arrays import U8, Box
from digitkit.images.orientation import rotate
from digitkit.reading.confidence import round_confidence
from digitkit.reading.results import Number, Reading
from digitkit.sinks.records import Record, failure_record, reading_records
from digitkit.sinks.workbook import Sheet, fit_picture, open_workbook
from digitkit.sources.frames import Failure, Frame

COLUMNS = {
    **{"source": 40, "page": 6, "row": 6, "column": 8, "text": 16, "picture": 24},
    **{"complete": 11, "confidence": 12, "reasons": 44, "error": 30, "frame": 8, "position": 10},
    **{"event": 12, "x": 8, "y": 8, "width": 8, "height": 8},
}
"""The columns with their widths, characters."""


@contextmanager
def open_xlsx(path: Path) -> Iterator[XlsxSink]:
    """A table of numbers that is written to `path` at the end; see `open_workbook`."""
    with open_workbook(path, {"numbers": COLUMNS}) as (sheet,):
        yield XlsxSink(sheet)


class XlsxSink:
    """Writes one row per number into a sheet."""

    wants_every_frame = False

    def __init__(self, sheet: Sheet) -> None:
        """Write into a sheet with these `COLUMNS`."""
        self._sheet = sheet

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a row per number.

        Raises:
            OutputError: the sheet is full.
        """

        @cache  # decoded and rotated only for pictures
        def upright() -> U8:
            return rotate(frame.image, reading.turn)

        def crop(number: Number) -> U8:
            return crop_number(upright(), number.box)

        for record in reading_records(reading):
            self._put(record)
            number = record.number
            if number is not None and not number.complete and record.event != "disappeared":
                self._sheet.add_picture(partial(crop, number), number.text)

    def fail(self, failure: Failure) -> None:
        """Write a row with the error.

        Raises:
            OutputError: the sheet is full.
        """
        self._put(failure_record(failure))

    def _put(self, record: Record) -> None:
        number = record.number
        values: dict[str, Any] = {
            "source": record.source,
            "page": record.page,
            "reasons": "; ".join(record.reasons) or None,
            "error": record.error,
            "frame": record.frame,
            "position": record.position and round(record.position, 3),
            "event": record.event,
        }
        if number is not None:
            values |= {
                "row": number.row,
                "column": number.column,
                "text": number.text,
                "complete": number.complete,
                "confidence": round_confidence(number.confidence),
                **dict(zip(("x", "y", "width", "height"), number.box, strict=True)),
            }
        incomplete = number is not None and not number.complete
        doubtful = COLUMNS if record.error or incomplete else ()
        self._sheet.add_row(values, doubtful, percent=("confidence",), tall=incomplete)


def crop_number(image: U8, box: Box) -> U8:
    """A number's part of an image, with a margin, as `fit_picture` scales it.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, upright.
        box: of the number, pixels.

    Returns:
        uint8 ``[h, w]`` or ``[h, w, 3]``.
    """
    x, y, w, h = box
    margin = 2 + round(max(0.25 * h, 0.1 * w))
    crop = image[max(0, y - margin) : y + h + margin, max(0, x - margin) : x + w + margin]
    return fit_picture(crop)
