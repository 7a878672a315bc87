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
ThreadsOption = Annotated[int, typer.Option(help="CPU threads.")]
ReportOption = Annotated[
    ReportFormat, typer.Option("--format", help="text for people, json for programs.")
]
