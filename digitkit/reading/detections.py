"""Detections: where a digit is, and its ink."""

from __future__ import annotations

from dataclasses import dataclass, field

from digitkit.arrays import U8, Box


@dataclass(frozen=True)
class Detection:
    """One digit that was found.

    Attributes:
        box: where its ink is.
        ink: bright on dark, paper near 0, uint8 ``[h, w]``; `digitkit.pixels.normal_form` is next.
        certainty: of the finder that its middle is there, 0–1.
        runs_out: how many sides of the picture its ink meets, so that a part may be missing.
        whole: whether it is the whole picture, taken for one digit; the last of all, then.
    """

    box: Box
    ink: U8 = field(repr=False, compare=False)
    certainty: float = 1.0
    runs_out: int = 0
    whole: bool = False


def overlaps(a: Box, b: Box) -> bool:
    """Whether two boxes have a part in common."""
    return (
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    )  # fmt: skip
