"""What sources are expanded into: files, single pages of files, images that were piped in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from digitkit.errors import printable_path

_PAGE = re.compile(r"(.+)#([0-9]{1,9})", re.DOTALL)


@dataclass(frozen=True)
class PageOfFile:
    """One page of an image file.

    Attributes:
        path: of the file.
        page: its number, from 1.
    """

    path: Path
    page: int


@dataclass(frozen=True)
class ImageBytes:
    """An image file that is in memory.

    Attributes:
        data: its bytes.
        name: what it is called, such as ``-`` for standard input.
    """

    data: bytes = field(repr=False)
    name: str


Item = Path | PageOfFile | ImageBytes
"""A source with images in it."""


def to_item(path: str | os.PathLike[str]) -> Path | PageOfFile:
    """The file at a path. If ``scan.tiff#2`` does not exist, it means page 2 of ``scan.tiff``."""
    text = os.fspath(path)
    parts = _PAGE.fullmatch(text)
    if parts is None or os.path.lexists(text) or not os.path.isfile(parts[1]):
        return Path(text)
    return PageOfFile(Path(parts[1]), int(parts[2]))


def item_name(item: Item) -> str:
    """What an item's frames and failures are called, without a page, safe to display."""
    if isinstance(item, ImageBytes):
        return item.name
    return printable_path(item.path if isinstance(item, PageOfFile) else item)
