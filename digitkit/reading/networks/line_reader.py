"""The line reader: the network that reads a row of digits as a whole."""

from __future__ import annotations

import numpy as np

from digitkit.arrays import F32, U8
from digitkit.models.network import Network

LINE_FILE = "lines.onnx"
"""Name of the line reader's file among the shipped models."""

INPUT = "line"
"""uint8 ``[1, 1, HEIGHT, W]``: the ink of a level row, bright on dark; W is a multiple of
`COLUMN_STRIDE`."""

OUTPUT = "probabilities"
"""float32 ``[1, 15, W / COLUMN_STRIDE]``; see `LineReader.read`."""

HEIGHT, DIGIT_HEIGHT = 48, 28
"""Height of the line reader's input, and about that of the row's digits in its middle, pixels."""

COLUMN_STRIDE = 2
"""Pixels of the row per column of the output."""

SIGN, POINT, NONE = 10, 11, 12
"""The classes of a column that is not the middle of a digit: of a sign such as a plus, a slash or a
bracket; of a decimal point or comma; of neither."""

MIN_SIGN = 0.5
"""Ink that is at least as likely a sign is one."""

SPOILED = 13
"""The row of the output that says whether a digit is struck out or written over; no class."""

LETTER = 14
"""The row of the output that says whether what may be a digit is a letter; no class."""

MIN_SPOILED = 0.9
"""Probability from which on a digit is taken for one that is struck out or written over, 0–1."""

SPOILED_DOUBT = "may be struck out or written over"

LINE_VERSION = "2"
"""Stored in the file as ``digitkit.lines``; increases when older files cannot be used any more."""


class LineReader(Network):
    """The network that reads rows; `digitkit.reading.rows.lines` lays rows out for it."""

    file, noun, kind, version = LINE_FILE, "line reader", "lines", LINE_VERSION

    def read(self, ink: U8) -> F32:
        """Run the network on a row.

        Args:
            ink: uint8 ``[HEIGHT, W]``, bright on dark; W a multiple of `COLUMN_STRIDE`.

        Returns:
            float32 ``[15, W / COLUMN_STRIDE]``: of each column, the probabilities that it is the
            middle of each digit, of a sign, of a point or comma, and of none; and in the last two
            rows that a digit there is struck out or written over, and that it is a letter.

        Raises:
            ModelRunError: ONNX Runtime fails.
        """
        (found,) = self.run([OUTPUT], {INPUT: ink[None, None]})
        return np.asarray(found[0], np.float32)


def is_spoiled(probabilities: F32 | None, least: float = MIN_SPOILED) -> bool:
    """Whether a digit is struck out or written over.

    Args:
        probabilities: what the row shows at the digit, float32 ``[15]``. False is returned for
            None, and for ``[13]``, of a line reader without this output.
        least: least probability of a spoiled digit, 0–1.
    """
    return (
        probabilities is not None
        and len(probabilities) > SPOILED
        and bool(probabilities[SPOILED] >= least)
    )


def letter_probability(probabilities: F32 | None) -> float:
    """The probability of a letter, 0–1.

    Args:
        probabilities: what the row shows, float32 ``[15]``. 0 is returned for None, and for fewer,
            of a line reader without this output.
    """
    if probabilities is None or len(probabilities) <= LETTER:
        return 0.0
    return float(probabilities[LETTER])
