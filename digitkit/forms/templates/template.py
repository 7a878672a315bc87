"""A form's template: its reference picture, its fields, and the rules across them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np

from digitkit.arrays import U8, Box
from digitkit.errors import ConfigError, one_line
from digitkit.forms.templates.checksums import Checksum
from digitkit.forms.templates.rules import Rule
from digitkit.reading.numbers.fields import Field

SAMPLE_COUNT = 200
"""Random texts that tell how much the constraints of a field exclude."""


@dataclass(frozen=True)
class FormField:
    """One field of a form.

    Attributes:
        name: of the table's column.
        box: where digits are written, x, y, width and height in pixels of the reference.
        cells: of a comb, left side and width of each in pixels of the reference; empty for a free
            field.
        pattern: regular expression that the text must match; None for any.
        checksum: name of its checksum, one of `CHECKSUMS`, or how messages name a function of the
            user's own; None for none.
        check: function that verifies the digits.
        minimum: least value; None for any.
        maximum: greatest value; None for any.
        decimals: digits after the decimal separator; None for a field that is no amount.
        required: whether an empty field is a fault.
    """

    name: str
    box: Box
    cells: tuple[tuple[float, float], ...] = ()
    pattern: str | None = None
    checksum: str | None = None
    check: Checksum | None = field(default=None, repr=False, compare=False)
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    decimals: int | None = None
    required: bool = False
    _rule: Field | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Compile the pattern; raises `ConfigError` where it is none."""
        if self.pattern is not None:
            object.__setattr__(self, "_rule", Field(pattern=self.pattern))

    def _check_digits(self, text: str) -> bool:
        digits = "".join(filter(str.isdecimal, text))
        if not digits or self.check is None:
            return False
        try:
            result: object = self.check(digits)
        except (Exception, SystemExit) as error:  # whatever a function of the user's raises
            reason = one_line(error)
            raise ConfigError(
                f"the checksum of {self.name} failed on {digits}: {reason}"
            ) from error
        if not isinstance(result, (bool, np.bool_)):
            raise ConfigError(
                f"the checksum of {self.name} must return True or False, got {result!r:.40}"
            )
        return bool(result)

    @property
    def is_quantity(self) -> bool:
        """Whether it is a value, whose comb need not be full: it has decimals or limits."""
        return (self.decimals, self.minimum, self.maximum) != (None, None, None)

    def find_fault(self, text: str) -> str | None:
        """Which of its constraints a text does not meet; None if it meets all.

        Args:
            text: digits, and a decimal point in an amount; not empty.

        Raises:
            ConfigError: comparing it with the pattern takes too long.
        """
        if self._rule is not None and (fault := self._rule.find_fault(text)) is not None:
            return fault
        if self.check is not None and not self._check_digits(text):
            return f"has a wrong checksum ({self.checksum})"
        value = Decimal(text) if self.is_quantity else None
        if value is not None and self.minimum is not None and value < self.minimum:
            return f"is less than {self.minimum}"
        if value is not None and self.maximum is not None and value > self.maximum:
            return f"is more than {self.maximum}"
        return None

    def to_text(self, digits: Sequence[int]) -> str:
        """The text of digits, with a decimal point before the decimals of an amount."""
        text = "".join(map(str, digits))
        if text and self.decimals:
            text = text.rjust(self.decimals + 1, "0")
            return f"{text[: -self.decimals]}.{text[-self.decimals :]}"
        return text


@lru_cache(maxsize=1000)
def random_pass_rate(form_field: FormField, count: int) -> float:
    """Which part of random texts of so many digits has no fault in a field, 0–1.

    Raises:
        ConfigError: as `FormField.find_fault` raises.
    """
    if not count:
        return 1.0
    random = Random(0)
    texts = (
        form_field.to_text([random.randrange(10) for _ in range(count)])
        for _ in range(SAMPLE_COUNT)
    )
    return sum(form_field.find_fault(text) is None for text in texts) / SAMPLE_COUNT


@dataclass(frozen=True)
class Template:
    """A form.

    Attributes:
        name: the template's file name without its suffix.
        fields: in the order of the table's columns.
        rules: across fields.
        reference: the blank form, grey, uint8 ``[H, W]``.
        reference_path: its file.
    """

    name: str
    fields: tuple[FormField, ...]
    rules: tuple[Rule, ...]
    reference: U8 = field(repr=False, compare=False)
    reference_path: Path = field(default=Path(), repr=False, compare=False)


def overview_path(template: Path) -> Path:
    """Where the picture of a template's numbered fields is, next to its TOML file."""
    return template.with_name(f"{template.stem}-fields.png")


def refuse_to_replace(path: Path, inputs: Iterable[Path], option: str = "out") -> None:
    """Refuse to write over a file that is read.

    Args:
        path: to write.
        inputs: files that are read.
        option: that names `path`.

    Raises:
        ConfigError: it is one of them.
    """
    if os.path.realpath(path) in {os.path.realpath(one) for one in inputs}:
        raise ConfigError(f"must not replace {path}, which is read", field=option)
