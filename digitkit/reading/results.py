"""What was read from an image: digits and numbers, and what the steps took."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from digitkit.arrays import F32, U8, Box
from digitkit.errors import page_name
from digitkit.reading.confidence import round_confidence

Verdict = Literal["complete", "doubtful", "without"]
"""Of a picture: all that is written in it is complete; something is not; nothing is written."""


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        digit: 0 to 9.
        confidence: probability that this is a digit and that it is this one, 0–1.
        box: bounding box of its ink: left, top, width and height, pixels of the upright image.
        row: number of its row, from 0 at the top.
        accepted: whether it counts: its confidence reaches the threshold, the border does not cut
            it, and its row does not show that it is a sign or a line; or a `digitkit.Field`
            required it.
        image: what the classifier saw, uint8 ``[28, 28]``.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
        is_digit: probability that this is a digit at all, 0–1; 1 where the model has no such
            output.
        cut: whether the image's border seems to cut off a part of it; it is then not accepted.
        level_box: where its line is tilted, the box in an image turned so that it is level; None
            elsewhere.
        spoiled: whether its row shows that it is struck out, or written over another one; its
            number is then not complete.
    """

    digit: int
    confidence: float
    box: Box
    row: int
    accepted: bool
    image: U8 = field(repr=False, compare=False)
    probabilities: F32 = field(repr=False, compare=False)
    is_digit: float = 1.0
    cut: bool = False
    level_box: Box | None = field(default=None, repr=False)
    spoiled: bool = False

    @property
    def row_box(self) -> Box:
        """The box where its row is level: `level_box`, or `box` where it is not tilted."""
        return self.level_box or self.box

    def __repr__(self) -> str:
        """Short, without arrays; what is as usual is left out."""
        doubt = "" if self.accepted else ", accepted=False"
        doubt += ", cut=True" if self.cut else ""
        doubt += ", spoiled=True" if self.spoiled else ""
        return f"Digit({self.digit}, {_show(self.confidence)}, box={self.box}{doubt})"


MarkKind = Literal[
    "point", "comma", "apostrophe", "dash", "sign", "line", "side", "letter", "ink"
]  # fmt: skip
"""What a `Mark` is: a point on the line, or a comma; an apostrophe between thousands; a short
horizontal stroke; another sign, such as a plus, a colon or a slash; a ruled line across the row; a
side of a box for one digit, as in a form; what is surely no digit, such as the letters of a unit;
or ink that cannot be read."""


@dataclass(frozen=True)
class Mark:
    """Ink in or next to a row of digits that is, or may be, none of them.

    Attributes:
        kind: what it is.
        box: its bounding box: left, top, width and height, pixels of the upright image.
        row: number of the row.
        level_box: where its row is tilted, the box in an image turned so that it is level; None
            elsewhere.
        cut: whether the left or right border of the image cuts it.
    """

    kind: MarkKind
    box: Box
    row: int
    level_box: Box | None = field(default=None, repr=False)
    cut: bool = field(default=False, repr=False)

    @property
    def row_box(self) -> Box:
        """The box where its row is level: `level_box`, or `box` where it is not tilted."""
        return self.level_box or self.box


@dataclass(frozen=True)
class Number:
    """One number: digits that belong together.

    Attributes:
        text: as a person would write it down: digits, ``?`` for a digit in doubt and for ink that
            cannot be read, a decimal separator (``.`` or ``,``) and a leading ``-``.
        guess: the same with doubtful digits as what they most likely are, and without other ink.
        complete: whether it can be trusted: each digit is accepted, none is cut, no ink in it or
            directly beside it is unexplained, its confidence is at least 80%, and nothing around it
            casts doubt on it; else `reasons` say why.
        confidence: probability that `guess` is right as a whole, 0–1; calibrated on synthetic
            pages.
        box: bounding box of its ink: left, top, width and height, pixels of the upright image.
        row: number of its row, from 0 at the top.
        column: number of its column, from 0 at the left; where numbers are not in columns, its
            place in its row.
        digits: its digits, at least one of them accepted, or likely a digit.
        reasons: why it is not complete, or what a `digitkit.Field` changed; one phrase each.
        signs: its minus and decimal separators, each with the number of digits before it.
        unread: pieces of ink in it that cannot be read, or may not belong to it.
    """

    text: str
    guess: str
    complete: bool
    confidence: float
    box: Box
    row: int
    column: int
    digits: tuple[Digit, ...] = field(repr=False)
    reasons: tuple[str, ...] = ()
    signs: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    unread: int = field(default=0, repr=False)

    def __repr__(self) -> str:
        """Short, without the digits."""
        reasons = f", reasons={self.reasons!r}" if self.reasons else ""
        confidence = _show(self.confidence)
        return f"Number({self.text!r}, {confidence}, complete={self.complete}{reasons})"


EventKind = Literal["appeared", "changed", "disappeared"]
"""What became of a number in front of a camera."""


@dataclass(frozen=True)
class Event:
    """A number that appeared in a stream, changed or disappeared.

    Attributes:
        kind: which of these.
        number: as it is now; of one that disappeared, as it was last.
        previous: its text before it changed; None for others.
    """

    kind: EventKind
    number: Number
    previous: str | None = None


@dataclass(frozen=True)
class Timings:
    """Duration of each step, milliseconds.

    Of an image that was read in several orientations, the sum over these.

    Attributes:
        decode: from the file's bytes to pixels; 0 for an array.
        locate: detecting the digits and extracting their ink; of a large JPEG image with small
            digits also decoding the whole.
        normalise: bringing the ink to MNIST's normal form.
        classify: the classifier, the line reader and, where it is asked, the grey classifier;
            reading order, marks and numbers.
    """

    decode: float
    locate: float
    normalise: float
    classify: float

    @property
    def total(self) -> float:
        """All of them together."""
        return self.decode + self.locate + self.normalise + self.classify


@dataclass(frozen=True)
class Reading:
    """What was read from one image.

    Attributes:
        source: the path or the name of the file, the camera, or ``array``, ``bytes``, ``file`` or
            ``image`` for what has none.
        digits: all digits in reading order, including those that are not accepted.
        ms: the duration of each step.
        frame: number of the frame of a video or a live source, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        turn: degrees clockwise by which the image was rotated before it was read; boxes are in
            the rotated image.
        seconds: position in a video file; None elsewhere.
        page: of a file with several, from 1; None elsewhere.
        numbers: the numbers in reading order. Each accepted digit is in exactly one of them;
            see `digitkit.reading.numbers.finding.find_numbers`.
        marks: ink in and next to the rows that is no digit.
        gap: least gap between two numbers that was given, in heights of the digits; None for one
            that depends on the image.
        dropped: numbers that do not meet a `digitkit.Field`, and why; none of their digits is
            accepted.
        events: of a stream's frame: what became of its numbers.
    """

    source: str
    digits: tuple[Digit, ...] = field(repr=False)
    ms: Timings
    frame: int | None = None
    time: datetime | None = None
    turn: int = 0
    seconds: float | None = None
    page: int | None = None
    numbers: tuple[Number, ...] = ()
    marks: tuple[Mark, ...] = field(default=(), repr=False)
    gap: float | None = None
    dropped: tuple[Number, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def name(self) -> str:
        """The source, of a page with its number: ``scan.tiff#2``."""
        return page_name(self.source, self.page)

    @property
    def rows(self) -> tuple[tuple[Number, ...], ...]:
        """The numbers by rows, from the top; those of a row from the left."""
        return tuple(map(tuple, group_by_row(self.numbers).values()))

    @property
    def lone_digits(self) -> tuple[Digit, ...]:
        """The digits that are not accepted, and in no number, dropped ones included."""
        numbers = (*self.numbers, *self.dropped)
        used = {id(digit) for number in numbers for digit in number.digits}
        alone = (digit for digit in self.digits if id(digit) not in used)
        return tuple(digit for digit in alone if not digit.accepted)

    @property
    def text(self) -> str:
        """The numbers in reading order: rows separated by newlines, numbers in a row by spaces."""
        return "\n".join(" ".join(number.text for number in row) for row in self.rows)

    @property
    def confidence(self) -> float | None:
        """Probability that all numbers are right, 0–1: the product of theirs; None without any."""
        return math.prod(number.confidence for number in self.numbers) if self.numbers else None

    @property
    def complete(self) -> bool:
        """Whether all numbers are complete, and not all of them were dropped.

        True, too, where there are none; `verdict` is ``without`` then.
        """
        some = bool(self.numbers or not self.dropped)
        return some and all(number.complete for number in self.numbers)

    @property
    def verdict(self) -> Verdict:
        """Whether a person should look at it."""
        if self.dropped or not self.complete:
            return "doubtful"
        return "complete" if self.numbers else "without"

    def __repr__(self) -> str:
        """Short: what was read, not every digit."""
        frame = "" if self.frame is None else f", frame={self.frame}"
        confidence = "" if self.confidence is None else f", {_show(self.confidence)}"
        complete = f", complete={self.complete}" if self.numbers or self.dropped else ""
        dropped = f", dropped={len(self.dropped)}" if self.dropped else ""
        return f"Reading({self.name!r}{frame}, text={self.text!r}{confidence}{complete}{dropped})"

    def _repr_html_(self) -> str:
        """A table of the numbers, for notebooks."""
        from digitkit.reading.notebook import to_html  # not at the top: only notebooks need it

        name = self.name if self.frame is None else f"{self.name} #{self.frame}"
        return to_html(name, self.numbers, self.dropped, self.lone_digits)

    def digit_places(self) -> list[list[int]]:
        """For each of the numbers, the places of its digits in `digits`, from 0."""
        places = {id(digit): place for place, digit in enumerate(self.digits)}
        return [[places[id(digit)] for digit in number.digits] for number in self.numbers]

    def origin_json(self) -> dict[str, Any]:
        """Where and when it was read, as JSON lines have it."""
        values: dict[str, Any] = {"source": self.source}
        if self.page is not None:
            values["page"] = self.page
        if self.frame is not None:
            values["frame"] = self.frame
        if self.time is not None:
            values["time"] = self.time.isoformat(timespec="milliseconds")
        if self.seconds is not None:
            values["seconds"] = round(self.seconds, 3)
        return values

    def to_json(self) -> dict[str, Any]:
        """The reading as ``digitkit infer --format jsonl`` writes it."""
        values = self.origin_json()
        values["text"] = self.text
        if self.turn:
            values["turn"] = self.turn
        values["numbers"] = [
            number_json(number) | {"digits": places}
            for number, places in zip(self.numbers, self.digit_places(), strict=True)
        ]
        if self.dropped:
            values["dropped"] = [number_json(number) for number in self.dropped]
        values["digits"] = [_digit_json(digit) for digit in self.digits]
        values["ms"] = {name: round(value, 3) for name, value in vars(self.ms).items()}
        return values


class _InRow(Protocol):
    @property
    def row(self) -> int: ...


_Item = TypeVar("_Item", bound=_InRow)


def group_by_row(items: Iterable[_Item]) -> dict[int, list[_Item]]:
    """Digits, marks or numbers by the number of their row, in the order in which they come."""
    rows: dict[int, list[_Item]] = {}
    for item in items:
        rows.setdefault(item.row, []).append(item)
    return rows


def _show(confidence: float) -> str:
    """For a short text; never rounded up to 1."""
    return f"confidence={round_confidence(confidence):.4f}"


def _digit_json(digit: Digit) -> dict[str, Any]:
    values: dict[str, Any] = {
        "digit": digit.digit,
        # Rounded; whether it reaches the threshold `accepted` says.
        "confidence": round_confidence(digit.confidence),
        "accepted": digit.accepted,
        "box": list(digit.box),
        "row": digit.row,
    }
    values |= {"cut": True} if digit.cut else {}
    return values | ({"spoiled": True} if digit.spoiled else {})


def number_json(number: Number) -> dict[str, Any]:
    """A number as JSON lines have it."""
    values: dict[str, Any] = {
        "text": number.text,
        "complete": number.complete,
        "confidence": round_confidence(number.confidence),
        "box": list(number.box),
        "row": number.row,
        "column": number.column,
    }
    if number.guess != number.text:
        values["guess"] = number.guess
    return values | ({"reasons": list(number.reasons)} if number.reasons else {})
