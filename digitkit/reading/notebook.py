"""A reading as a table in a notebook: its numbers, and what the classifier saw of their digits."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Protocol

from digitkit.arrays import U8
from digitkit.images.encode import data_uri, encode_png
from digitkit.reading.confidence import format_confidence

MAX_NUMBERS, MAX_DIGITS = 100, 20
"""Numbers of a table, and pictures in a cell; the others are counted."""

_DOUBTFUL, _CLEAR = "2px dashed #dc2828", "2px solid transparent"


class Digit(Protocol):
    """What `to_html` shows of a `digitkit.reading.results.Digit`."""

    @property
    def digit(self) -> int:
        """0 to 9."""

    @property
    def confidence(self) -> float:
        """0–1."""

    @property
    def accepted(self) -> bool:
        """Whether it counts."""

    @property
    def image(self) -> U8:
        """What the classifier saw, uint8 ``[28, 28]``."""


class Number(Protocol):
    """What `to_html` shows of a `digitkit.reading.results.Number`."""

    @property
    def text(self) -> str:
        """As a person would write it down."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""

    @property
    def confidence(self) -> float:
        """0–1."""

    @property
    def digits(self) -> Sequence[Digit]:
        """Its digits."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why it is not complete."""


def to_html(
    name: str,
    numbers: Sequence[Number],
    dropped: Sequence[Number],
    alone: Sequence[Digit],
) -> str:
    """A table with a row per number; doubtful ones have a question mark and a dashed frame.

    Args:
        name: of the image.
        numbers: what was read, in reading order.
        dropped: numbers that do not meet a field, shown with the reasons.
        alone: digits that are not accepted and in no number.

    Returns:
        HTML without scripts, its pictures included.
    """
    everything = [
        *((number, "incomplete") for number in numbers),
        *((n, "dropped") for n in dropped),
    ]
    rows = [_number_row(number, doubt) for number, doubt in everything[:MAX_NUMBERS]]
    if more := len(everything) - len(rows):
        rows.append(f'<tr><td colspan="4">and {more:,} more</td></tr>')
    if alone:
        rows.append(_row("–", "", alone, "not accepted"))
    caption = f'<caption style="text-align:left">{escape(name)}</caption>'
    if not rows:
        rows.append('<tr><td colspan="4">no digit found</td></tr>')
    head = "<tr><th>number</th><th>confidence</th><th>digits</th><th>reasons</th></tr>"
    return f"<table>{caption}{head}{''.join(rows)}</table>"


def _number_row(number: Number, doubt: str) -> str:
    """The row of a number; `doubt` says what it is if it is not complete."""
    text = f"<b>{escape(number.text)}</b>"
    if not number.complete:
        text = f'<span style="border-bottom:{_DOUBTFUL}">{text}</span> {doubt}'
    confidence = format_confidence(number.confidence)
    return _row(text, confidence, number.digits, "; ".join(number.reasons))


def _row(text: str, confidence: str, digits: Sequence[Digit], reasons: str) -> str:
    pictures = "".join(map(_picture, digits[:MAX_DIGITS]))
    if more := len(digits) - MAX_DIGITS:
        pictures += f" and {more:,} more" if more > 0 else ""
    cells = (text, escape(confidence), pictures, escape(reasons))
    return "<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>"


def _picture(digit: Digit) -> str:
    """The image as a PNG in the HTML itself; about 400 bytes."""
    png = data_uri(encode_png(digit.image), "image/png")
    doubt = "" if digit.accepted else "?"
    title = escape(f"{digit.digit}{doubt} {format_confidence(digit.confidence)}")
    border = _CLEAR if digit.accepted else _DOUBTFUL
    return (
        f'<img src="{png}" width="28" height="28" alt="{title}" '
        f'title="{title}" style="display:inline;margin:1px;border:{border}">'
    )
