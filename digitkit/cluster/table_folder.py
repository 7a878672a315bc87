"""The folder of a table that a cluster writes: on disks that all nodes share, or in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitkit.cluster.stores import locate
from digitkit.errors import ClusterError, DigitkitError, cannot_write, one_line
from digitkit.sinks.parquet import SUFFIX, import_pyarrow, make_writer, open_writer, write_part
from digitkit.sources.urls import is_address


@dataclass(frozen=True)
class TableFolder:
    """A table's folder; can be pickled. A file in it is there whole or not at all.

    Attributes:
        name: its absolute path, or its address, as ``s3://bucket/readings.parquet``.
    """

    name: str

    def beside(self, end: str) -> str:
        """The name of what is beside the folder: its own, with `end` behind it."""
        start, mark, query = self.name.partition("?") if self._is_remote else (self.name, "", "")
        return f"{start.rstrip('/')}{end}{mark}{query}"

    def has(self, file: str) -> bool:
        """Whether a file is in it.

        Raises:
            ClusterError: the store cannot be asked.
        """
        return self.size(file) is not None

    def size(self, file: str) -> int | None:
        """The size of a file in it, bytes; None where there is none."""
        system, path = self._path(file)
        found = self._ask(lambda: system.get_file_info(path))
        return None if found.size is None else int(found.size)

    def is_there(self) -> bool:
        """Whether there is anything in it."""
        from pyarrow import fs

        system, path = locate(self.name)
        selector = fs.FileSelector(path, allow_not_found=True)
        return bool(self._ask(lambda: system.get_file_info(selector)))

    def make(self) -> None:
        """Make the folder; in a store there is nothing to make."""
        if not self._is_remote:
            Path(self.name).mkdir(parents=True, exist_ok=True)

    def write(self, file: str, table: Any) -> None:
        """Write a ``pyarrow.Table`` as a Parquet file.

        Raises:
            OutputError: it cannot be written.
        """
        if not self._is_remote:
            write_part(Path(self.name, file), table)
            return
        pa = import_pyarrow()
        buffer = pa.BufferOutputStream()
        with make_writer(buffer, table.schema) as writer:
            writer.write_table(table)
        self.note(file, buffer.getvalue())

    def note(self, file: str, data: Any) -> None:
        """Write bytes into a file; on a disk it is seen while it is written.

        Raises:
            OutputError: it cannot be written.
        """
        system, path = self._path(file)
        with writing(self.name), system.open_output_stream(path) as stream:
            stream.write(data)

    def delete(self, file: str) -> None:
        """Delete a file that is there."""
        system, path = self._path(file)
        with writing(self.name):
            system.delete_file(path)

    @property
    def _is_remote(self) -> bool:
        return is_address(self.name)

    def _path(self, file: str) -> tuple[Any, str]:
        system, path = locate(self.name)
        return system, f"{path.rstrip('/')}/{file}"

    def _ask(self, ask: Callable[[], Any]) -> Any:
        pa = import_pyarrow()
        try:
            return ask()
        except (pa.ArrowException, OSError) as error:
            raise ClusterError(f"cannot be asked: {one_line(error)}", subject=self.name) from error


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Name what is written in errors.

    Raises:
        OutputError: it cannot be written.
    """
    pa = import_pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, DigitkitError):
            raise
        raise cannot_write(name, one_line(error)) from error


@contextmanager
def open_rows(name: str, schema: Any) -> Iterator[Any]:
    """A ``pyarrow.parquet.ParquetWriter`` for a file that is written a piece at a time.

    On a disk it is there whole or not at all; in a store it may end early.

    Raises:
        OutputError: it cannot be written.
    """
    if not is_address(name):
        with open_writer(Path(name), schema) as writer:
            yield writer
        return
    system, path = locate(name)
    with writing(name), make_writer(path, schema, system) as writer:
        yield writer


def manifest_name(folder: TableFolder) -> str:
    """Where the list of a table's files is."""
    return folder.beside(f".files{SUFFIX}")


def part_name(number: int) -> str:
    """The file of a part of the table, in its folder."""
    return f"part-{number:09d}{SUFFIX}"
