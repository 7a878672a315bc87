"""Checksums of identifiers, by the names that a template may use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from digitkit.errors import ConfigError, one_line

Checksum = Callable[[str], bool]
"""Called with the digits of a field; returns whether they are valid."""


def luhn(text: str) -> bool:
    """Luhn's algorithm (ISO/IEC 7812-1): card and many customer numbers; the last digit checks."""
    total = 0
    for place, sign in enumerate(reversed(text)):
        digit = int(sign) * (1 + place % 2)
        total += digit // 10 + digit % 10
    return total % 10 == 0


def mod11(text: str) -> bool:
    """Modulus 11 with the weights 2 to 7 from the right; the last digit checks."""
    weights = (1, *(2 + place % 6 for place in range(len(text) - 1)))
    return sum(w * int(d) for w, d in zip(weights, reversed(text), strict=True)) % 11 == 0


def mod97(text: str) -> bool:
    """ISO/IEC 7064, MOD 97-10: the whole number leaves 1; the last two digits check."""
    return int(text) % 97 == 1


def isbn10(text: str) -> bool:
    """An ISBN of ten digits (ISO 2108), without an X as its check digit."""
    return len(text) == 10 and sum((10 - i) * int(d) for i, d in enumerate(text)) % 11 == 0


def ean13(text: str) -> bool:
    """An EAN or ISBN of 13 digits (GTIN-13)."""
    return len(text) == 13 and sum((1 + 2 * (i % 2)) * int(d) for i, d in enumerate(text)) % 10 == 0


CHECKSUM_DIGITS = {"isbn10": 10, "ean13": 13}
"""How many digits a text has, of checksums for one length."""

CHECKSUMS: dict[str, Checksum] = {
    "luhn": luhn, "mod11": mod11, "mod97": mod97, "isbn10": isbn10, "ean13": ean13,
}  # fmt: skip
"""By the name that a template uses."""


def load_checksums(texts: Iterable[str]) -> dict[str, Checksum]:
    """Functions of the user's own by the name of a field, from ``field=module:function`` each.

    Raises:
        ConfigError: a text is something else, or as `load_checksum` raises.
    """
    found = {}
    for text in texts:
        name, equals, function = text.partition("=")
        if not equals:
            raise ConfigError(f"must be field=module:function, got {text!r}", field="checksum")
        found[name] = load_checksum(function)
    return found


def load_checksum(text: str) -> Checksum:
    """A function of the user's own, from ``module:function``; the current folder is searched too.

    A template never names one, since loading it runs its code.

    Raises:
        ConfigError: there is no such module or function, or importing the module fails.
    """
    module, colon, name = text.partition(":")
    if not (colon and module and name):
        raise ConfigError(f"must be module:function, got {text!r}", field="checksum")
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigError(
            f"{text} cannot be loaded: {one_line(error)}", field="checksum"
        ) from error
    finally:
        with suppress(ValueError):  # the module may have removed it
            sys.path.remove(folder)
    if not callable(found):
        raise ConfigError(f"{text} is not a function", field="checksum")
    return found  # type: ignore[no-any-return]
