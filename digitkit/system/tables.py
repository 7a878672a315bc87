"""Tables as data: drawn in the terminal by ``digitkit.cli.show.print_table``, or as Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        columns: the columns' names; those that begin with ``>`` are right-aligned. If all are
            empty, the terminal shows no header.
        rows: the cells, plain text, as many as there are columns.
        title: what it shows, above it; empty for none.
        note: what the columns mean, below it; empty for none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    note: str = ""

    def to_markdown(self) -> str:
        """The table in Markdown; its title is bold and above it."""
        names = [column.removeprefix(">") for column in self.columns]
        rules = ["--:" if column.startswith(">") else "---" for column in self.columns]
        rows = [[cell.replace("|", r"\|") for cell in row] for row in self.rows]
        lines = [f"| {' | '.join(row)} |" for row in (names, rules, *rows)]
        title = [f"**{self.title}**", ""] if self.title else []
        note = [self.note, ""] if self.note else []
        return "\n".join([*title, *lines, "", *note])
