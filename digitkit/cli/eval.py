"""``digitkit eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.options import (
    InputScaleOption,
    ModelArgument,
    PrecisionOption,
    ReportOption,
    ThreadsOption,
)
from digitkit.errors import ConfigError, MissingDependencyError
from digitkit.system.tables import Table

if TYPE_CHECKING:
    from digitkit.datasets.digits import DigitData
    from digitkit.models.classifier import Classifier
    from digitkit.models.evaluation import Evaluation

EXAMPLES = """\
[bold]Examples[/]

digitkit eval — the built-in model on MNIST's test set

digitkit eval runs/quick-20260101-120000/exported/quick-int8.onnx

digitkit eval mnist-7.onnx --input-scale 1

digitkit eval digits --precision fp32 --data my-digits --out report
"""


def command(
    model: ModelArgument = "digits",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Labelled digits instead of MNIST's test set: IDX files, or folders 0 … 9.",
        ),
    ] = None,
    precision: PrecisionOption = "auto",
    input_scale: InputScaleOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for confusion.png and mistakes.png; eval/MODEL by default.",
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw the two figures.")
    ] = True,
    format_: ReportOption = "text",
    threads: ThreadsOption = 1,
) -> None:
    """Measure a model: loss, accuracy, calibration, per-digit precision and recall.

    Draws the confusion matrix and the worst mistakes (requires matplotlib). Third-party models must
    take float32 [1 or N, 1, 28, 28] and give ten scores.
    """
    from digitkit.datasets.load import load_test
    from digitkit.models.classifier import Classifier
    from digitkit.models.evaluation import evaluate
    from digitkit.system import atomic

    if out is not None and out.is_file():
        raise ConfigError(f"must be a folder, got the file {out}", field="out")
    if out is not None and pictures:
        atomic.check_writable(out, is_folder=True)
    classifier = Classifier(model, precision=precision, threads=threads, input_scale=input_scale)
    with show.progress() as report:
        digits = load_test(data, progress=report)
        result = evaluate(classifier, digits, progress=report)
    if format_ == "json":
        model_facts = {"model": str(classifier.path), "sha256": classifier.sha256}
        show.print_json(model_facts | result.to_json())
    else:
        show.print_line(f"{classifier.path} on {result.data}")
        show.print_table(_summary_table(result))
        show.print_table(_digits_table(result))
    if pictures:
        _draw(out or Path("eval") / classifier.path.stem, classifier, digits, result)


def _summary_table(result: Evaluation) -> Table:
    row = (
        f"{result.count:,}",
        f"{result.accuracy:.2%}",
        f"{len(result.mistakes):,}",
        f"{result.loss:.4f}",
        f"{result.mean_confidence:.2%}",
        f"{result.calibration_error:.2%}",
    )
    columns = (
        ">images", ">accuracy", ">wrong", ">loss", ">mean confidence", ">calibration error"
    )  # fmt: skip
    return Table(columns, (row,))


def _digits_table(result: Evaluation) -> Table:
    rows = []
    for digit, counts in enumerate(result.confusion):
        confused = sorted(
            ((n, other) for other, n in enumerate(counts) if n and other != digit), reverse=True
        )
        rows.append(
            (
                str(digit),
                f"{sum(counts):,}",
                _format_ratio(result.precision[digit]),
                _format_ratio(result.recall[digit]),
                ", ".join(f"{n}× as {other}" for n, other in confused),
            )
        )
    return Table(("digit", ">images", ">precision", ">recall", "misread"), tuple(rows))


def _format_ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _draw(folder: Path, classifier: Classifier, data: DigitData, result: Evaluation) -> None:
    from digitkit import figures
    from digitkit.system import atomic

    title = f"{classifier.path.name} on {result.data}"
    try:
        confusion = figures.confusion(title, result)
        mistakes = figures.mistakes(title, data.images, result)
    except MissingDependencyError as error:
        show.print_line(f"no figures: {error}", error=True)
        return
    atomic.write_bytes(folder / "confusion.png", confusion)
    atomic.write_bytes(folder / "mistakes.png", mistakes)
    show.print_line(f"figures: {folder}/confusion.png, {folder}/mistakes.png", error=True)
