"""What was read from an image: digits, and what the steps took."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        digit: 0 to 9.
        confidence: probability that this is a digit and that it is this one, 0–1.
        box: x, y, width and height of its ink, pixels of the upright picture.
        row: number of its row, from 0 at the top.
        accepted: whether it counts: the confidence reaches the threshold and the border does not
            cut it, or `digitkit.fields` has taken it in.
        image: what the net saw, uint8 ``[28, 28]``.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
        is_digit: probability that this is a digit at all, 0–1; 1 where the model doesn't say.
        cut: whether the picture's border seems to cut a part of it off; it is not accepted then.
    """

    digit: int
    confidence: float
    box: tuple[int, int, int, int]
    row: int
    accepted: bool
    image: U8 = field(repr=False, compare=False)
    probabilities: npt.NDArray[np.float32] = field(repr=False, compare=False)
    is_digit: float = 1.0
    cut: bool = False


@dataclass(frozen=True)
class Timings:
    """What the steps took, milliseconds.

    Attributes:
        decode: from the file's bytes to pixels; 0 for an array.
        locate: finding the digits and lifting their ink off the paper.
        normalise: bringing that ink to normal form.
        classify: the net, all digits of the picture in one batch.
    """

    decode: float
    locate: float
    normalise: float
    classify: float


@dataclass(frozen=True)
class Reading:
    """What was read from one picture.

    Attributes:
        source: the path, camera, or ``array``.
        digits: all digits found, in reading order, those not accepted among them.
        ms: what it took.
        frame: number of a live frame; None for a file.
        time: when a live frame was taken; None for a file.
        turn: by how many degrees clockwise the source's picture was turned before it was read;
            boxes are in the turned picture.
        seconds: position in a video file; None elsewhere.
    """

    source: str
    digits: tuple[Digit, ...]
    ms: Timings
    frame: int | None = None
    time: datetime | None = None
    turn: int = 0
    seconds: float | None = None

    @property
    def text(self) -> str:
        """The accepted digits in reading order, rows parted by a newline."""
        rows: dict[int, str] = {}
        for digit in self.digits:
            if digit.accepted:
                rows[digit.row] = rows.get(digit.row, "") + str(digit.digit)
        return "\n".join(rows.values())

    def to_json(self) -> dict[str, Any]:
        """The reading as ``digitkit infer --format jsonl`` gives it."""
        values: dict[str, Any] = {"source": self.source}
        if self.frame is not None:
            values["frame"] = self.frame
        if self.time is not None:
            values["time"] = self.time.isoformat(timespec="milliseconds")
        if self.seconds is not None:
            values["seconds"] = round(self.seconds, 3)
        values["text"] = self.text
        if self.turn:
            values["turn"] = self.turn
        values["digits"] = [
            {
                "digit": digit.digit,
                # Rounded, so that a confidence under the threshold may not look like over it.
                "confidence": round(digit.confidence, 4),
                "box": list(digit.box),
                "row": digit.row,
            }
            | ({} if digit.accepted else {"accepted": False})
            | ({"cut": True} if digit.cut else {})
            for digit in self.digits
        ]
        values["ms"] = {name: round(value, 3) for name, value in vars(self.ms).items()}
        return values
