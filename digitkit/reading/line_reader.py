"""The line reader: the network that reads a row of digits as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.errors import ModelRunError, one_line
from digitkit.models.registry import models_folder
from digitkit.models.session import load_network

LINE_FILE = "lines.onnx"
"""Its file among the shipped models."""

INPUT = "line"
"""uint8 ``[1, 1, HEIGHT, W]``: the ink of a level row, bright on dark; W a multiple of `COLUMN`."""

OUTPUT = "probabilities"
"""float32 ``[1, 13, W / COLUMN]``; see `LineReader.read`."""

HEIGHT, UNIT = 48, 28
"""Height of its input, and about that of the row's digits in its middle, pixels."""

COLUMN = 2
"""Pixels of the row per column of the output."""

SIGN, POINT, NONE = 10, 11, 12
"""The classes of a column that is not the middle of a digit: of a sign such as a plus, a slash or a
bracket; of a decimal point or comma; of neither."""

LINE_VERSION = "1"
"""Stored in the file as ``digitkit.lines``; increases when input or output change."""


def line_reader_path() -> Path:
    """The shipped line reader's file."""
    return models_folder() / LINE_FILE


class LineReader:
    """The network that reads rows; `digitkit.reading.lines` lays rows out for it.

    Attributes:
        path: its file.
        session: the ONNX Runtime session that runs it.
        metadata: how it was trained, keys ``digitkit.*``.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, threads: int = 1) -> None:
        """Load it.

        Args:
            path: its file; the shipped one by default.
            threads: threads that one call may use.

        Raises:
            ModelError: the file does not exist, or is not a line reader that this version knows.
            ConfigError: `threads` is less than 1.
        """
        self.path = Path(path) if path is not None else line_reader_path()
        self.session, self.metadata = load_network(
            self.path, threads, noun="line reader", kind="lines", version=LINE_VERSION
        )

    def read(self, ink: U8) -> F32:
        """Run the network on a row.

        Args:
            ink: uint8 ``[HEIGHT, W]``, bright on dark; W a multiple of `COLUMN`.

        Returns:
            float32 ``[13, W / COLUMN]``: of each column, the probabilities that it is the middle of
            each digit, of a sign, of a point or comma, and of none.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        try:
            (found,) = self.session.run([OUTPUT], {INPUT: ink[None, None]})
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelRunError(one_line(error), subject=str(self.path)) from error
        return np.asarray(found[0], np.float32)
