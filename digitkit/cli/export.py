"""``digitkit export``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.choices import Target
from digitkit.cli import show
from digitkit.errors import needs_extra
from digitkit.system.tables import Table

if TYPE_CHECKING:
    from digitkit.export.export_job import Exported


EXAMPLES = """\
[bold]Examples[/]

digitkit export runs/quick-20260101-120000

digitkit export runs/best-20260101-120000 --out models --name digits

digitkit export runs/best-20260101-120000 --name digits-arm --target arm

[bold]Targets for int8[/]

x86: uint8 activations and 7-bit weights, whose sums cannot overflow; correct on every processor, \
and the default. x86-vnni: 8-bit weights, for processors with VNNI instructions. arm: int8 \
activations and 8-bit weights. They differ in at most a few images of 10,000.
"""


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Output folder; RUN/exported by default.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the files; the recipe's by default."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="Write NAME-int8.onnx as well.")
    ] = True,
    target: Annotated[
        Target, typer.Option(help="The processors that NAME-int8.onnx is for, see below.")
    ] = "x86",
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the training's data is now, if it has been moved."),
    ] = None,
) -> None:
    """Export a training to ONNX, in fp32 and int8, and verify both.

    If a gate fails, the exit code is 3 and nothing is written: ONNX's checker; the same digit as
    torch on every test image, probabilities within 1e-4; int8 at most 0.10 percentage points below
    fp32. int8 is calibrated on training images. A model card and checksums are written next to the
    files.
    """
    try:
        from digitkit.export.export_job import ExportConfig, export_run
    except ImportError as error:
        raise needs_extra(error.name or "torch", "exporting") from error
    config = ExportConfig(run, out, name, int8, target, data)
    with show.progress() as report:
        exported = export_run(
            config,
            step=lambda what: show.print_line(f"{what} …", error=True),
            progress=report,
        )
    show.print_table(_make_table(exported))
    if len(exported) == 2:
        fp32, small = (model.evaluation for model in exported)
        only_fp32, only_int8 = fp32.paired(small)
        print(
            f"of the {fp32.count:,} test images, only fp32 reads {only_fp32} right, "
            f"only int8 {only_int8}"
        )
    show.print_line(f"written to {exported[0].path.parent}")
    model = shlex.quote(str(exported[-1].path))
    show.print_line(f"next: digitkit infer IMAGE --model {model}")


def _make_table(exported: list[Exported]) -> Table:
    """A column per file: a row each would be wider than a terminal."""
    facts = [
        {
            "bytes": f"{model.size:,}",
            "parameters": f"{model.contract.parameters:,}",
            "test accuracy": f"{model.evaluation.accuracy:.2%}",
            "mean confidence": f"{model.evaluation.mean_confidence:.2%}",
            "agreement with torch": f"{model.agreement:.2%}",
            "largest difference": f"{model.difference:.1e}",
            "calibration error": f"{model.evaluation.calibration_error:.2%}",
        }
        for model in exported
    ]
    columns = ("", *(f">{model.path.name}" for model in exported))
    return Table(columns, tuple((name, *(fact[name] for fact in facts)) for name in facts[0]))
