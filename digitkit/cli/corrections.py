"""``digitkit corrections``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.exit_codes import SOME_FAILED
from digitkit.errors import DatasetError, DigitkitError, escape_controls, one_line

if TYPE_CHECKING:
    from digitkit.datasets.corrections import Converted, Correction

EXAMPLES = """\
[bold]Examples[/]

digitkit corrections corrections.jsonl --out corrections

digitkit corrections more.jsonl --out corrections — adds to the folder

digitkit train --init digits --data corrections --out runs/mine
"""


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="Corrections, as the review of digitkit infer --report and of digitkit serve "
            "gives them: one JSON line each.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder to write: new, empty, or one that this command made, to which more is "
            "added.",
        ),
    ] = Path("corrections"),
) -> None:
    """Turn corrections into a folder for digitkit train --data.

    The folder has what the classifier saw of each digit, in the folders 0 to 9, and what is not a
    digit in the folder none. If there are two corrections of the same thing, the later one counts.
    A line that is not a correction gives one line on stderr, the others are converted, and the exit
    code is 1.
    """
    from digitkit.datasets.corrections import add_corrections

    failed = False

    def read() -> Iterator[Correction]:
        nonlocal failed
        for one in _read(files):
            if isinstance(one, DigitkitError):
                failed = True
                print(f"digitkit: {escape_controls(one_line(one))}", file=sys.stderr)
            else:
                yield one

    converted = add_corrections(out, read())
    if converted.corrections:
        _print_summary(out, converted)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _read(files: list[Path]) -> Iterator[Correction | DigitkitError]:
    from digitkit.datasets.corrections import read_corrections

    for file in files:
        is_empty = True
        try:
            for one in read_corrections(file):
                is_empty = False
                yield one
        except DigitkitError as error:
            yield error
        else:
            if is_empty:
                yield DatasetError("contains no correction", subject=str(file))


def _print_summary(out: Path, converted: Converted) -> None:
    from digitkit.datasets.corrections import NONE

    counts = dict(converted.counts)
    others = counts.pop(NONE, 0)
    total = sum(counts.values())
    line = f"{out}: {_count(converted.corrections, 'correction')}, {_count(total, 'digit')}"
    if counts:
        line += f" ({', '.join(f'{count:,} of {label}' for label, count in counts.items())})"
    if others:
        line += f", {_count(others, 'image')} without a digit"
    show.print_wrapped(line)
    if converted.unclear:
        show.print_wrapped(
            f"not used: {_count(converted.unclear, 'correction')} of numbers in which more or "
            "fewer digits are written than were seen, so that it is not known which is which"
        )
    if total:
        show.print_line(f"next: digitkit train --init digits --data {shlex.quote(str(out))}")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
