"""Where readings go: lines of text, JSON or CSV, annotated pictures, and what the net saw."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from . import atomic, containers, pixels
from ._opencv import cv2
from .errors import OutputError, shown
from .finder import Box
from .reader import Digit, Reading, turned
from .sources import Failure, Frame

U8 = npt.NDArray[np.uint8]
Format = Literal["text", "jsonl", "csv"]

CSV_COLUMNS = ("source", "text", "confidence", "digits", "rejected", "error", "frame", "time")


class Sink(Protocol):
    """Takes readings one by one.

    Attributes:
        moving: whether it wants every frame of what moves, not only readings that are news.
    """

    moving: bool

    def write(self, frame: Frame, reading: Reading) -> None:
        """Take what was read from a picture."""

    def fail(self, failure: Failure) -> None:
        """Take that a source could not be read."""


def on_one_line(text: str) -> str:
    """Text with its line breaks and other control characters made visible, for output by lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_text(reading: Reading) -> str:
    """``seven.png: 7 (99.8%)``; rows parted by spaces; what was not accepted in brackets.

    A digit in doubt keeps its place in a row, so that no number looks complete that is not:
    ``19[8?]4``.
    """
    name = on_one_line(reading.source)
    if reading.frame is not None:
        name += f" #{reading.frame}"
    accepted = [digit for digit in reading.digits if digit.accepted]
    rejected = [digit for digit in reading.digits if not digit.accepted]
    parts = []
    if accepted:
        lowest = min(digit.confidence for digit in accepted)
        least = "" if len(accepted) == 1 else "at least "
        rows: dict[int, str] = {digit.row: "" for digit in accepted}
        for digit in reading.digits:
            if digit.row in rows:
                rows[digit.row] += str(digit.digit) if digit.accepted else f"[{_name(digit)}]"
        parts.append(f"{' '.join(rows.values())} ({least}{percent(lowest)})")
    if rejected:
        doubts = ", ".join(f"{_name(d)} {percent(d.confidence)}" for d in rejected)
        parts.append(f"[not accepted: {doubts}]")
    return f"{name}: {' '.join(parts) or 'no digit found'}"


def _name(digit: Digit) -> str:
    """A digit as it is told: ``7``, ``7?`` if it is in doubt, ``7 cut`` if the border cuts it."""
    doubt = " cut" if digit.cut else "?"
    return f"{digit.digit}" if digit.accepted else f"{digit.digit}{doubt}"


def percent(confidence: float) -> str:
    """A confidence for people; never rounded up to certainty."""
    return f"{min(confidence, 0.9999):.1%}" if confidence < 0.9995 else ">99.9%"


class Stream(Protocol):
    """What `Lines` writes to: an open text file, or `Rotated`."""

    @property
    def name(self) -> Any:
        """The file's name, for messages."""

    def write(self, text: str, /) -> int:
        """Take a text."""

    def flush(self) -> None:
        """Hand on what was taken."""


class _Rotating(RotatingFileHandler):
    terminator = ""

    def handleError(self, record: LogRecord) -> None:  # noqa: N802
        raise  # called where the error is at hand; logging's own would print and go on


class Rotated:
    """A file that is put aside once it is full: ``NAME.1`` is then the last one, and so on."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        """Go on with the file `path`.

        Args:
            path: the newest file; its folder is made.
            max_bytes: a text that would make a file larger goes into the next one.
            keep: files that stay beside the newest, from 1.

        Raises:
            OutputError: it cannot be written.
        """
        self.name = shown(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = _Rotating(path, maxBytes=max_bytes, backupCount=keep, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self.name}: cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What could not be written was told then, and closing would try it again.
        with suppress(OSError):
            self._handler.close()

    def write(self, text: str, /) -> int:
        """Write a text whole into one file; raises `OSError`."""
        self._handler.emit(makeLogRecord({"msg": text}))
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is handed on as it comes."""


class Lines:
    """Writes one line (of CSV: one record) a picture, flushed as it comes."""

    moving = False

    def __init__(self, stream: Stream, how: Format) -> None:
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
                        "" if reading.frame is None else reading.frame,
                        "" if reading.time is None else reading.time.isoformat(),
                    )
                )
            )

    def fail(self, failure: Failure) -> None:
        """Write a failure as a record; as text it is an error message and none of our business."""
        if self.how == "jsonl":
            line = {"source": failure.source, "error": failure.error}
            self._put(json.dumps(line, ensure_ascii=False) + "\n")
        elif self.how == "csv":
            self._put(_csv_record((failure.source, "", "", "", "", failure.error, "", "")))


def _csv_record(values: tuple[object, ...]) -> str:
    import csv

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()


class _Pictures:
    """Writes a picture a source into a folder, under a name made of the source's."""

    moving = False

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


GREEN, RED, GREY = (60, 150, 30), (40, 40, 220), (110, 110, 110)


class Annotated(_Pictures):
    """Writes each picture with its digits boxed and named: green if accepted, else red."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and save."""
        self._save(frame, annotate(frame.image, reading))


class Video:
    """Writes the annotated frames as a video, in the time in which they were taken.

    A video file's frames keep their rate. A camera's come when they come: each is shown until the
    next one was taken, but no longer than `LONGEST`. Pictures are shown a while each. All are
    fitted into the size of the first. Used in a ``with`` statement: the file gets its name at the
    end, and an error leaves none behind.
    """

    moving = True

    LIVE_FPS = 20.0
    """Frames a second of a camera's video."""

    PICTURE_SECONDS = 1.5
    """How long a picture that is no frame is shown."""

    LONGEST = 2.0
    """How long a frame is shown at most, seconds: gaps and leaps of the clock are left out."""

    def __init__(self, path: Path) -> None:
        """Write to `path`; .mp4 (MPEG-4) or .avi (Motion JPEG).

        Raises:
            OutputError: it has another suffix, or OpenCV cannot write to such a name.
        """
        self.path = path
        self._code = VIDEO_CODES.get(path.suffix.lower())
        if self._code is None:
            raise OutputError(f"{path}: is no video that can be written; name an .mp4 or an .avi")
        try:
            str(path.absolute()).encode()
        except UnicodeEncodeError as error:  # OpenCV would crash
            raise OutputError(
                f"{shown(path)}: is no UTF-8 text; name the video otherwise"
            ) from error
        self._file = ExitStack()
        self._temporary = path
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._fps = self.LIVE_FPS
        # The frame that is shown until the next one says for how long, and when it was taken.
        self._last: U8 | None = None
        self._source = ""
        self._taken: float | None = None
        self._owed = 0.0  # frames, a part of one

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish the file, or leave none.

        Raises:
            OutputError: it could not be written to its end.
        """
        if kind is None and self._last is not None:
            self._show(1 / self._fps if self._taken is not None else self.PICTURE_SECONDS)
        if self._writer is not None:
            self._writer.release()
        if kind is None and self._writer is not None:
            with self._temporary.open("rb") as file:
                if not containers.is_whole(file):  # the writer says nothing of a full disk
                    self._file.__exit__(OutputError, OutputError("incomplete"), None)
                    raise OutputError(
                        f"{self.path}: cannot be written to its end; is the disk full?"
                    )
        self._file.__exit__(kind, error, traceback)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and append.

        Raises:
            OutputError: the video cannot be written.
        """
        drawn = annotate(frame.image, reading)
        at = frame.seconds if frame.time is None else frame.time.timestamp()
        if self._last is not None:
            following = at is not None and self._taken is not None and frame.source == self._source
            step = (at or 0.0) - (self._taken or 0.0) if following else 0.0
            if self._writer is None and following and frame.time is None and step > 0:
                self._fps = min(max(1 / step, 1.0), 120.0)
            if not 0 < step <= self.LONGEST:
                step = 1 / self._fps if at is not None else self.PICTURE_SECONDS
            self._show(step)
        self._last, self._taken, self._source = drawn, at, frame.source

    def _show(self, seconds: float) -> None:
        """Show the last frame for so long."""
        assert self._last is not None
        if self._writer is None:
            self._open(self._last)
        assert self._writer is not None
        self._owed += seconds * self._fps
        fitted = _fitted(self._last, self._size)
        # A frame that is shown for less than half a frame's time is left out.
        for _ in range(round(self._owed)):
            self._writer.write(fitted)
        self._owed -= round(self._owed)

    def _open(self, drawn: U8) -> None:
        # Most encoders want even sides.
        self._size = drawn.shape[1] & ~1, drawn.shape[0] & ~1
        self._temporary = self._file.enter_context(atomic.replacing(self.path))
        code = cv2.VideoWriter.fourcc(*(self._code or ""))
        self._writer = cv2.VideoWriter(str(self._temporary), code, self._fps, self._size)
        if not self._writer.isOpened():
            raise OutputError(f"{self.path}: this OpenCV cannot write such a video; try .avi")

    def fail(self, failure: Failure) -> None:
        """There is nothing to draw."""


VIDEO_CODES = {".mp4": "mp4v", ".avi": "MJPG"}
"""The suffixes of videos that can be written, and the codec of each."""


def _fitted(image: U8, size: tuple[int, int]) -> U8:
    """An image of this width and height, its own shape kept, black beside it."""
    width, height = size
    if (image.shape[1] & ~1, image.shape[0] & ~1) == size:
        return np.ascontiguousarray(image[:height, :width])
    ratio = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))
    canvas = np.zeros((height, width, 3), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    part = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    canvas[y : y + inner[1], x : x + inner[0]] = part
    return canvas


class Window:
    """Shows the annotated frames in a window until q or Esc is pressed, or it is closed."""

    moving = True

    NAME = "digitkit (q ends)"

    def __init__(self, ended: Callable[[], None]) -> None:
        """Open the window.

        Args:
            ended: called when the user has ended it.

        Raises:
            OutputError: there is no screen, or this OpenCV has no windows.
        """
        self._ended = ended
        import subprocess

        # Where the screen cannot be reached the window library ends the whole process, so another
        # one tries first.
        trial = "import cv2; cv2.namedWindow('digitkit'); cv2.waitKey(1)"
        tried = subprocess.run([sys.executable, "-c", trial], capture_output=True, check=False)
        if tried.returncode != 0:
            raise OutputError(
                "--show: there is no screen here, or this OpenCV has no windows (the headless "
                "package has none); use --annotate seen.mp4 and look at it elsewhere"
            )
        cv2.namedWindow(self.NAME, cv2.WINDOW_NORMAL)

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and show."""
        cv2.imshow(self.NAME, annotate(frame.image, reading))
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) < 1:
            self._ended()

    def fail(self, failure: Failure) -> None:
        """There is nothing to show."""


def annotate(image: U8, reading: Reading) -> U8:
    """The picture with a box around each digit and a tag that says what was read, and how surely.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``, as the source gave it.
        reading: what was read from it.

    Returns:
        uint8 ``[h, w, 3]`` BGR, upright; small pictures are enlarged, so that the marks can be
        read.
    """
    from .pages import overlap

    image = turned(image, reading.turn)
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    ratio = max(1, -(-480 // max(image.shape[:2])))
    if ratio > 1:
        how = cv2.INTER_NEAREST if ratio > 4 else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, None, fx=ratio, fy=ratio, interpolation=how)
    long = max(canvas.shape[:2])
    unit = long / 640  # marks are as large as on a picture of 640 pixels
    line = max(1, round(1.6 * unit))
    boxes = [
        (x * ratio, y * ratio, w * ratio, h * ratio)
        for x, y, w, h in (digit.box for digit in reading.digits)
    ]
    for digit, (x, y, w, h) in zip(reading.digits, boxes, strict=True):
        colour = GREEN if digit.accepted else RED
        gap = line + round(2 * unit)
        cv2.rectangle(
            canvas,
            (x - gap, y - gap),
            (x + w + gap - 1, y + h + gap - 1),
            colour,
            line,
            cv2.LINE_AA,
        )
    # Tags come after all boxes, so that none is crossed out by a neighbour's. Each says as much as
    # there is room for: at least the digit, then how surely.
    tags = []
    for digit, box in zip(reading.digits, boxes, strict=True):
        name = _name(digit)
        # Rounded down, so never up to certainty.
        texts = (name, f"{name} {min(int(100 * digit.confidence), 99)}%")
        tall = round(min(max(0.32 * box[3], 11 * unit), 26 * unit))
        tags.append([_Tag.of(text, box, tall, line, canvas.shape) for text in texts])
    for i, (digit, versions) in enumerate(zip(reading.digits, tags, strict=True)):
        others = [box for k, box in enumerate(boxes) if k != i]
        others += [other[0].plate for k, other in enumerate(tags) if k > i]
        others += [other[-1].plate for other in tags[:i]]
        while len(versions) > 1 and any(overlap(versions[-1].plate, other) for other in others):
            versions.pop()
        versions[-1].draw(canvas, GREEN if digit.accepted else RED)
    return canvas  # type: ignore[return-value]


@dataclass(frozen=True)
class _Tag:
    """White text on a plate: x, y, width and height, pixels."""

    text: str
    plate: Box
    tall: int

    @classmethod
    def of(cls, text: str, box: Sequence[int], tall: int, line: int, shape: Sequence[int]) -> _Tag:
        """Above a box, or below it at the picture's upper border."""
        x, y, _, h = box
        thick, pad = max(1, round(tall / 14)), max(2, tall // 6)
        (wide, high), _ = cv2.getTextSize(text, _FONT, tall / 30, thick)
        width, height = wide + 2 * pad, high + 2 * pad
        top = y - line - height - pad
        if top < 0:
            top = min(y + h + 2 * pad, shape[0] - height)
        return cls(
            text, (min(max(0, x - line), max(0, shape[1] - width)), top, width, height), tall
        )

    def draw(self, canvas: Any, colour: tuple[int, int, int]) -> None:
        """Onto the picture."""
        left, top, width, height = self.plate
        thick, pad = max(1, round(self.tall / 14)), max(2, self.tall // 6)
        cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, -1)
        at = (left + pad, top + height - pad)
        size = self.tall / 30
        cv2.putText(canvas, self.text, at, _FONT, size, (255, 255, 255), thick, cv2.LINE_AA)


_FONT = cv2.FONT_HERSHEY_DUPLEX


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
