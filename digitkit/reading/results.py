"""What was read from an image: digits, and what the steps took."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from digitkit.arrays import F32, U8, Box


@dataclass(frozen=True)
class Digit:
    """One digit that was read.

    Attributes:
        digit: 0 to 9.
        confidence: probability that this is a digit and that it is this one, 0–1.
        box: bounding box of its ink, pixels of the upright image.
        row: number of its row, from 0 at the top.
        accepted: whether it counts: its confidence reaches the threshold and the border does not
            cut it, or a `digitkit.Field` required it.
        image: what the classifier saw, uint8 ``[28, 28]``.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
        is_digit: probability that this is a digit at all, 0–1; 1 where the model has no such
            output.
        cut: whether the image's border seems to cut off a part of it; it is then not accepted.
        level_box: where its line is tilted, the box in an image turned so that it is level; None
            elsewhere.
    """

    digit: int
    confidence: float
    box: Box
    row: int
    accepted: bool
    image: U8 = field(repr=False, compare=False)
    probabilities: F32 = field(repr=False, compare=False)
    is_digit: float = 1.0
    cut: bool = False
    level_box: Box | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Timings:
    """Duration of each step, milliseconds.

    Attributes:
        decode: from the file's bytes to pixels; 0 for an array.
        locate: detecting the digits and extracting their ink; of a large JPEG image with small
            digits also decoding the whole.
        normalise: bringing the ink to MNIST's normal form.
        classify: the classifier, all digits of the image in one batch, and their order.
    """

    decode: float
    locate: float
    normalise: float
    classify: float


@dataclass(frozen=True)
class Reading:
    """What was read from one image.

    Attributes:
        source: the path, the camera, or ``array``.
        digits: all digits in reading order, including those that are not accepted.
        ms: the duration of each step.
        frame: number of the frame of a video or a live source, from 0; None for an image file.
        time: when a live frame was taken; None for a file.
        turn: degrees clockwise by which the image was rotated before it was read; boxes are in
            the rotated image.
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
        """The accepted digits in reading order, rows separated by newlines."""
        rows: dict[int, str] = {}
        for digit in self.digits:
            if digit.accepted:
                rows[digit.row] = rows.get(digit.row, "") + str(digit.digit)
        return "\n".join(rows.values())

    def to_json(self) -> dict[str, Any]:
        """The reading as ``digitkit infer --format jsonl`` writes it."""
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
                # Rounded; a digit below the threshold is marked, however it rounds.
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
