"""Output that commands share: tables on standard output, progress on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

from digitkit.errors import escape_controls, to_json
from digitkit.system.progress import Progress, no_progress
from digitkit.system.tables import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.table import Table as DrawnTable

# rich is imported where something is drawn: most runs draw nothing.

MIN_TEXT_WIDTH = 12
"""Characters that a column of text keeps where a table is narrowed: most words are shorter."""

STILL_BAR_WIDTH = 40
"""Characters that a still bar needs in addition to its text."""


def out() -> Console:
    """Standard output; wide where it is not a terminal, so that a table is not cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)


def err() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def write_utf8() -> None:
    """Let standard output be UTF-8, whatever the terminal's encoding is: a program reads it."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]


def print_json(value: object) -> None:
    """Print JSON text for programs, in UTF-8."""
    write_utf8()
    print(to_json(value, indent=2))


def print_line(text: str, *, error: bool = False) -> None:
    """Print a line that may contain names and metadata from elsewhere; see `escape_controls`.

    Args:
        text: the line.
        error: print it on standard error instead of standard output.
    """
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{escape_controls(text)}\n")  # at once: other threads print lines, too
    if error:
        stream.flush()


def print_wrapped(text: str, *, error: bool = False) -> None:
    """Print a line; in a terminal that is too narrow, broken between words instead of inside them.

    Args:
        text: the line; see `print_line`.
        error: print it on standard error instead of standard output.
    """
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        from shutil import get_terminal_size
        from textwrap import fill

        text = fill(
            escape_controls(text),
            get_terminal_size().columns,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        print(text, file=stream, flush=error)
    else:
        print_line(text, error=error)


def print_table(table: Table) -> None:
    """Print a table on standard output, its title above and its note below it.

    Only text is broken into lines, between words if there is room. A table that is too wide for the
    terminal gets its heads broken, too, and less room between its columns; one that is wider still,
    the terminal breaks: better than figures that are cut.
    """
    console = out()
    for fold, narrow in product((False, True), repeat=2):
        drawn, width = _draw_table(table, console.width, narrow=narrow, fold=fold)
        if width <= console.width:
            break
    console.width = max(console.width, width)
    wide = not console.is_terminal  # programs get each line whole
    if table.title:
        console.print(escape_controls(table.title), style="bold", soft_wrap=wide)
    console.print(drawn)
    if table.note:
        console.print(escape_controls(table.note) + "\n", style="dim", soft_wrap=wide)


def _draw_table(table: Table, room: int, *, narrow: bool, fold: bool) -> tuple[DrawnTable, int]:
    """A table of rich's, and the characters that a line of it needs at least.

    Args:
        table: what to draw.
        room: characters of a line of the terminal.
        narrow: break the heads, leave less room between the columns.
        fold: break words of columns of text, too, but keep `MIN_TEXT_WIDTH` characters of them.
    """
    from rich import box
    from rich.table import Table as DrawnTable
    from rich.text import Text

    drawn = DrawnTable(box=box.SIMPLE_HEAD, pad_edge=False, show_header=any(table.columns))
    if narrow:
        drawn.padding = (0, 1, 0, 0)
    widths: list[tuple[int, int]] = []  # the least and the widest that is of use
    for column, *cells in zip(table.columns, *table.rows, strict=True):
        right = column.startswith(">")
        head = column.removeprefix(">").replace(" ", "\n" if narrow else " ")
        longest = max(len(text) for text in (*head.split("\n"), *cells))
        word = max((len(word) for text in (head, *cells) for word in text.split()), default=0)
        least = longest if right else min(longest, MIN_TEXT_WIDTH) if fold else word
        widths.append((least, longest))
        drawn.add_column(
            Text(head),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=right,
        )
    width = sum(least for least, _ in widths) + (2 if narrow else 3) * len(widths)
    # Rich would take from the widest column, which may be the one that cannot be broken.
    spare = max(0, room - width)
    for column_drawn, (least, longest) in zip(drawn.columns, widths, strict=True):
        column_drawn.width = least + min(longest - least, spare)
        spare -= column_drawn.width - least
    for row in table.rows:
        drawn.add_row(*(Text(escape_controls(cell)) for cell in row))
    return drawn, width


@contextmanager
def progress(*, still: bool = False) -> Iterator[Progress]:
    """Bars on standard error, if that is a terminal, from the first report that is not the last.

    Args:
        still: draw one bar, and with each report only, so that nothing runs while something is
            measured.
    """
    if not sys.stderr.isatty():
        yield no_progress
        return
    bars: Bars | None = None
    tasks = {}

    def report(what: str, done: int, total: int) -> None:
        nonlocal bars
        task = "" if still else what
        if task not in tasks and done == total:
            return
        if bars is None:
            bars = _make_bars(still)
            bars.start()
        # A long text would leave no room for the figures.
        room = max(12, bars.console.width - STILL_BAR_WIDTH)
        text = f"{what[: room - 1]}…" if still and len(what) > room else what
        if task not in tasks:
            tasks[task] = bars.add_task(text, total=total or None)
        bars.update(tasks[task], description=text, completed=done)
        if still:
            bars.refresh()

    try:
        yield report
    finally:
        if bars is not None:
            bars.stop()


def _make_bars(still: bool) -> Bars:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10 if still else 40),
        MofNCompleteColumn(),
        *(() if still else (TimeElapsedColumn(), TextColumn("passed,"))),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=err(),
        transient=True,
        auto_refresh=not still,
    )
