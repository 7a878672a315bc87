"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Precision(StrEnum):
    """Which of a shipped model's files is taken."""

    auto = "auto"
    int8 = "int8"
    fp32 = "fp32"


class Report(StrEnum):
    """How figures are written."""

    text = "text"
    json = "json"


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A shipped model's name, or an .onnx file, even a foreign one."
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Of a shipped model; auto takes the faster, int8 if nothing else is known."),
]
InputScaleOption = Annotated[
    float | None,
    typer.Option(help="A foreign model's pixels are 0–255 times this; 1/255 by default."),
]
ThreadsOption = Annotated[int, typer.Option(min=1, help="CPU threads.")]
ReportOption = Annotated[
    Report, typer.Option("--format", help="text for people, json for programs.")
]
