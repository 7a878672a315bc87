"""What several commands show in the same way: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

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
