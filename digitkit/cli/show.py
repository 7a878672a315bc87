"""What several commands show in the same way: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def out() -> Console:
    """Standard output; wide where it is no terminal, so that a table is not cut."""
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def table(*columns: str) -> Table:
    """An empty table; columns whose name begins with ``>`` are flush right."""
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


@contextmanager
def progress() -> Iterator[Report]:
    """A bar on stderr that appears with the first report, where stderr is a terminal."""
    console = err()
    if not console.is_terminal:
        yield lambda what, done, total: None
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            bar.start()
            tasks[what] = bar.add_task(what, total=total or None)
        bar.update(tasks[what], completed=done)

    try:
        yield report
    finally:
        bar.stop()
