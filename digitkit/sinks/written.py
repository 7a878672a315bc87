"""What is in the JSON lines or the CSV of a run that was interrupted."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from digitkit.errors import OutputError, os_reason, printable_path
from digitkit.sinks.lines import CSV_COLUMNS, LineFormat, unguard

Key = tuple[str, int | None]
"""A picture: its source, and its page where that has several."""


CSV_HEADER_BYTES = len(",".join(CSV_COLUMNS)) + 1
"""Length of CSV without a record."""


def header_length(path: Path, how: LineFormat) -> int:
    """How long the header of a file is that was begun; 0 if it is not there."""
    is_there = how == "csv" and path.is_file() and path.stat().st_size >= CSV_HEADER_BYTES
    return CSV_HEADER_BYTES if is_there else 0


class _Line(msgspec.Struct):
    """What identifies a JSON line."""

    source: str
    page: int | None = None


def written_keys(
    path: Path, how: LineFormat, whole: int | None = None
) -> Iterator[tuple[Key, int]]:
    """The pictures in a file, each with the length of the file up to its end, bytes.

    What was not written whole is left out: of JSON lines the last line if it has no end; of CSV,
    whose records of one picture belong together, the last picture.

    Args:
        path: the file.
        how: its format.
        whole: a length, bytes, of which it is known that the last picture is whole there.

    Raises:
        OutputError: it cannot be read, or is another file.
    """
    try:
        with path.open("rb") as file:
            yield from _json_keys(file) if how == "jsonl" else _csv_keys(file, whole)
    except OSError as error:
        raise OutputError(f"cannot be read: {os_reason(error)}", subject=str(path)) from error
    except (msgspec.DecodeError, ValueError, KeyError, csv.Error) as error:
        raise OutputError(
            "is not what this run wrote",
            subject=printable_path(path),
            hint="delete it and its .run file, and begin anew",
        ) from error


def _json_keys(file: BinaryIO) -> Iterator[tuple[Key, int]]:
    decoder = msgspec.json.Decoder(_Line)
    end = 0
    for line in file:
        if not line.endswith(b"\n"):
            return
        end += len(line)
        found = decoder.decode(line)
        yield (found.source, found.page), end


def _csv_keys(file: BinaryIO, whole: int | None) -> Iterator[tuple[Key, int]]:
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        for line in file:
            end += len(line)
            yield line.decode("utf-8", "replace")

    source, page = CSV_COLUMNS.index("source"), CSV_COLUMNS.index("page")
    last: Key | None = None
    begin = 0  # of the current record
    for place, record in enumerate(csv.reader(lines())):
        if place == 0:
            if tuple(record) != CSV_COLUMNS and end >= CSV_HEADER_BYTES:
                raise ValueError
        elif len(record) == len(CSV_COLUMNS):
            key = unguard(record[source]), int(record[page]) if record[page] else None
            if last is not None and key != last:
                yield last, begin
            last = key
        begin = end
    if last is not None and end == whole:
        yield last, end
