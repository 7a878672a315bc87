"""What is read from a form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from digitkit.arrays import U8, Box
from digitkit.errors import page_name
from digitkit.reading.confidence import round_confidence
from digitkit.reading.results import Verdict

Status = Literal["ok", "doubtful", "empty", "invalid"]
"""Of a field: its reading can be trusted; a person should look at it; nothing is written in it; it
breaks a rule."""


@dataclass(frozen=True)
class FieldDigit:
    """One digit of a field.

    Attributes:
        digit: 0 to 9.
        confidence: probability of being it, 0–1, by its pixels alone.
        box: of its ink, x, y, width and height in pixels of the upright picture.
        image: what the classifier saw, uint8 ``[28, 28]``; None in a field that is ``ok``.
    """

    digit: int
    confidence: float
    box: Box
    image: U8 | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class FieldReading:
    """What is read from one field.

    Attributes:
        name: of the field.
        text: digits, with a decimal point in an amount; "" for an empty field.
        status: whether it can be trusted.
        confidence: probability that the text is right, 0–1; 1 for an empty field.
        box: of the field, x, y, width and height in pixels of the upright picture.
        reasons: why it is not ``ok``, or what was corrected.
        digits: of the text, in its order.
        crop: a picture of the field, upright, uint8 ``[h, w]``; None for one that is ``ok``.
    """

    name: str
    text: str
    status: Status
    confidence: float
    box: Box
    reasons: tuple[str, ...] = ()
    digits: tuple[FieldDigit, ...] = field(default=(), repr=False)
    crop: U8 | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The field as JSON lines have it."""
        values: dict[str, Any] = {
            "text": self.text,
            "status": self.status,
            "confidence": round_confidence(self.confidence),
            "box": list(self.box),
        }
        if self.reasons:
            values["reasons"] = list(self.reasons)
        values["digits"] = [
            {"digit": d.digit, "confidence": round_confidence(d.confidence), "box": list(d.box)}
            for d in self.digits
        ]
        return values


@dataclass(frozen=True)
class FormReading:
    """What is read from one form.

    Attributes:
        source: the picture's path.
        template: name of the template that matches.
        fields: in the template's order.
        residual: how far the form's print is from where it should be, root mean square, in pixels
            of the template's reference.
        score: share of the form's print that was found, 0–1.
        method: what it was found by: ``markers``, ``squares`` or ``print``.
        ms: time for decoding, registration and reading, milliseconds.
        page: of a file with several, from 1; None elsewhere.
    """

    source: str
    template: str
    fields: tuple[FieldReading, ...]
    residual: float
    score: float
    method: str
    ms: dict[str, float] = field(repr=False, compare=False)
    page: int | None = None

    def __getitem__(self, name: str) -> FieldReading:
        """The field with a name.

        Raises:
            KeyError: the form has none.
        """
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        """The names of its fields, in the template's order, as of a dictionary."""
        return (one.name for one in self.fields)

    @property
    def name(self) -> str:
        """The source, of a page with its number: ``scan.tiff#2``."""
        return page_name(self.source, self.page)

    @property
    def values(self) -> dict[str, str]:
        """The text of each field."""
        return {one.name: one.text for one in self.fields}

    @property
    def complete(self) -> bool:
        """Whether no field is doubtful or invalid."""
        return all(one.status in ("ok", "empty") for one in self.fields)

    @property
    def is_blank(self) -> bool:
        """Whether nothing is written in any field."""
        return all(one.status == "empty" for one in self.fields)

    @property
    def verdict(self) -> Verdict:
        """Whether a person should look at it."""
        if not self.complete:
            return "doubtful"
        return "without" if self.is_blank else "complete"

    @property
    def confidence(self) -> float:
        """The least confidence of its fields, 0–1."""
        return min(one.confidence for one in self.fields)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is wrong with its fields or was corrected: ``total: read as 12.50 …``."""
        return tuple(f"{one.name}: {reason}" for one in self.fields for reason in one.reasons)

    def to_json(self) -> dict[str, Any]:
        """The form as ``digitkit infer --form --format jsonl`` writes it."""
        values: dict[str, Any] = {"source": self.source}
        if self.page is not None:
            values["page"] = self.page
        values |= {
            "template": self.template,
            "complete": self.complete,
            "confidence": round_confidence(self.confidence),
            "residual": round(self.residual, 2),
            "score": round(self.score, 3),
            "method": self.method,
        }
        values["fields"] = {one.name: one.to_json() for one in self.fields}
        values["ms"] = {name: round(value, 3) for name, value in self.ms.items()}
        return values
