"""Ranges of numbers, declared in the types of dataclass fields.

msgspec checks the same declarations when it reads a ``run.json``.
"""

from __future__ import annotations

import functools
import operator
import typing
from typing import Annotated

from msgspec import Meta

from digitkit.errors import RecipeError

Fraction = Annotated[float, Meta(ge=0, le=1)]
"""A probability, or a part of a whole."""

PartialFraction = Annotated[float, Meta(ge=0, lt=1)]
"""A part of a whole that leaves something."""

Count = Annotated[int, Meta(ge=0, le=1_000_000)]

Steps = Annotated[int, Meta(ge=1, le=1_000_000)]

Batch = Annotated[int, Meta(ge=1, le=10_000)]

Workers = Annotated[int, Meta(ge=0, le=256)]

Seed = Annotated[int, Meta(ge=0, le=2**46)]
"""Leaves room for a seed per epoch in the 64 bits that torch takes."""

_BOUNDS = (
    ("ge", operator.ge, "at least"),
    ("gt", operator.gt, "greater than"),
    ("le", operator.le, "at most"),
    ("lt", operator.lt, "less than"),
)


def check_ranges(settings: object, prefix: str = "") -> None:
    """Check the fields of a dataclass of recipe settings whose types declare a range.

    Args:
        settings: an instance.
        prefix: of the fields' names in errors.

    Raises:
        RecipeError: a value is out of its range, or not a number.
    """
    kind: type = type(settings)
    for name, limits in _all_limits(kind).items():
        bounds = [
            (fits, words, bound)
            for attribute, fits, words in _BOUNDS
            if (bound := getattr(limits, attribute, None)) is not None
        ]
        value = getattr(settings, name)
        if not all(fits(value, bound) for fits, _, bound in bounds):
            allowed = " and ".join(f"{words} {bound:,}" for _, words, bound in bounds)
            raise RecipeError(f"must be {allowed}, got {value}", field=f"{prefix}{name}")


@functools.cache  # evaluating types is slow
def _all_limits(kind: type) -> dict[str, Meta | None]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: _find_limits(hint) for name, hint in hints.items()}


def _find_limits(hint: object) -> Meta | None:
    return next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Meta)), None)
