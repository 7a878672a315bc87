"""The archive that a bundle is."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from digitkit.system import atomic
from digitkit.system.hashes import file_sha256

if TYPE_CHECKING:
    from digitkit.system.progress import Progress

EPOCH = 1577836800
"""2020-01-01, seconds since 1970: the time of every file; wheels cannot go below 1980."""


@dataclass(frozen=True)
class Entry:
    """A file of a bundle.

    Attributes:
        name: its path within the bundle's folder.
        content: its bytes, or the file that they are read from.
        part: the part of the bundle that its size counts towards.
        executable: whether it is a program.
    """

    name: str
    content: bytes | Path
    part: str
    executable: bool = False

    def read(self) -> bytes:
        """Its bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()


@dataclass(frozen=True)
class Part:
    """A part of a bundle: its name, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """A bundle that was built.

    Attributes:
        path: the file.
        size: its size in bytes.
        sha256: its SHA-256, hexadecimal.
        folder: the one folder inside it.
        parts: what it contains, uncompressed, the largest first.
    """

    path: Path
    size: int
    sha256: str
    folder: str
    parts: tuple[Part, ...]


def pack(out: Path, folder: str, entries: Sequence[Entry], progress: Progress) -> Bundle:
    """Write the archive: sorted, and without times, owners and names of this machine.

    Args:
        out: the file to write.
        folder: the one folder in it.
        entries: all files but ``SHA256SUMS``, which is added.
        progress: called for each file.

    Raises:
        OutputError: it cannot be written; nothing is left then.
    """
    sums: list[str] = []
    sizes: dict[str, int] = {}
    for entry in sorted(entries, key=lambda entry: entry.name):
        data = entry.read()
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {entry.name}\n")
        sizes[entry.part] = sizes.get(entry.part, 0) + len(data)
    files = [*entries, Entry("SHA256SUMS", "".join(sums).encode(), "installer")]
    files.sort(key=lambda entry: entry.name)
    with atomic.replace_file(out) as temporary:
        with (
            temporary.open("wb") as raw,
            # Stored: wheels are compressed already, and zlib's builds differ in their bytes.
            gzip.GzipFile("", "wb", compresslevel=0, fileobj=raw, mtime=0) as packed,
            # POSIX; a file name of a wheel may be longer than USTAR's 100 characters.
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for done, entry in enumerate(files, 1):
                progress("packing", done, len(files))
                data = entry.read()
                info = tarfile.TarInfo(f"{folder}/{entry.name}")
                info.size, info.mtime = len(data), EPOCH
                info.mode = 0o755 if entry.executable else 0o644
                archive.addfile(info, io.BytesIO(data))
        sha256, size = file_sha256(temporary), temporary.stat().st_size
    parts = sorted(sizes.items(), key=lambda part: -part[1])
    return Bundle(out, size, sha256, folder, tuple(Part(name, size) for name, size in parts))
