"""Fixtures for reading."""

from collections.abc import Callable

import numpy as np
import pytest

from digitkit import Reader
from digitkit.reading.line_reader import LineReader


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
