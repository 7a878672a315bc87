"""Fixtures for reading."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from digitkit import Reader
from digitkit.reading.detection import pages
from digitkit.reading.detection.detections import Detection
from digitkit.reading.networks.line_reader import LineReader


@pytest.fixture(scope="module")
def reader() -> Reader:
    """Reads pages."""
    return Reader(mode="page")


@pytest.fixture
def change_row(monkeypatch):
    """Lets the line reader say something else of each row, by a function of its probabilities."""

    def install(change: Callable[[np.ndarray], None]) -> None:
        read = LineReader.read

        def changed(self: LineReader, ink: np.ndarray) -> np.ndarray:
            probabilities = read(self, ink).copy()
            change(probabilities)
            return probabilities

        monkeypatch.setattr(LineReader, "read", changed)

    return install


@pytest.fixture
def detect_only(monkeypatch):
    """Lets the detector return what a function makes of its detections, from the left."""

    def install(change: Callable[[list[Detection]], Sequence[Detection]]) -> None:
        detect = pages.detect_digits

        def changed(image, detector):
            return change(sorted(detect(image, detector), key=lambda each: each.box))

        monkeypatch.setattr(pages, "detect_digits", changed)

    return install
