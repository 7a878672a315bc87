"""Where readings go: lines of text, JSON or CSV, annotated pictures, and what the net saw."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Literal, Protocol, TextIO

import numpy as np
import numpy.typing as npt

from . import atomic, pixels
from ._opencv import cv2
from .errors import OutputError
from .reader import Digit, Reading
from .sources import Failure, Frame

U8 = npt.NDArray[np.uint8]
Format = Literal["text", "jsonl", "csv"]

CSV_COLUMNS = ("source", "text", "confidence", "digits", "rejected", "error")


class Sink(Protocol):
    """Takes readings one by one."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Take what was read from a picture."""

    def fail(self, failure: Failure) -> None:
        """Take that a source could not be read."""


def on_one_line(text: str) -> str:
    """Text with its line breaks and other control characters made visible, for output by lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_text(reading: Reading) -> str:
    """``seven.png: 7 (99.8%)``; rows parted by spaces; what was not accepted in brackets."""
    name = on_one_line(reading.source)
    if reading.frame is not None:
        name += f" #{reading.frame}"
    accepted = [digit for digit in reading.digits if digit.accepted]
    rejected = [digit for digit in reading.digits if not digit.accepted]
    parts = []
    if accepted:
        lowest = min(digit.confidence for digit in accepted)
        least = "" if len(accepted) == 1 else "at least "
        parts.append(f"{reading.text.replace(chr(10), ' ')} ({least}{percent(lowest)})")
    if rejected:
        doubts = ", ".join(f"{d.digit}? {percent(d.confidence)}" for d in rejected)
        parts.append(f"[not accepted: {doubts}]")
    return f"{name}: {' '.join(parts) or 'no digit found'}"


def percent(confidence: float) -> str:
    """A confidence for people; never rounded up to certainty."""
    return f"{min(confidence, 0.9999):.1%}" if confidence < 0.9995 else ">99.9%"


class Lines:
    """Writes one line (of CSV: one record) a picture, flushed as it comes."""

    def __init__(self, stream: TextIO, how: Format) -> None:
        """Write to `stream`; CSV begins with its header."""
        self.stream = stream
        self.how = how
        if how == "csv":
            self._put(_csv_record(CSV_COLUMNS))

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard output" if self.stream is sys.stdout else self.stream.name
            raise OutputError(f"{name}: cannot be written: {error.strerror}") from error

    def write(self, frame: Frame, reading: Reading) -> None:
        """Write a reading."""
        if self.how == "text":
            self._put(as_text(reading) + "\n")
        elif self.how == "jsonl":
            self._put(json.dumps(reading.to_json(), ensure_ascii=False) + "\n")
        else:
            accepted = [d.confidence for d in reading.digits if d.accepted]
            self._put(
                _csv_record(
                    (
                        reading.source,
                        reading.text,
                        f"{min(accepted):.4f}" if accepted else "",
                        len(accepted),
                        len(reading.digits) - len(accepted),
                        "",
                    )
                )
            )

    def fail(self, failure: Failure) -> None:
        """Write a failure as a record; as text it is an error message and none of our business."""
        if self.how == "jsonl":
            line = {"source": failure.source, "error": failure.error}
            self._put(json.dumps(line, ensure_ascii=False) + "\n")
        elif self.how == "csv":
            self._put(_csv_record((failure.source, "", "", "", "", failure.error)))


def _csv_record(values: tuple[object, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


class _Pictures:
    """Writes a picture a source into a folder, under a name made of the source's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: set[str] = set()

    def fail(self, failure: Failure) -> None:
        """There is nothing to draw."""

    def _save(self, frame: Frame, image: U8, mark: str = "") -> None:
        stem = Path(frame.source).stem[:150] or "image"
        if frame.number is not None:
            stem += f"-{frame.number:06d}"
        name, count = f"{stem}{mark}.png", 1
        # Two folders may each hold a 1.png; neither takes the other's place.
        while name.lower() in self._used:
            count += 1
            name = f"{stem}-{count}{mark}.png"
        self._used.add(name.lower())
        _, data = cv2.imencode(".png", image)
        atomic.write_bytes(self.folder / name, data.tobytes())


GREEN, RED, GREY = (60, 160, 30), (40, 40, 220), (110, 110, 110)


class Annotated(_Pictures):
    """Writes each picture with its digits boxed and named: green if accepted, else red."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and save."""
        self._save(frame, annotate(frame.image, reading))


def annotate(image: U8, reading: Reading) -> U8:
    """The picture with a box around each digit and what was read above it.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR; small pictures are enlarged, so that the marks can be read.
    """
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    ratio = max(1, -(-320 // max(image.shape[:2])))
    if ratio > 1:
        canvas = cv2.resize(canvas, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_NEAREST)
    long = max(canvas.shape[:2])
    line = max(1, round(long / 500))
    margin = 34 + 10 * line
    canvas = cv2.copyMakeBorder(
        canvas, margin, line, line, line, cv2.BORDER_CONSTANT, value=(245, 245, 245)
    )
    for digit in reading.digits:
        colour = GREEN if digit.accepted else RED
        x, y, w, h = (value * ratio for value in digit.box)
        x, y = x + line, y + margin
        cv2.rectangle(canvas, (x, y), (x + w - 1, y + h - 1), colour, line)
        size = min(max(h / 60, 0.5 * line), 2.0 * line)
        label = f"{digit.digit}" if digit.accepted else f"{digit.digit}?"
        at = (x, max(y - 3 * line, 18))
        cv2.putText(canvas, label, at, _FONT, size, (255, 255, 255), 4 * line, cv2.LINE_AA)
        cv2.putText(canvas, label, at, _FONT, size, colour, max(1, 2 * line), cv2.LINE_AA)
    return canvas  # type: ignore[return-value]


_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Explained(_Pictures):
    """Writes what the net saw of each digit beside the source, with its likeliest readings."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and save."""
        self._save(frame, explain(frame.image, reading))


_TILE = 168  # six times 28


def explain(image: U8, reading: Reading) -> U8:
    """The source on the left; of each digit its 28×28, enlarged, and the three likeliest readings.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    right = tiles(reading, columns=6)
    source = annotate(image, reading)
    side = max(right.shape[0], 2 * _TILE)
    ratio = side / max(source.shape[:2])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_NEAREST
    source = cv2.resize(source, None, fx=ratio, fy=ratio, interpolation=how)  # type: ignore[assignment]
    height = max(source.shape[0], right.shape[0])
    parts = [
        cv2.copyMakeBorder(
            part, 0, height - part.shape[0], 0, 12, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
        for part in (source, right)
    ]
    return np.hstack(parts)


def tiles(reading: Reading, columns: int) -> U8:
    """What the net saw of each digit, enlarged, with the three likeliest readings; a dash is none.

    Args:
        reading: what was read.
        columns: tiles in a row, at most.

    Returns:
        uint8 ``[h, w, 3]`` BGR.
    """
    made = [_tile(digit) for digit in reading.digits] or [_no_digit()]
    columns = min(len(made), columns)
    while len(made) % columns:
        made.append(np.full_like(made[0], 255))
    rows = [np.hstack(made[i : i + columns]) for i in range(0, len(made), columns)]
    return np.vstack(rows)


def _tile(digit: Digit) -> U8:
    big = cv2.resize(digit.image, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST)
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    tile[6 : 6 + _TILE, 6 : 6 + _TILE] = big[:, :, None]
    # The box that MNIST fits digits into, and the middle.
    scale, edge = _TILE // pixels.SIDE, (pixels.SIDE - pixels.BOX) // 2
    corner, far = 6 + edge * scale, 6 + (edge + pixels.BOX) * scale
    cv2.rectangle(tile, (corner, corner), (far, far), (120, 90, 20), 1)
    # The ten digits, and that it is none.
    shares = np.append(digit.probabilities * digit.is_digit, 1 - digit.is_digit)
    for line, place in enumerate(np.argsort(-shares)[:3]):
        share = float(shares[place])
        y = _TILE + 24 + 20 * line
        colour = (GREEN if digit.accepted else RED) if line == 0 else GREY
        cv2.putText(tile, "0123456789-"[place], (8, y), _FONT, 0.5, colour, 1, cv2.LINE_AA)
        cv2.rectangle(tile, (24, y - 9), (24 + round(share * 80), y - 2), colour, -1)
        label = percent(share)
        cv2.putText(tile, label, (110, y), _FONT, 0.42, colour, 1, cv2.LINE_AA)
    return tile


def _no_digit() -> U8:
    tile = np.full((_TILE + 74, _TILE + 12, 3), 255, np.uint8)
    cv2.putText(tile, "no digit found", (14, 90), _FONT, 0.55, GREY, 1, cv2.LINE_AA)
    return tile
