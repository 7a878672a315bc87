"""Files by their names: paths, and addresses in object stores, which pyarrow opens."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from digitkit.errors import ClusterError, one_line
from digitkit.sinks.parquet import import_pyarrow
from digitkit.sources.urls import is_address


def locate(name: str) -> tuple[Any, str]:
    """The file system of a path or an address (a ``pyarrow.fs.FileSystem``), and the path in it.

    Raises:
        ClusterError: as `open_remote` raises.
    """
    return open_remote(name) if is_address(name) else (_local(), str(Path(name).absolute()))


@lru_cache(maxsize=1)
def _local() -> Any:
    import_pyarrow()
    from pyarrow import fs

    return fs.LocalFileSystem()


def open_remote(name: str) -> tuple[Any, str]:
    """The file system of an address (a ``pyarrow.fs.FileSystem``), and the path in it.

    All files of a bucket share one, and with it connections and credentials. Spaces and letters
    other than ASCII need not be escaped.

    Raises:
        ClusterError: pyarrow knows no such file system, or the address is not one of a file; the
            error does not name it.
    """
    pa = import_pyarrow()
    if "#" in name:
        hint = "write %23 where a name has one; single pages of files at addresses are not read"
        raise ClusterError("has a # in it", hint=hint)
    scheme, _, rest = name.partition("://")
    place, mark, query = rest.partition("?")
    host, slash, path = place.partition("/")
    try:
        system, root = _open_root(f"{scheme}://{host}/{mark}{query}")
        return system, f"{root.rstrip('/')}{slash}{unquote(path, errors='strict')}"
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ClusterError(f"cannot be opened: {one_line(error)}") from error


@lru_cache(maxsize=16)
def _open_root(address: str) -> tuple[Any, str]:
    from pyarrow import fs

    found: tuple[Any, str] = fs.FileSystem.from_uri(address)
    return found
