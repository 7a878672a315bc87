"""The list of a run's files, made once: listing is slow where there are millions.

A Parquet file whose rows are the parts of the table that is to be written: each names its files.
So the part that a file's reading is in is known before it is read; a part that is there is done,
and one that is written twice is the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from digitkit.cluster.stores import locate, open_remote
from digitkit.cluster.table_folder import open_rows
from digitkit.errors import ClusterError, ConfigError, one_line
from digitkit.sinks.parquet import import_pyarrow
from digitkit.sources.frames import Failure
from digitkit.sources.items import ImageBytes, Item, PageOfFile
from digitkit.sources.suffixes import HEIC_SUFFIXES, IMAGE_SUFFIXES, PDF_SUFFIXES
from digitkit.sources.urls import holds_secret, mask_password

FILE_SUFFIXES = IMAGE_SUFFIXES | PDF_SUFFIXES | HEIC_SUFFIXES
"""Of the files at an address that are read."""

PART_FILES = 500
"""Files of a part, at most: some seconds of pages, and not more files than a listing stands."""

_GROUP = 100
"""Parts in a row group of the list, which is read as a whole."""

PARTS_PER_READER = 8
"""Parts that each reader gets at least, where there are enough files: they end at about the same
time."""


@dataclass(frozen=True)
class Manifest:
    """What is to be read.

    Attributes:
        name: the file: a path, or an address.
        parts: how many parts the table will have.
        files: how many files there are.
        failures: what could not be listed; empty where the manifest was made before.
    """

    name: str
    parts: int
    files: int
    failures: tuple[Failure, ...] = ()


def write_manifest(name: str, items: Iterable[Item | Failure | str], readers: int) -> Manifest:
    """List the files of a run.

    Args:
        name: of the list: a path, or an address.
        items: the files; remote ones by their address.
        readers: processes that will read them.

    Raises:
        ConfigError: one is an image on standard input.
        OutputError: the list cannot be written.
    """
    pa = import_pyarrow()
    schema = pa.schema([("part", pa.int64()), ("files", pa.list_(pa.binary()))])
    failures: list[Failure] = []
    names = _names(items, failures)
    enough = PART_FILES * PARTS_PER_READER * readers
    first = list(islice(names, enough))
    size = PART_FILES
    if len(first) < enough:
        size = max(1, len(first) // (PARTS_PER_READER * readers))
    names = chain(first, names)
    files = parts = 0
    with open_rows(name, schema) as writer:
        while some := list(islice(names, size * _GROUP)):
            rows = [some[start : start + size] for start in range(0, len(some), size)]
            numbers = list(range(parts, parts + len(rows)))
            writer.write_table(pa.table({"part": numbers, "files": rows}, schema=schema))
            files, parts = files + len(some), parts + len(rows)
        writer.add_key_value_metadata({"files": str(files)})
    return Manifest(name, parts, files, tuple(failures))


def read_manifest(name: str) -> Manifest:
    """The list that a run made which is continued.

    Raises:
        ClusterError: it is damaged.
    """
    pa = import_pyarrow()
    try:
        system, path = locate(name)
        metadata = pa.parquet.read_metadata(path, filesystem=system)
        files = int(metadata.metadata[b"files"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            f"is not a list of files, or is damaged: {one_line(error)}", subject=name
        ) from error
    return Manifest(name, metadata.num_rows, files)


class PartFiles:
    """Looks up which files belong to a part."""

    def __init__(self, name: str) -> None:
        """Read this list, a piece at a time."""
        self._name = name
        self._group = -1
        self._rows: list[list[bytes]] = []

    def of(self, part: int) -> list[bytes]:
        """The names of a part's files, as bytes of the file system.

        Raises:
            ClusterError: the list cannot be read: it is not where this process looks for it.
        """
        pa = import_pyarrow()
        group, place = divmod(part, _GROUP)
        if group != self._group:
            try:
                system, path = locate(self._name)
                file = pa.parquet.ParquetFile(path, filesystem=system)
                table = file.read_row_group(group, ["files"])
            except (OSError, pa.ArrowException) as error:
                raise ClusterError(
                    f"cannot be read on this node: {one_line(error)}",
                    subject=self._name,
                    hint="the nodes must share the folder of --output, or it is an address",
                ) from error
            self._group, self._rows = group, table["files"].to_pylist()
        return self._rows[place]


def _names(items: Iterable[Item | Failure | str], failures: list[Failure]) -> Iterator[bytes]:
    for item in items:
        if isinstance(item, Failure):
            failures.append(item)
        elif isinstance(item, ImageBytes):
            raise ConfigError("must not be an image on standard input", field="sources")
        else:
            name = f"{item.path}#{item.page}" if isinstance(item, PageOfFile) else item
            yield os.fsencode(name)


# --- remote files ---


def list_remote(name: str) -> Iterator[str | Failure]:
    """The files at an address: itself, or those below it with a suffix of `FILE_SUFFIXES`.

    What is named like a file is taken as one, since asking would take a request for each of a list.
    Packages that read some of them are not looked for: the nodes need them, not this machine.

    Yields:
        Addresses; a `Failure` where there is nothing, or where the address holds a password.
    """
    pa = import_pyarrow()
    import pyarrow.fs as fs

    if holds_secret(name):
        error = "holds a password, which must be in the environment of the cluster's nodes instead"
        yield Failure(mask_password(name), error)
        return
    start, mark, query = name.partition("?")
    if PurePosixPath(start).suffix.lower() in FILE_SUFFIXES and not start.endswith("/"):
        yield name
        return
    try:
        system, path = open_remote(name)
        path = path.rstrip("/") or "/"
        info = system.get_file_info(path)
        if info.type == fs.FileType.File:
            yield name
            return
        if info.type == fs.FileType.NotFound:
            yield Failure(name, "does not exist", kind="missing")
            return
        below = [each.removeprefix(path).removeprefix("/") for each in _list(system, path)]
    except ClusterError as error:
        yield Failure(name, str(error), kind="unreadable")
        return
    except (pa.ArrowException, OSError, ValueError) as error:
        yield Failure(name, f"cannot be listed: {one_line(error)}", kind="unreadable")
        return
    files = sorted(each for each in below if _is_read(PurePosixPath(each)))
    if not files:
        yield Failure(name, "there are no image files", kind="missing")
    yield from (f"{start.rstrip('/')}/{quote(each)}{mark}{query}" for each in files)


def _list(system: Any, path: str) -> list[str]:
    import pyarrow.fs as fs

    selector = fs.FileSelector(path, recursive=True)
    return [each.path for each in system.get_file_info(selector) if each.type == fs.FileType.File]


def _is_read(path: PurePosixPath) -> bool:
    is_hidden = any(part.startswith(".") and part != ".." for part in path.parts)
    return path.suffix.lower() in FILE_SUFFIXES and not is_hidden
