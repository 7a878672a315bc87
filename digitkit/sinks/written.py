"""What is in the JSON lines or the CSV of a run that was interrupted."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from digitkit.errors import OutputError, os_reason, printable_path
from digitkit.sinks.lines import csv_line, unguard

Key = tuple[str, int | None]
"""A picture: its source, and its page where that has several."""


class _Line(msgspec.Struct):
    """What identifies a JSON line."""

    source: str
    page: int | None = None


@dataclass(frozen=True)
class WrittenLines:
    """A file of JSON lines or CSV that may have been begun.

    Attributes:
        path: the file.
        how: its format.
        columns: of CSV; ``source`` and ``page`` are two of them.
    """

    path: Path
    how: Literal["jsonl", "csv"]
    columns: Sequence[str]

    def header_length(self) -> int:
        """How long the header is, bytes; 0 if it is not there."""
        length = self._header_bytes
        is_there = length and self.path.is_file() and self.path.stat().st_size >= length
        return length if is_there else 0

    def are_empty(self) -> bool:
        """Whether the file has at most a header; raises `OSError` if it does not exist."""
        return self.path.stat().st_size <= self._header_bytes

    def keys(self, whole: int | None = None) -> Iterator[tuple[Key, int]]:
        """The pictures in the file, each with the length of the file up to its end, bytes.

        What was not written whole is left out: of JSON lines the last line if it has no end; of
        CSV, whose records of one picture belong together, the last picture.

        Args:
            whole: a length, bytes, of which it is known that the last picture is whole there.

        Raises:
            OutputError: it cannot be read, or is another file.
        """
        try:
            with self.path.open("rb") as file:
                yield from _json_keys(file) if self.how == "jsonl" else self._csv_keys(file, whole)
        except OSError as error:
            raise OutputError(
                f"cannot be read: {os_reason(error)}", subject=str(self.path)
            ) from error
        except (msgspec.DecodeError, ValueError, KeyError, csv.Error) as error:
            raise OutputError(
                "is not what this run wrote",
                subject=printable_path(self.path),
                hint="delete it and its .run file, and begin anew",
            ) from error

    @property
    def _header_bytes(self) -> int:
        return len(csv_line(self.columns).encode()) if self.how == "csv" else 0

    def _csv_keys(self, file: BinaryIO, whole: int | None) -> Iterator[tuple[Key, int]]:
        end = 0

        def lines() -> Iterator[str]:
            nonlocal end
            for line in file:
                end += len(line)
                yield line.decode("utf-8", "replace")

        source, page = self.columns.index("source"), self.columns.index("page")
        last: Key | None = None
        begin = 0  # of the current record
        for place, record in enumerate(csv.reader(lines())):
            if place == 0:
                if record != list(self.columns) and end >= self._header_bytes:
                    raise ValueError
            elif len(record) == len(self.columns):
                key = unguard(record[source]), int(record[page]) if record[page] else None
                if last is not None and key != last:
                    yield last, begin
                last = key
            begin = end
        if last is not None and end == whole:
            yield last, end


def _json_keys(file: BinaryIO) -> Iterator[tuple[Key, int]]:
    decoder = msgspec.json.Decoder(_Line)
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        found = decoder.decode(line)
        yield (found.source, found.page), end
