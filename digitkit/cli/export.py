"""``digitkit export``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.errors import needs_extra

if TYPE_CHECKING:
    from rich.table import Table

    from digitkit.export.export import Exported


EXAMPLES = """\
[bold]Examples[/]

digitkit export runs/quick-20260101-120000

digitkit export runs/best-20260101-120000 --out models --name digits

digitkit export runs/best-20260101-120000 --name meter --target arm

[bold]Targets of int8[/]

x86: uint8 activations and weights of 7 bits, which no processor's sums overflow with; right \
everywhere, and the default. x86-vnni: weights of 8 bits, for processors with VNNI instructions. \
arm: int8 activations and weights of 8 bits. The three differ in a few images of 10,000 at most.
"""


class Target(StrEnum):
    """The processors that an int8 model is for."""

    x86 = "x86"
    x86_vnni = "x86-vnni"
    arm = "arm"


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to; RUN/exported by default.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the files; the recipe's by default.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="Write NAME-int8.onnx as well.")
    ] = True,
    target: Annotated[
        Target, typer.Option(help="The processors that NAME-int8.onnx is for, see below.")
    ] = Target.x86,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the data that it was trained on is now, if it has moved."
        ),
    ] = None,
) -> None:
    """Export a training to ONNX, in fp32 and int8, and verify both.

    Gates, each of which fails with exit code 3 and nothing written: ONNX's checker; the same digit
    as torch on every test image, probabilities within 1e-4; int8 at most 0.10 points under fp32.
    int8 is calibrated on training images. A model card and checksums are written beside the files.
    """
    if name is not None and (name in ("", ".", "..") or name != Path(name).name):
        raise typer.BadParameter(f"{name!r} cannot be the name of a file", param_hint="--name")
    try:
        from digitkit.export.export import export
        from digitkit.training.folder import load_run
    except ImportError as error:
        raise needs_extra(error.name or "torch", "exporting") from error
    loaded = load_run(run)
    console = show.err()
    with show.progress() as report:
        exported = export(
            loaded,
            out or run / "exported",
            name or loaded.recipe.name,
            int8=int8,
            target=target.value,
            data=data,
            step=lambda what: console.print(f"{what} …", soft_wrap=True),
            progress=report,
        )
    show.out().print(_table(exported))
    if len(exported) == 2:
        fp32, small = (one.evaluation for one in exported)
        only_fp32, only_int8 = fp32.paired(small)
        print(
            f"of the {fp32.count:,} test images fp32 alone reads {only_fp32} right, "
            f"int8 alone {only_int8}"
        )
    print(f"next: digitkit infer IMAGE --model {exported[-1].path}")


def _table(exported: list[Exported]) -> Table:
    table = show.table(
        "file", ">bytes", ">parameters", ">test accuracy", ">mean confidence",
        ">agreement with torch", ">largest difference", ">calibration error",
    )  # fmt: skip
    for one in exported:
        table.add_row(
            str(one.path),
            f"{one.size:,}",
            f"{one.contract.parameters:,}",
            f"{one.evaluation.accuracy:.2%}",
            f"{one.evaluation.mean_confidence:.2%}",
            f"{one.agreement:.2%}",
            f"{one.difference:.1e}",
            f"{one.evaluation.calibration_error:.2%}",
        )
    return table
