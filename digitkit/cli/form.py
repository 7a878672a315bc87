"""``digitkit form``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli.exit_codes import SOME_FAILED, USAGE
from digitkit.cli.options import ChecksumOption
from digitkit.cli.show import print_line
from digitkit.errors import FormError

EXAMPLES = """\
[bold]Examples[/]

digitkit form new blank.png --out form.toml

digitkit form check form.toml scan.png

digitkit infer scans/ --form form.toml --output table.xlsx
"""


def command(ctx: typer.Context) -> None:
    """Define the fields of a form once, so that digitkit infer --form reads it.

    new finds the boxes, combs and lines of a blank form and writes a template; check shows how a
    filled-in form is found and read.
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())
        raise typer.Exit(USAGE)


def new(
    blank: Annotated[
        Path,
        typer.Argument(
            metavar="BLANK",
            help="Scan or phone photo of a blank form, right side up.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Template to write, TOML.")] = Path(
        "form.toml"
    ),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist.")
    ] = False,
) -> None:
    """Find the fields of a blank form and write a template.

    For `--out NAME.toml` it writes that file, the reference picture NAME.png (straightened, grey),
    and NAME-fields.png, an overview of the fields with their names. In NAME.toml, rename the
    fields, delete those that are not fields, and add what is known of them: pattern, checksum, min,
    max, decimals, required, and rules across fields. Fields that are not found can be added by
    hand, with their box in the reference. It warns of a form that is small, upside down or filled
    in.
    """
    from digitkit.forms.new_form import make_template

    files = make_template(blank, out, overwrite=overwrite)
    written = ", ".join(map(str, (files.template, files.reference, files.overview)))
    print_line(f"{files.count} field{'s' * (files.count != 1)} found; written: {written}")
    for doubt in files.doubts:
        print_line(f"warning: {blank} {doubt}", error=True)
    if files.count:
        print_line(f"look at {files.overview}, and rename the fields in {files.template}")
    else:
        print_line(
            f"warning: no boxes, combs or lines were found; add fields to {files.template} by "
            f"hand, with their boxes in {files.reference}",
            error=True,
        )


def check(
    template: Annotated[
        Path, typer.Argument(metavar="TEMPLATE", help="Template, TOML.", show_default=False)
    ],
    picture: Annotated[
        Path | None,
        typer.Argument(metavar="SCAN", help="Filled-in form to read.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Picture to write; by default the scan's, or the template's, name with -check.png "
            "in the current folder.",
            show_default=False,
        ),
    ] = None,
    checksum: ChecksumOption = None,
) -> None:
    """Draw where a template's form and fields are in a scan, and what is read of them.

    Without a scan the template is checked, and its fields are drawn. Exit code 1: the scan does not
    show the form.
    """
    from digitkit.forms.new_form import check_template

    try:
        path, lines = check_template(template, picture, out, tuple(checksum or ()))
    except FormError as error:
        print_line(f"{picture}: {error}", error=True)
        raise typer.Exit(SOME_FAILED) from error
    for line in lines:
        print_line(line)
    print_line(f"written: {path}")


SUBCOMMANDS = {"new": (new, EXAMPLES), "check": (check, EXAMPLES)}
