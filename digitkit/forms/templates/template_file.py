"""The file of a form's template: TOML, checked with errors that say what to change."""

from __future__ import annotations

import json
import keyword
import os
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

import msgspec

from digitkit.arrays import U8, Box
from digitkit.errors import (
    ConfigError,
    DigitkitError,
    TemplateError,
    os_reason,
    unknown_key,
)
from digitkit.forms.templates.checksums import CHECKSUM_DIGITS, CHECKSUMS, Checksum
from digitkit.forms.templates.rules import MAX_NUMBER, check_cycles, make_rule
from digitkit.forms.templates.template import FormField, Template
from digitkit.images.convert import to_grey
from digitkit.images.decode import decode_file
from digitkit.sources.suffixes import IMAGE_SUFFIXES
from digitkit.system.hashes import file_sha256
from digitkit.system.toml import read_toml

MAX_TEMPLATE_BYTES = 1 << 18
"""Largest template that is read."""

MAX_FIELDS = 500
"""Most fields of a form."""

MAX_CELLS = 50
"""Most cells of a comb."""

MAX_DECIMALS = 6
"""Most decimals of an amount."""

MIN_BOX_SIDE = 4
"""Least width and height of a box or a cell, pixels."""

_CREATE = "create one with digitkit form new BLANK --out NAME.toml"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
COLUMNS_BEFORE = ("source", "page", "template")
"""Columns of a table of forms before those of the fields."""

COLUMNS_AFTER = ("complete", "confidence", "residual", "reasons", "error")
"""Columns after them; no field may be named like one of all these."""


class _FieldTable(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    box: tuple[float, float, float, float]
    cells: int | list[tuple[float, float]] | None = None
    pattern: str | None = None
    checksum: str | None = None
    min: float | None = None
    max: float | None = None
    decimals: int | None = None
    required: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    reference: str
    sha256: str
    size: tuple[int, int]
    field: list[_FieldTable] = []
    rules: dict[str, str] = {}


_WANTED = {
    "box": "four numbers, [left, top, width, height]",
    "cells": "a whole number, or the left side and the width of each, [[x, width], …]",
    "min": "a number",
    "max": "a number",
    "decimals": "a whole number",
    "required": "true or false",
    "size": "two whole numbers, [width, height]",
    "field": "tables, each under [[field]]",
    "rules": 'a table of texts, such as total = "a + b" under [rules]',
}
"""What the values of a template are, where they are not texts."""


def load_templates(
    templates: Sequence[str | os.PathLike[str] | Template], checksums: Mapping[str, Checksum]
) -> list[Template]:
    """Load templates, with the user's own checksums.

    Args:
        templates: files, and templates that are loaded.
        checksums: functions by the name of a field, for each template that has it; they take the
            place of what its file says.

    Raises:
        InputNotFoundError, TemplateError: as `load_template` raises.
        ConfigError: `templates` or `checksums` have something else in them, or `checksums` names a
            field that no template has.
    """
    for one in templates:
        if not isinstance(one, str | os.PathLike | Template):
            raise ConfigError(
                f"must be templates or their files, got {type(one).__name__}",
                field="templates",
                hint='pass several as Form("a.toml", "b.toml")',
            )
    if not isinstance(checksums, Mapping):
        raise ConfigError(
            f"must be functions by the name of a field, got {checksums!r}", field="checksums"
        )
    for name, function in checksums.items():
        if not callable(function):
            raise ConfigError(
                f"must be functions, got {function!r} for {name!r}", field="checksums"
            )
    loaded = [one if isinstance(one, Template) else load_template(Path(one)) for one in templates]
    known = {one.name for template in loaded for one in template.fields}
    if missing := checksums.keys() - known:
        raise ConfigError(
            f"is for a field that no template has: {', '.join(sorted(missing))}", field="checksum"
        )
    return [_with_checksums(template, checksums) for template in loaded]


def _with_checksums(template: Template, checksums: Mapping[str, Checksum]) -> Template:
    fields = tuple(
        replace(one, checksum="of your own", check=checksums[one.name])
        if one.name in checksums
        else one
        for one in template.fields
    )
    return replace(template, fields=fields)


def load_template(path: Path) -> Template:
    """Read a template and its reference picture.

    Args:
        path: TOML file.

    Raises:
        InputNotFoundError: the file does not exist.
        TemplateError: it cannot be read, is not TOML, or says something that is not allowed; its
            reference does not exist, or is not the picture that it was.
    """
    name = str(path)
    try:
        table = _read(path)
        fields = _check_fields(table)
        names = [one.name for one in fields]
        rules = tuple(make_rule(target, text, names) for target, text in table.rules.items())
        check_cycles(rules)
        reference = _load_reference(path.parent, table)
    except TemplateError as error:
        raise TemplateError(
            error.problem, subject=error.subject or name, hint=error.hint
        ) from error
    reference_path = path.parent / table.reference
    return Template(path.stem, fields, rules, reference, reference_path)


def _read(path: Path) -> _File:
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        raise TemplateError("is a picture, not a template", hint=_CREATE)
    table = read_toml(path, MAX_TEMPLATE_BYTES, TemplateError, create=_CREATE)
    _check_keys(table, _File)
    fields = table.get("field")
    for one in fields if isinstance(fields, list) else ():
        if isinstance(one, dict):
            name = f"field {one.get('name', '')!r}: "
            _check_keys(one, _FieldTable, name)
            _check_values(one, _FieldTable, name)
    _check_values(table, _File)
    return msgspec.convert(table, _File)


def _check_keys(table: dict[str, Any], struct: type[msgspec.Struct], prefix: str = "") -> None:
    allowed = struct.__struct_fields__
    for key in table:
        if key not in allowed:
            raise TemplateError(prefix + unknown_key(key, allowed))


def _check_values(table: dict[str, Any], struct: type[msgspec.Struct], prefix: str = "") -> None:
    for key in msgspec.structs.fields(struct):
        if key.name not in table:
            if key.required:
                is_other = not table.keys() & {"reference", "field", "box"}
                hint = _CREATE if is_other else None
                raise TemplateError(f"{prefix}{key.name} is missing", hint=hint)
            continue
        value = table[key.name]
        try:
            msgspec.convert(value, key.type)
        except msgspec.ValidationError as error:
            wanted = _WANTED.get(key.name, "text in quotes")
            raise TemplateError(
                f"{prefix}{key.name} must be {wanted}, got {reprlib.repr(value)}"
            ) from error


def _check_fields(table: _File) -> tuple[FormField, ...]:
    if not 1 <= len(table.field) <= MAX_FIELDS:
        raise TemplateError(f"must have 1 to {MAX_FIELDS} fields, got {len(table.field)}")
    fields: list[FormField] = []
    columns = dict.fromkeys((*COLUMNS_BEFORE, *COLUMNS_AFTER), "which every table has")
    for one in table.field:
        if not _NAME.fullmatch(one.name):
            raise TemplateError(
                f"field {one.name!r}: a name is a letter, then letters, digits and _, up to 64"
            )
        if keyword.iskeyword(one.name):
            raise TemplateError(
                f"field {one.name!r}: is a reserved word of Python; choose another name"
            )
        for column in (one.name, f"{one.name}_status"):
            if column in columns:
                raise TemplateError(
                    f"field {one.name!r}: there is another column {column!r}, "
                    f"{columns[column]}; choose another name"
                )
            columns[column] = f"that of field {one.name!r}"
        try:
            fields.append(_check_field(one, table.size))
        except DigitkitError as error:
            raise TemplateError(f"field {one.name!r}: {error}") from error
    return tuple(fields)


def _check_field(table: _FieldTable, size: tuple[int, int]) -> FormField:
    x, y, w, h = (round(side) for side in _finite(table.box))
    if not (w >= MIN_BOX_SIDE and h >= MIN_BOX_SIDE and x >= 0 and y >= 0):
        raise TemplateError(
            f"box {list(table.box)} must have a place and a size of {MIN_BOX_SIDE} or more"
        )
    if x + w > size[0] or y + h > size[1]:
        raise TemplateError(f"box {list(table.box)} is outside the picture of {size[0]}x{size[1]}")
    if table.decimals is not None and not 0 <= table.decimals <= MAX_DECIMALS:
        raise TemplateError(f"decimals must be 0 to {MAX_DECIMALS}, got {table.decimals}")
    if table.checksum is not None and table.checksum not in CHECKSUMS:
        raise TemplateError(
            f"checksum must be one of {', '.join(CHECKSUMS)}, got {table.checksum!r}",
            hint=f"a function of your own is given by --checksum {table.name}=module:function",
        )
    check = None if table.checksum is None else CHECKSUMS[table.checksum]
    low, high = (None if v is None else _decimal(v) for v in (table.min, table.max))
    field = FormField(
        table.name, (x, y, w, h), _check_cells(table.cells, (x, y, w, h)), table.pattern,
        table.checksum, check, low, high, table.decimals, table.required,
    )  # fmt: skip
    _check_constraints(field)
    return field


def _check_constraints(field: FormField) -> None:
    """Refuse constraints that no text meets."""
    low, high, cells = field.minimum, field.maximum, len(field.cells)
    if low is not None and high is not None and low > high:
        raise TemplateError(f"min must not be above max, got {low} and {high}")
    if high is not None and high < 0:
        raise TemplateError(f"max must be at least 0, since no minus is read, got {high}")
    largest = Decimal(10**cells - 1).scaleb(-(field.decimals or 0))
    if cells and low is not None and low > largest:
        raise TemplateError(f"min must be at most {largest}, the most that fits, got {low}")
    count = CHECKSUM_DIGITS.get(field.checksum or "", cells)
    if cells and cells != count and (cells < count or not (field.is_quantity or field.pattern)):
        raise TemplateError(f"cells must be {count} for the checksum {field.checksum}, got {cells}")
    outside = re.sub(r"\[.*?\]|\{.*?\}", "", field.pattern or "")
    for name, sign, is_read in (("comma", ",", False), ("point", r"\.", field.decimals)):
        if sign in outside and not is_read:
            raise TemplateError(
                f"pattern has a {name}, which is never in the text of this field",
                hint=r"with decimals, the text has a point before them: write \.",
            )


def _check_cells(
    cells: int | list[tuple[float, float]] | None, box: Box
) -> tuple[tuple[float, float], ...]:
    if cells is None:
        return ()
    count = cells if isinstance(cells, int) else len(cells)
    if not 1 <= count <= MAX_CELLS:
        raise TemplateError(f"cells must be 1 to {MAX_CELLS}, got {count}")
    x, _, width, _ = box
    if isinstance(cells, int):
        cells = [(x + width * i / count, width / count) for i in range(count)]
    at = float(x) - 1
    for left, wide in map(_finite, cells):
        if wide < MIN_BOX_SIDE or left < at or left + wide > x + width + 1:
            raise TemplateError(
                f"cells must be in the box, {x} to {x + width}, from left to right and "
                f"{MIN_BOX_SIDE} pixels wide or more, got [{left:g}, {wide:g}]"
            )
        at = left + wide - 1
    return tuple((float(left), float(wide)) for left, wide in cells)


def _finite(values: tuple[float, ...]) -> tuple[float, ...]:
    if not all(abs(value) < 1e6 for value in values):
        raise TemplateError(f"places must be numbers of pixels, got {list(values)}")
    return values


def _decimal(value: float) -> Decimal:
    if not abs(value) < float(MAX_NUMBER):
        raise TemplateError(f"min and max must be numbers below {MAX_NUMBER:.0e}, got {value:g}")
    return Decimal(str(value)).normalize() + 0


def _load_reference(folder: Path, table: _File) -> U8:
    if PurePath(table.reference).name != table.reference or table.reference in ("", ".", ".."):
        raise TemplateError(
            f"reference must be the name of a picture beside the template, got {table.reference!r}"
        )
    path = folder / table.reference
    try:
        image = to_grey(decode_file(path))
        digest = file_sha256(path)
    except DigitkitError as error:
        raise TemplateError(f"its reference cannot be read: {error}") from error
    except OSError as error:
        raise TemplateError(f"its reference {path} cannot be read: {os_reason(error)}") from error
    if digest != table.sha256:
        raise TemplateError(
            f"its reference {path} is not the picture that the fields were marked on",
            hint=f'restore it, or check the fields and set sha256 = "{digest}"',
        )
    height, width = image.shape
    if (width, height) != table.size:
        raise TemplateError(
            f"size must be that of its reference, {width}x{height}, got "
            f"{table.size[0]}x{table.size[1]}"
        )
    return image


def template_text(
    fields: tuple[FormField, ...], reference: str, sha256: str, size: tuple[int, int]
) -> str:
    """A template as `load_template` reads it.

    Args:
        fields: with boxes and cells; their constraints are not written. Without
            fields the text has a commented example of one.
        reference: name of the reference picture, beside the template.
        sha256: of that file.
        size: its width and height, pixels.
    """
    name = json.dumps(reference, ensure_ascii=False)
    lines = [
        f"reference = {name}", f'sha256 = "{sha256}"', f"size = [{size[0]}, {size[1]}]", "",
        "# A field's name is its column in the table: a letter, then letters, digits and _.",
        "# Each field may have: pattern, checksum (" + ", ".join(CHECKSUMS) + "), min, max,",
        "# decimals, required. Rules across fields come last, in a table:",
        "# [rules]", '# total = "a + b"',
    ]  # fmt: skip
    if not fields:
        lines += ["", "# [[field]]", '# name = "number"', "# box = [x, y, width, height]"]
    for one in fields:
        lines += ["", "[[field]]", f'name = "{one.name}"', f"box = {list(one.box)}"]
        if one.cells:
            if _are_even(one):
                lines.append(f"cells = {len(one.cells)}")
            else:
                parts = ", ".join(f"[{left:g}, {wide:g}]" for left, wide in one.cells)
                lines.append(f"cells = [{parts}]")
    return "\n".join(lines) + "\n"


def _are_even(field: FormField) -> bool:
    """Whether a comb's cells are its box divided evenly, but for the width of lines."""
    x, _, width, _ = field.box
    pitch = width / len(field.cells)
    return all(
        abs(left - x - i * pitch) < 0.12 * pitch and abs(wide - pitch) < 0.2 * pitch
        for i, (left, wide) in enumerate(field.cells)
    )
