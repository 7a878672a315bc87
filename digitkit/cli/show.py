"""What several commands show in the same way: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from digitkit.system import tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

# rich is imported where something is drawn: most runs draw nothing.


def out() -> Console:
    """Standard output; wide where it is no terminal, so that a table is not cut."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def err() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def table(*columns: str) -> Table:
    """An empty table; columns whose name begins with ``>`` are flush right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        made.add_column(
            column.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    return made


MIN_TEXT_WIDTH = 12
"""Characters that a column of text keeps where a table is narrowed: most words are shorter."""


def print_table(table: tables.Table) -> None:
    """Print a table on standard output, its title above and its note below it.

    Only text is broken into lines. A table that is too wide for the terminal gets its heads broken,
    too, and less room between its columns; one that is wider still, the terminal breaks: better
    than figures that are cut.
    """
    from rich.markup import escape

    console = out()
    drawn, width = _draw_table(table, narrow=False)
    if width > console.width:
        drawn, width = _draw_table(table, narrow=True)
    console.width = max(console.width, width)
    if table.title:
        console.print(f"[bold]{escape(table.title)}[/]", soft_wrap=True)
    console.print(drawn)
    if table.note:
        console.print(f"[dim]{escape(table.note)}[/]\n", soft_wrap=True)


def _draw_table(content: tables.Table, *, narrow: bool) -> tuple[Table, int]:
    """A table of rich's, and the characters that a line of it needs at least."""
    from rich.markup import escape

    names = [name.replace(" ", "\n") if narrow else name for name in content.columns]
    drawn = table(*names)
    drawn.show_header = any(names)
    if narrow:
        drawn.padding = (0, 1, 0, 0)
    widths = []
    for column, *cells in zip(drawn.columns, *content.rows, strict=True):
        longest = max(len(text) for text in (*str(column.header).split("\n"), *cells))
        column.no_wrap = column.justify == "right"
        column.min_width = longest if column.no_wrap else min(longest, MIN_TEXT_WIDTH)
        widths.append(column.min_width)
    for row in content.rows:
        drawn.add_row(*map(escape, row))
    return drawn, sum(widths) + (2 if narrow else 3) * len(widths)


class Report(Protocol):
    """Tells how far a piece of work has come; a total of 0 means that it is not known."""

    def __call__(self, what: str, done: int, total: int, /) -> None:
        """Say that `done` of `total` is done of `what`."""


STILL_FIGURES = 42
"""Letters of a line that a still bar needs beside its text."""


@contextmanager
def progress(*, still: bool = False) -> Iterator[Report]:
    """A bar on stderr, where stderr is a terminal, from the first report that isn't the last.

    Args:
        still: draw one bar, and with each report only, so that nothing runs while something is
            measured.
    """
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    bar: Progress | None = None
    tasks = {}

    def fitted(bar: Progress, what: str) -> str:
        # A long text would leave no room for the figures.
        return what[: max(12, bar.console.width - STILL_FIGURES)] if still else what

    def report(what: str, done: int, total: int) -> None:
        nonlocal bar
        task = "" if still else what
        if task not in tasks:
            if done == total:
                return
            if bar is None:
                bar = _bar(still)
                bar.start()
            tasks[task] = bar.add_task(fitted(bar, what), total=total or None)
        assert bar is not None
        bar.update(tasks[task], description=fitted(bar, what), completed=done)
        if still:
            bar.refresh()

    try:
        yield report
    finally:
        if bar is not None:
            bar.stop()


def _bar(still: bool) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=10 if still else 40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        auto_refresh=not still,
    )
