"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from digitkit.choices import PrecisionChoice, ReportFormat


def complete_model(incomplete: str) -> list[str]:
    """What the shell offers for a model: shipped names, and the .onnx files and folders here."""
    from digitkit.models.registry import shipped_names

    folder, name = os.path.split(incomplete)
    try:
        entries = [*os.scandir(folder or os.curdir)]
    except OSError:
        entries = []
    files = [
        os.path.join(folder, f"{entry.name}/" if entry.is_dir() else entry.name)
        for entry in entries
        if entry.name.startswith(name) and not entry.name.startswith(".")
        if entry.is_dir() or entry.name.endswith(".onnx")
    ]
    names = [shipped for shipped in shipped_names() if shipped.startswith(incomplete)]
    return [*names, *sorted(files)]


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="A shipped model's name, or an .onnx file, which may be a third-party model.",
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        help="Which file of a shipped model; auto: what digitkit bench --recommend --save chose "
        "for this device, else int8."
    ),
]
InputScaleOption = Annotated[
    float | None,
    typer.Option(help="Factor for the pixels (0–255) of a third-party model; 1/255 by default."),
]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads.")]
ReportOption = Annotated[
    ReportFormat, typer.Option("--format", help="text for people, json for programs.")
]

FormOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEMPLATE",
        help="Read forms: a template made by digitkit form new. With several (pages, versions), "
        "the best match is used for each picture.",
        rich_help_panel="Forms",
        show_default=False,
    ),
]
ChecksumOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=MODULE:FUNCTION",
        help="Your own checksum for a field of a form: a Python function that gets its digits and "
        "returns whether they are valid.",
        rich_help_panel="Forms",
        show_default=False,
    ),
]
CorrectionsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Corrections saved from the report of an earlier run: their texts replace what is "
        "read in those fields of forms, and rules are checked again. Where several files correct a "
        "field, the last one counts.",
        rich_help_panel="Forms",
        show_default=False,
    ),
]
