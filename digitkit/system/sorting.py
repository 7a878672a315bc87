"""Names in order, however many there are."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from heapq import merge
from itertools import islice, pairwise
from typing import BinaryIO

MAX_NAMES = 20_000
"""Names that are sorted in memory: about 2 MB."""

_BLOCK = 1 << 12
"""Bytes that are read at once of each sorted stretch of the temporary file."""


def sort_names(names: Iterable[str]) -> Generator[str, None, None]:
    """Names in order, of which at most `MAX_NAMES` are held in memory.

    Where there are more, sorted stretches of them go to a temporary file and are merged. The file
    has no name: it is gone however the process ends.

    Args:
        names: of files, as the system gives them.

    Raises:
        OutputError: the temporary file cannot be written.
    """
    names = iter(names)
    some = sorted(islice(names, MAX_NAMES))
    if len(some) < MAX_NAMES:
        yield from some
        return
    from digitkit.system.scratch import scratch_file  # loads tempfile, which is slow

    with scratch_file() as file:
        ends = [0]
        while some:
            file.write(b"".join(os.fsencode(name) + b"\0" for name in some))
            file.flush()
            ends.append(file.tell())
            some = sorted(islice(names, MAX_NAMES))
        yield from merge(*(_read(file, start, end) for start, end in pairwise(ends)))


def _read(file: BinaryIO, start: int, end: int) -> Iterator[str]:
    rest = b""
    while start < end:
        file.seek(start)
        data = file.read(min(_BLOCK, end - start))
        start += len(data)
        *whole, rest = (rest + data).split(b"\0")
        yield from map(os.fsdecode, whole)
