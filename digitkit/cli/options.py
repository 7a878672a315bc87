"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from digitkit.choices import PrecisionChoice, ReportFormat

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A shipped model's name, or an .onnx file, which may be a third-party model.",
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        help="Which file of a shipped model; auto: the one that digitkit bench --save found to be "
        "fastest here, else int8."
    ),
]
InputScaleOption = Annotated[
    float | None,
    typer.Option(help="Factor for the pixels (0–255) of a third-party model; 1/255 by default."),
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads.")]
ReportOption = Annotated[
    ReportFormat, typer.Option("--format", help="text for people, json for programs.")
]

FormOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEMPLATE",
        help="Read forms: a template, as digitkit form new writes it; of several (pages, versions) "
        "the one that matches is taken.",
        rich_help_panel="Forms",
        show_default=False,
    ),
]
ChecksumOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FIELD=MODULE:FUNCTION",
        help="A checksum of your own for a form's field: a Python function that gets its digits "
        "and returns whether they are valid.",
        rich_help_panel="Forms",
        show_default=False,
    ),
]
