"""Writes the JSON Schema of bench's reports, from the dataclasses that they are made of.

    python benchmarks/schema.py

The file is `digitkit/bench-report.schema.json`; a test says so when it has become out of date.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from digitkit.benchmark import report
from digitkit.system import atomic

PATH = Path(report.__file__).with_name("bench-report.schema.json")
_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `digitkit.report.Report`."""
    definitions: dict[str, Any] = {}
    whole = _of(report.Report, definitions)
    made = definitions.pop(report.Report.__name__)
    assert whole == {"$ref": f"#/$defs/{report.Report.__name__}"}
    made["properties"]["format"] |= {"const": report.FORMAT}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"digitkit bench, {report.FORMAT}",
        **made,
        "$defs": dict(sorted(definitions.items())),
    }


def _of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type; dataclasses go into `definitions`."""
    if kind is Any:
        return {}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        parts = [_of(part, definitions) for part in arguments]
        if all(set(part) == {"type"} for part in parts):
            return {"type": [part["type"] for part in parts]}
        return {"anyOf": parts}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if origin is list or (origin is tuple and arguments[1:] == (...,)):
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is tuple:
        items = [_of(part, definitions) for part in arguments]
        count = len(items)
        return {"type": "array", "prefixItems": items, "minItems": count, "maxItems": count}
    if is_dataclass(kind):
        name = kind.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    raise TypeError(f"{kind} has no place in a report")


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    text = inspect.cleandoc(kind.__doc__ or "")
    about, _, attributes = text.partition("\nAttributes:\n")
    parts = re.split(r"^    (\w+): ", attributes, flags=re.MULTILINE)[1:]
    described = {
        name: " ".join(words.split()) for name, words in zip(parts[::2], parts[1::2], strict=True)
    }
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    return {
        "type": "object",
        "description": " ".join(about.split()),
        "properties": {
            name: _of(hints[name], definitions) | {"description": described[name]} for name in names
        },
        "required": names,
        "additionalProperties": False,
    }


if __name__ == "__main__":
    atomic.write_text(PATH, json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
