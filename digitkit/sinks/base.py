"""What a sink is."""

from __future__ import annotations

from typing import Protocol, TypeVar

from digitkit.sources.frames import Failure, Frame

_Reading = TypeVar("_Reading", contravariant=True)


class Sink(Protocol[_Reading]):
    """Receives readings one by one: of numbers, or of forms.

    Attributes:
        wants_every_frame: whether it gets every frame of a video or camera, instead of only
            readings that are new.
    """

    wants_every_frame: bool

    def write(self, frame: Frame, reading: _Reading) -> None:
        """Receive what was read from an image."""

    def fail(self, failure: Failure) -> None:
        """Receive a source that could not be read."""
