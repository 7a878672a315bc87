"""What a sink is."""

from __future__ import annotations

from typing import Protocol

from digitkit.reading.results import Reading
from digitkit.sources.frames import Failure, Frame


class Sink(Protocol):
    """Takes readings one by one.

    Attributes:
        moving: whether it wants every frame of what moves, not only readings that are news.
    """

    moving: bool

    def write(self, frame: Frame, reading: Reading) -> None:
        """Take what was read from a picture."""

    def fail(self, failure: Failure) -> None:
        """Take that a source could not be read."""
