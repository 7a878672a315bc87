"""What a sink is."""

from __future__ import annotations

from typing import Protocol

from digitkit.reading.results import Reading
from digitkit.sources.frames import Failure, Frame


class Sink(Protocol):
    """Receives readings one by one.

    Attributes:
        wants_every_frame: whether it gets every frame of a video or camera, instead of only
            readings that are new.
    """

    wants_every_frame: bool

    def write(self, frame: Frame, reading: Reading) -> None:
        """Receive what was read from an image."""

    def fail(self, failure: Failure) -> None:
        """Receive a source that could not be read."""
