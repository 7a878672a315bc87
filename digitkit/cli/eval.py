"""``digitkit eval``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.options import (
    InputScaleOption,
    ModelArgument,
    Precision,
    PrecisionOption,
    Report,
    ReportOption,
    ThreadsOption,
)
from digitkit.errors import MissingDependencyError

if TYPE_CHECKING:
    from digitkit.datasets.digits import DigitData
    from digitkit.models.classifier import Classifier
    from digitkit.models.evaluation import Evaluation

EXAMPLES = """\
[bold]Examples[/]

digitkit eval — the model that is built in, on MNIST's test set

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
    precision: PrecisionOption = Precision.auto,
    input_scale: InputScaleOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where confusion.png and mistakes.png go; eval/MODEL by default.",
        ),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw the two pictures.")
    ] = True,
    format_: ReportOption = Report.text,
    threads: ThreadsOption = 1,
) -> None:
    """Measure a model: loss, accuracy, calibration, per-digit precision and recall.

    Draws the confusion matrix and the worst mistakes (needs matplotlib). Foreign models are taken
    with float32 [1 or N, 1, 28, 28] in and ten scores out.
    """
    from digitkit.datasets.load import load_test
    from digitkit.models.classifier import Classifier
    from digitkit.models.evaluation import evaluate

    classifier = Classifier(
        model, precision=precision.value, threads=threads, input_scale=input_scale
    )
    with show.progress() as report:
        digits = load_test(data, progress=report)
        result = evaluate(
            classifier, digits, progress=lambda done, total: report("evaluating", done, total)
        )
    if format_ is Report.json:
        facts = {"model": str(classifier.path), "sha256": classifier.sha256}
        print(json.dumps(facts | result.to_json(), indent=2))
    else:
        _print(classifier, result)
    if pictures:
        _draw(out or Path("eval") / classifier.path.stem, classifier, digits, result)


def _print(classifier: Classifier, result: Evaluation) -> None:
    console = show.out()
    console.print(f"{classifier.path} on {result.data}", soft_wrap=True)
    wrong = len(result.mistakes)
    summary = show.table(
        "images", ">accuracy", ">wrong", ">loss", ">mean confidence", ">calibration error"
    )
    summary.add_row(
        f"{result.count:,}",
        f"{result.accuracy:.2%}",
        f"{wrong:,}",
        f"{result.loss:.4f}",
        f"{result.mean_confidence:.2%}",
        f"{result.calibration_error:.2%}",
    )
    console.print(summary)
    digits = show.table("digit", ">images", ">precision", ">recall", "read as something else")
    for digit in range(10):
        row = result.confusion[digit]
        others = sorted(
            ((n, other) for other, n in enumerate(row) if n and other != digit), reverse=True
        )
        digits.add_row(
            str(digit),
            f"{sum(row):,}",
            _share(result.precision[digit]),
            _share(result.recall[digit]),
            ", ".join(f"{n} as {other}" for n, other in others),
        )
    console.print(digits)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _draw(folder: Path, classifier: Classifier, data: DigitData, result: Evaluation) -> None:
    from digitkit import figures
    from digitkit.system import atomic

    title = f"{classifier.path.name} on {result.data}"
    try:
        confusion = figures.confusion(title, result)
        mistakes = figures.mistakes(title, data.images, result)
    except MissingDependencyError as error:
        show.err().print(f"no pictures: {error}", soft_wrap=True)
        return
    atomic.write_bytes(folder / "confusion.png", confusion)
    atomic.write_bytes(folder / "mistakes.png", mistakes)
    show.err().print(f"pictures: {folder}/confusion.png, {folder}/mistakes.png", soft_wrap=True)
