"""Writes the JSON Schema of bench's reports, from the dataclasses that they are made of.

    python benchmarks/schema.py

The file is `digitkit/benchmark/bench-report.schema.json`; a test fails when it is out of date.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from digitkit.benchmark import report
from digitkit.system import atomic

PATH = Path(report.__file__).with_name("bench-report.schema.json")


def make_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `digitkit.benchmark.report.BenchReport` as it is written."""
    (whole,), definitions = msgspec.json.schema_components(
        [report.BenchReport], ref_template="#/$defs/{name}"
    )
    name = whole["$ref"].rpartition("/")[2]
    for definition in definitions.values():
        _describe(definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **definitions.pop(name),
        "title": f"digitkit bench, {report.REPORT_FORMAT}",
        "$defs": dict(sorted(definitions.items())),
    }


def _describe(definition: dict[str, Any]) -> None:
    """Move descriptions from the docstring's Attributes section to the properties.

    What may be missing in an older report is always written: all properties are required.
    """
    # Not every version of msgspec takes the indentation away.
    docstring = inspect.cleandoc(definition["description"])
    about, _, attributes = docstring.partition("\nAttributes:\n")
    definition["description"] = " ".join(about.split())
    words = re.split(r"^    (\w+): ", attributes, flags=re.MULTILINE)[1:]
    described = dict(zip(words[::2], words[1::2], strict=True))
    properties = definition["properties"]
    for name, schema in properties.items():
        schema.pop("default", None)
        schema["description"] = " ".join(described[name].split("\n\n")[0].split())
    definition |= {"required": list(properties), "additionalProperties": False}


if __name__ == "__main__":
    atomic.write_text(PATH, json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n")
