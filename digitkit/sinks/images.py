"""Annotated images, and what the classifier saw, as files in a folder."""

from __future__ import annotations

from pathlib import Path

from digitkit.arrays import U8
from digitkit.images.encode import encode_png
from digitkit.reading.results import Reading
from digitkit.sinks.drawing import draw
from digitkit.sinks.explain import explain
from digitkit.sources.frames import Failure, Frame
from digitkit.system import atomic

MAX_STEM_BYTES = 150
"""A longer name of a source is cut; file systems take 255 bytes, numbers and suffixes included."""


class _ImageFolder:
    """Writes one PNG file per image into a folder, named after the source."""

    wants_every_frame = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._used: dict[str, int] = {}

    def fail(self, failure: Failure) -> None:
        """There is nothing to draw."""

    def _save(self, frame: Frame, image: U8) -> None:
        source = "stdin" if frame.source == "-" else frame.source
        encoded = Path(source).stem.encode("utf-8", "replace")
        stem = encoded[:MAX_STEM_BYTES].decode("utf-8", "ignore") or "image"
        if frame.page is not None:
            stem += f"-page{frame.page}"
        if frame.number is not None:
            stem += f"-{frame.number:06d}"
        # Two folders may each contain a 1.png; neither replaces the other.
        name, key = stem, stem.lower()
        while name.lower() in self._used:
            self._used[key] += 1
            name = f"{stem}-{self._used[key]}"
        self._used[name.lower()] = 1
        atomic.write_bytes(self.folder / f"{name}.png", encode_png(image))


class AnnotatedImageSink(_ImageFolder):
    """Writes each image with its numbers and digits marked; see `draw`."""

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and save."""
        self._save(frame, draw(frame.image, reading))


class ExplanationSink(_ImageFolder):
    """Writes what the classifier saw of each digit, next to the source, with its top three."""

    def __init__(self, folder: Path, min_confidence: float | None = None) -> None:
        """Write into `folder`, and mark the threshold of the reader, 0–1; None for no mark."""
        super().__init__(folder)
        self._min_confidence = min_confidence

    def write(self, frame: Frame, reading: Reading) -> None:
        """Draw and save."""
        self._save(frame, explain(frame.image, reading, self._min_confidence))
