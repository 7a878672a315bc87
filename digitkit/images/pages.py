"""The pages of an image file that has several: each is decoded when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from digitkit.arrays import U8
from digitkit.errors import ImageError, page_name

MAX_PAGES = 10_000
"""Most pages of one file that are read."""


class Pages(ABC):
    """The pages of one file.

    Attributes:
        name: of the file, for errors.
        count: how many pages there are to decode. Where the file ends early or has too many, the
            last one stands for the rest: decoding it raises the error that says so.
    """

    def __init__(self, name: str, readable: int, problem: str | None = None) -> None:
        """Open a file.

        Args:
            name: of the file, for errors.
            readable: how many pages were found.
            problem: why there are no more; None where these are all.
        """
        if readable > MAX_PAGES:
            readable = MAX_PAGES
            problem = f"only the first {MAX_PAGES:,} pages of a file are read; split it"
        self.name = name
        self._readable = readable
        self._problem = problem
        self.count = readable + (problem is not None)

    def decode(self, page: int) -> U8:
        """Decode a page: upright, 8 bits, without alpha.

        Args:
            page: its number, from 1. Pages in order take the least time.

        Returns:
            uint8 ``[H, W]`` grey or ``[H, W, 3]`` BGR.

        Raises:
            ImageError: there is no such page, or it is damaged or too large.
        """
        if not 1 <= page <= self.count:
            raise no_such_page(page, self.count, self.name)
        if page > self._readable:
            raise ImageError(self._problem or "", subject=page_name(self.name, page))
        return self._decode(page, page_name(self.name, page))

    @abstractmethod
    def _decode(self, page: int, name: str) -> U8:
        """Decode a page that exists; `name` is its own, for errors."""


def no_such_page(page: int, count: int, name: str) -> ImageError:
    """The error for a page that a file does not have; `count` says how many it has."""
    has = "1 page" if count == 1 else f"{count:,} pages, counted from 1"
    problem = f"there is no such page; the file has {has}"
    return ImageError(problem, subject=page_name(name, page))
