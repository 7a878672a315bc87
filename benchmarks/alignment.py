"""Alignment of the digits that were read with those of a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Edits:
    """The edits from the digits read to those in the label."""

    substituted: int
    missed: int
    false: int

    @property
    def total(self) -> int:
        """The edit distance."""
        return self.substituted + self.missed + self.false


def align(truth: Sequence[str], read: Sequence[str]) -> tuple[Edits, str]:
    """The fewest edits, of several alignments with the fewest substitutions; the false digits."""
    # A row of the table: the fewest (edits, substitutions) for the truth so far and j digits read,
    # and the false digits among these.
    row = [(j, 0, "".join(read[:j])) for j in range(len(read) + 1)]
    for i, expected in enumerate(truth, 1):
        before, row = row, [(i, 0, "")]
        for j, got in enumerate(read, 1):
            wrong = int(expected != got)
            edits, substituted, false = before[j - 1]
            row.append(
                min(
                    (edits + wrong, substituted + wrong, false),
                    (before[j][0] + 1, *before[j][1:]),
                    (row[j - 1][0] + 1, row[j - 1][1], row[j - 1][2] + got),
                )
            )
    edits, substituted, false = row[-1]
    return Edits(substituted, edits - substituted - len(false), len(false)), false
