"""Detections: bounding boxes of digits, and their ink."""

from __future__ import annotations

from dataclasses import dataclass, field

from digitkit.arrays import U8, Box


@dataclass(frozen=True)
class Detection:
    """One digit that was found in an image.

    Attributes:
        box: bounding box of its ink.
        ink: bright on dark, paper near 0, uint8 ``[h, w]``; the input of
            `digitkit.images.normal_form.normal_form`.
        certainty: the detector's score for a digit's centre there, 0–1.
        runs_out: number of the image's sides where its ink leaves the image, so that a part may be
            missing.
        whole: whether it is the whole image, taken for one digit; it is the last detection then.
    """

    box: Box
    ink: U8 = field(repr=False, compare=False)
    certainty: float = 1.0
    runs_out: int = 0
    whole: bool = False


def overlaps(a: Box, b: Box) -> bool:
    """Whether two boxes intersect."""
    return (
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    )  # fmt: skip
