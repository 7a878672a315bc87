"""Number fields: constraints on numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import regex

from digitkit.errors import ConfigError, at_least

MATCH_SECONDS = 1.0
"""How long one comparison with a pattern may take; most take microseconds."""

SIGNS = ".,-"
"""Decimal separators and the minus: what a number's text may contain besides digits."""

MAX_PATTERN_ATOMS = 10_000
"""Elements of a pattern, written out without ``{n}``; more would fill the memory."""

_ELEMENT = regex.compile(
    r"(?P<atom>[0-9.,-]|\\[dw.,-]|\[(?:\\.|[^\\\]])+\])"
    r"|(?P<open>\((?:\?(?::|>|<?[=!]|P<\w+>))?)|(?P<close>\))|[|^$*+?]|\\[AbBZ1-9]"
    r"|\{(?P<repeats>\d{1,9},?\d{0,9}|,\d{1,9})\}"
)
"""The elements of a pattern; an atom matches one digit or sign."""

_LOOKAROUND = regex.compile(r"\(\?<?[=!][^()]*\)")
_DASH_INSIDE = regex.compile(
    r"[\d\])d](?:[+*]|\{\d+,?\d*\}[+?]?)?(?:\\?-|\[\\?-\])(?![?*]|\{0)(?![^\[]*\])"
)
"""A dash that must stand after what matches digits, and is in no class with others."""


@dataclass(frozen=True)
class Field:
    r"""Constraints on each number; at least one of the three, the others None.

    >>> postal_code = Field(pattern=r"[1-9]\d{3}")
    >>> postal_code.fits("4021"), postal_code.fits("402")
    (True, False)
    >>> Field(expect=3, checksum=lambda text: int(text) % 7 == 0).fits("343")
    True
    >>> Field(pattern=r"\d+,\d\d").fits("12,50")
    True

    Attributes:
        expect: number of digits, at least 1.
        pattern: a regular expression that the whole number must match. It consists of digits,
            ``.``, ``\d``, classes such as ``[1-9]``, groups, ``|``, quantifiers, lookarounds,
            backreferences, anchors, and the signs ``,``, ``\.`` and ``-``. Without any of these
            signs, those of a number are left out.
        checksum: called with the text that meets `expect` and `pattern`; returns whether it is
            valid. It may be called thousands of times for one number.
    """

    expect: int | None = None
    pattern: str | None = None
    checksum: Callable[[str], bool] | None = None
    _regex: regex.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)
    _has_signs: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: no constraint is given; `expect` is less than 1; `pattern` is not a regular
                expression, or neither a digit nor a sign matches one of its elements; `checksum`
                is not a function.
        """
        if self.expect is None and self.pattern is None and self.checksum is None:
            raise ConfigError("a field requires expect, pattern or checksum")
        if self.expect is not None:
            at_least("expect", self.expect, 1, whole=True)
            object.__setattr__(self, "expect", int(self.expect))  # it may be NumPy's
        if self.checksum is not None and not callable(self.checksum):
            raise ConfigError(
                f"must be a function of a number's text, got {self.checksum!r}", field="checksum"
            )
        if self.pattern is not None:
            if not isinstance(self.pattern, str):
                raise ConfigError(f"must be text, got {self.pattern!r}", field="pattern")
            compiled, has_signs = _compile_pattern(self.pattern)
            object.__setattr__(self, "_regex", compiled)
            object.__setattr__(self, "_has_signs", has_signs)

    @property
    def keeps_signs(self) -> bool:
        """Whether a number's decimal separators and minus count."""
        return self._has_signs or (self.pattern is None and self.checksum is None)

    def fits(self, text: str) -> bool:
        """Whether a number's text, of digits and signs, meets the constraints; "" never does.

        Raises:
            ConfigError: comparing it with the pattern takes longer than `MATCH_SECONDS`.
        """
        return text != "" and self.find_fault(text) is None

    def find_fault(self, text: str) -> str | None:
        """Which constraint a number's text does not meet, such as ``has 5 digits, expected 4``.

        Returns:
            None if it meets all.

        Raises:
            ConfigError: comparing it with the pattern takes longer than `MATCH_SECONDS`.
        """
        count = sum(sign not in SIGNS for sign in text)
        if self.expect not in (None, count):
            return f"has {count} digit{'s' * (count != 1)}, expected {self.expect}"
        if self._regex is not None and not self._matches(self._regex, text):
            return f"does not match {self.pattern}"
        if self.checksum is not None and not self.checksum(text):
            return "has a wrong checksum"
        return None

    def describe(self) -> str:
        """What is asked of a number, such as ``have 4 digits and match [1-9]+``."""
        count = self.expect
        asked = [] if count is None else [f"have {count} digit{'s' * (count != 1)}"]
        asked += [] if self.pattern is None else [f"match {self.pattern}"]
        asked += [] if self.checksum is None else ["have a right checksum"]
        return " and ".join(asked)

    def _matches(self, pattern: regex.Pattern[str], text: str) -> bool:
        try:
            return pattern.fullmatch(text, timeout=MATCH_SECONDS) is not None
        except TimeoutError as error:
            raise slow_pattern(len(text)) from error


def _compile_pattern(pattern: str) -> tuple[regex.Pattern[str], bool]:
    """The pattern, and whether it has signs."""
    quoted = _quote(pattern)
    try:
        has_signs = _check_elements(pattern, quoted)  # first: to compile it may fill the memory
        return regex.compile(pattern), has_signs
    except (regex.error, OverflowError, RecursionError) as error:
        raise _pattern_error(f"{quoted} is not a regular expression: {error}") from error


def _check_elements(pattern: str, quoted: str) -> bool:
    """Check each element; whether one is a sign."""
    position, digits, signs = 0, 0, 0
    sizes = [0]  # of the open groups, in atoms with repeats written out
    size = 0  # of the last element or group
    while position < len(pattern):
        element = _ELEMENT.match(pattern, position)
        if element is None:
            length = 2 if pattern[position] == "\\" else 1
            unknown = _quote(pattern[position : position + length])
            end = {"[": "]", "{": "}"}.get(pattern[position])
            if end and end not in pattern[position:]:
                raise _pattern_error(f"{quoted}: {unknown} is not closed", f"add {end}")
            raise _pattern_error(
                f"{quoted}: {unknown} matches no digit", r"use digits, such as [1-9]\d{3}"
            )
        if (atom := element["atom"]) is not None:
            is_digit = any(regex.fullmatch(atom, digit) for digit in "0123456789")
            is_sign = not is_digit and any(regex.fullmatch(atom, sign) for sign in SIGNS)
            if not is_digit and (not is_sign or regex.fullmatch(atom, "x")):
                raise _pattern_error(f"{quoted}: {_quote(atom)} matches no digit")
            digits, signs = digits + is_digit, signs + is_sign
            size = 1
            sizes[-1] += size
        elif element["open"]:
            sizes.append(0)
        elif element["close"] and len(sizes) > 1:
            size = sizes.pop()
            sizes[-1] += size
        elif element["repeats"]:
            times = int(element["repeats"].rpartition(",")[2] or element["repeats"].rstrip(","))
            sizes[-1] += size * (times - 1)
            size *= times
        if max(size, sizes[-1]) > MAX_PATTERN_ATOMS:
            raise _pattern_error(
                f"{quoted} has more than {MAX_PATTERN_ATOMS:,} elements with its repeats"
            )
        position = element.end()
    if _DASH_INSIDE.search(_LOOKAROUND.sub("", pattern)):
        raise _pattern_error(
            f"{quoted}: a '-' after a digit matches nothing: a dash separates numbers",
            r"match each of them, as with \d{4}|\d{2}",
        )
    if not digits:
        raise _pattern_error(f"{quoted} matches no digits", r"use digits, such as \d{4}")
    return signs > 0


def slow_pattern(count: int) -> ConfigError:
    """The error for a pattern that takes too long to compare with a number of `count` digits."""
    return ConfigError(
        f"takes longer than {MATCH_SECONDS:g} s to compare with a number of {count} digits",
        field="pattern",
        hint="avoid repeats within repeats",
    )


def _pattern_error(problem: str, hint: str | None = None) -> ConfigError:
    return ConfigError(problem, hint=hint, field="pattern")


def _quote(text: str) -> str:
    """A pattern on one line, its backslashes single as they were typed."""
    return repr(text).replace(r"\\", "\\")
