"""What a row of numbers is made of: its digits and marks, and where they are in it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from digitkit.arrays import Box
from digitkit.boxes import bounding_box, intersection_area, middle_x
from digitkit.reading.results import Digit, Mark, Number

ASSUMED_WIDTH = 0.45
"""A digit counts as at least this wide: a 1 stands in as much room as any."""

MIN_DIGIT_HEIGHT = 0.6
"""Ink this high, in heights, may be a digit: it belongs to a number as far as digits do."""

MIN_PIECE_HEIGHT = 0.35
"""Ink this high, in heights, that cannot be read is a digit in pieces, with what is above or below
it."""

MIN_CROSSING_DEPTH = 0.08
"""A line runs through a digit if it is this far inside of its sides, in the digit's height."""

MIN_TICKS, MAX_UNEVENNESS = 3, 0.34
"""Boxes of a form for one digit each have at least so many sides, and each is as wide as the
narrowest, or a multiple of it, up to this part of its width."""

MAX_BOX_WIDTH = 2.5
"""Maximum width of a box for one digit, in heights."""

MAX_LINE_OFFSET, MAX_LINE_ROW_DISTANCE = 0.25, 3.0
"""Maximum horizontal distance between the pieces of one table line in two rows, and maximum
distance of these rows, in heights."""

MAX_TOUCH_GAP = 0.1
"""Closer than this, a stroke touches a digit."""


@dataclass(frozen=True)
class Part:
    """A digit or a mark of one row, and where it is in it.

    Attributes:
        item: the digit or the mark.
        left: its left edge, in heights of the row's digits.
        right: its right edge.
        is_tall: whether it is about as high as the row's digits, or may be, as the border cuts it.
        cell: of the row's boxes for one digit each the one that it is in, from the left; None for a
            part that is in none.
    """

    item: Digit | Mark
    left: float
    right: float
    is_tall: bool = False
    cell: int | None = None

    @property
    def digit(self) -> Digit | None:
        """The digit, if it is one."""
        return self.item if isinstance(self.item, Digit) else None

    @property
    def kind(self) -> str:
        """``digit``, or the mark's kind."""
        return "digit" if isinstance(self.item, Digit) else self.item.kind

    def gap_to(self, other: Part) -> float:
        """The room between this and one on its right; narrow digits count as wider."""
        # Rounded, so that equal gaps are equal wherever they are.
        return round((other.left - _slack(other)) - (self.right + _slack(self)), 6)


def are_in_neighbouring_boxes(a: Part, b: Part) -> bool:
    """Whether b is in the box on the right of that of a, in a row of boxes for one digit each."""
    return a.cell is not None and b.cell == a.cell + 1


def _slack(part: Part) -> float:
    """By how much a narrow digit counts as wider, at either side."""
    if part.kind != "digit":
        return 0.0
    return max(0.0, ASSUMED_WIDTH - (part.right - part.left)) / 2


def measure_height(digits: Sequence[Digit]) -> float:
    """The usual height of a row's digits, pixels."""
    boxes = [digit.row_box for digit in digits if digit.accepted] or [d.row_box for d in digits]
    return max(1.0, float(np.median([max(box[3], box[2] / 2) for box in boxes])))


def place_parts(
    row: int, digits: Sequence[Digit], marks: Sequence[Mark], height: float
) -> list[Part]:
    """The digits and marks of a row from the left; of what is both, the mark."""
    accepted = [digit.row_box for digit in digits if digit.accepted]
    others = [mark for mark in marks if mark.row != row]
    own = [
        mark
        for mark in marks
        if mark.row == row
        and not (mark.kind == "line" and any(is_crossed(box, mark) for box in accepted))
    ]
    sides = [middle_x(mark.row_box) for mark in own if mark.kind == "side"]
    own = [mark for mark in own if mark.kind != "side"]
    if _are_ticks(own, others, accepted, height):
        own = [mark for mark in own if mark.kind != "line"]
    boxes = _find_boxes(merge_lines(sides, height), height)
    signs = [mark.row_box for mark in own if mark.kind in ("sign", "dash", "point", "comma")]
    taken = [d for d in digits if d.accepted or not any(_is_same(d.row_box, s) for s in signs)]
    items: list[Digit | Mark] = [*taken, *_without_pieces(own, height)]
    parts = [
        Part(
            item,
            box[0] / height,
            (box[0] + box[2]) / height,
            is_tall=box[3] >= MIN_DIGIT_HEIGHT * height or (isinstance(item, Mark) and item.cut),
            cell=_find_cell(middle_x(box), boxes),
        )
        for item in items
        for box in (item.row_box,)
    ]
    filled = {part.cell for part in parts if part.digit}
    parts = [_doubt_sign(part, filled) for part in parts]
    parts.sort(key=lambda part: middle_x(part.item.row_box))
    return [_doubt_stroke(part, parts) for part in parts]


def _are_ticks(
    own: Sequence[Mark], others: Sequence[Mark], digits: Sequence[Box], height: float
) -> bool:
    """Whether the vertical lines of a row are those of boxes for one digit each, as in a form.

    They are evenly spaced, with one digit between two at most, and go on in no row nearby: then
    they are a table's.

    Args:
        own: marks of the row.
        others: marks of the other rows.
        digits: boxes of its accepted digits.
        height: of these, pixels.
    """
    verticals = [mark.row_box for mark in own if mark.kind == "line"]
    lines = merge_lines(map(middle_x, verticals), height)
    if len(lines) < MIN_TICKS:
        return False
    rooms = [right - left for left, right in pairwise(lines)]
    narrowest = min(rooms)
    places = [middle_x(box) for box in digits]
    y = float(np.median([box[1] + box[3] / 2 for box in verticals]))
    return (
        max(abs(room / narrowest - round(room / narrowest)) for room in rooms) <= MAX_UNEVENNESS
        and is_one_per_box(lines, places)
        and sum(lines[0] < x < lines[-1] for x in places) >= 2
        and 2 * sum(room < 1.5 * narrowest for room in rooms) >= len(rooms)
        and not any(rows_with_line(x, y, others, height) for x in lines)
    )


def is_one_per_box(lines: Sequence[float], digits: Sequence[float]) -> bool:
    """Whether there is one digit at most between two vertical lines.

    Where these are further apart than others, some between them were not seen.

    Args:
        lines: x coordinates.
        digits: those of their middles.
    """
    cells = list(pairwise(sorted(lines)))
    narrowest = min((right - left for left, right in cells), default=0)
    return all(
        sum(left < x < right for x in digits) <= round((right - left) / max(narrowest, 1))
        for left, right in cells
    )


def merge_lines(lines: Iterable[float], height: float) -> list[float]:
    """The x coordinates of vertical lines from the left, of those of one line only the first."""
    ordered = sorted(lines)
    return [
        x for i, x in enumerate(ordered) if not i or x - ordered[i - 1] > MAX_LINE_OFFSET * height
    ]


def _find_boxes(sides: Sequence[float], height: float) -> list[float]:
    """The x coordinates of the sides of boxes for one digit each, from the left; empty for none.

    What is a multiple of the usual width is several boxes, of which sides were not seen. A space
    between two groups of boxes counts as an empty box. If most are so, and more sides were not seen
    than were, they are frames of whole numbers.

    Args:
        sides: x coordinates of those that were seen, rising.
        height: of digits, pixels; boxes that are too wide for one digit are none.
    """
    if len(sides) < MIN_TICKS:
        return []
    widths = sorted(right - left for left, right in pairwise(sides))
    usual = widths[(len(widths) - 1) // 2]
    if usual > MAX_BOX_WIDTH * height:
        return []
    edges, divided = [sides[0]], 0
    for left, right in pairwise(sides):
        count = max(1, round((right - left) / usual))
        edges += [left + (right - left) * i / count for i in range(1, count + 1)]
        divided += count > 1
    are_frames = 2 * divided >= len(widths) and len(edges) > 2 * len(sides)
    return [] if are_frames else edges


def _find_cell(x: float, edges: Sequence[float]) -> int | None:
    """The number of the box that a place is in, from the left; None outside of them."""
    return bisect_right(edges, x) - 1 if edges and edges[0] <= x < edges[-1] else None


def _without_pieces(marks: Sequence[Mark], height: float) -> list[Mark]:
    """The marks without those above or below large ink or a high sign: they are pieces of it."""
    least = {
        "ink": MIN_PIECE_HEIGHT * height,
        "letter": MIN_PIECE_HEIGHT * height,
        "sign": MIN_DIGIT_HEIGHT * height,
    }
    large = [m.row_box for m in marks if m.row_box[3] >= least.get(m.kind, math.inf)]

    def is_piece(mark: Mark) -> bool:
        x, _, w, _ = mark.row_box
        is_small = mark.kind not in ("ink", "letter", "line") and mark.row_box not in large
        return is_small and any(left <= x + w / 2 <= left + width for left, _, width, _ in large)

    return [mark for mark in marks if not is_piece(mark)]


def is_crossed(digit: Box, line: Mark) -> bool:
    """Whether a vertical line runs through a digit: who writes across it does not end a number."""
    inside = middle_x(line.row_box) - digit[0]
    return MIN_CROSSING_DEPTH * digit[3] < inside < digit[2] - MIN_CROSSING_DEPTH * digit[3]


def rows_with_line(
    x: float, y: float, marks: Iterable[Mark], height: float, near: float = MAX_LINE_ROW_DISTANCE
) -> set[int]:
    """The rows nearby that have a vertical line at a place: all of a table's have.

    Args:
        x: of the place, pixels.
        y: the middle of a row there, pixels.
        marks: in which the lines are searched.
        height: of digits, pixels.
        near: maximum distance of a row, in heights.
    """
    return {
        mark.row
        for mark in marks
        for left, top, w, h in (mark.row_box,)
        if mark.kind == "line"
        and abs(top + h / 2 - y) <= near * height
        and abs(left + w / 2 - x) <= MAX_LINE_OFFSET * height
    }


def _doubt_sign(part: Part, filled: Container[int | None]) -> Part:
    """A high sign in a box for one digit that has none is rather one that cannot be read."""
    if part.kind != "sign" or not part.is_tall or not isinstance(part.item, Mark):
        return part
    if part.cell is None or part.cell in filled:
        return part
    return replace(part, item=replace(part.item, kind="ink"))


def _doubt_stroke(part: Part, parts: Sequence[Part]) -> Part:
    """A dash that touches a digit in doubt is rather a part of it than a minus."""
    if part.kind != "dash" or not isinstance(part.item, Mark):
        return part
    touches = any(
        other.digit
        and not other.digit.accepted
        and round(max(part.left - other.right, other.left - part.right), 6) < MAX_TOUCH_GAP
        for other in parts
    )
    return replace(part, item=replace(part.item, kind="ink")) if touches else part


def _is_same(a: Box, b: Box) -> bool:
    """Whether two boxes have the larger part of both in common."""
    return 2 * intersection_area(a, b) > max(a[2] * a[3], b[2] * b[3])


def digit_gaps(parts: Sequence[Part], *, boxed: bool = True) -> list[float]:
    """The gaps between neighbours that are both digits.

    Args:
        parts: of a row, from the left.
        boxed: whether those between neighbouring boxes count, which say nothing of the writing.
    """
    return [
        a.gap_to(b)
        for a, b in pairwise(parts)
        if a.kind == b.kind == "digit" and (boxed or not are_in_neighbouring_boxes(a, b))
    ]


def gaps_within(digits: Sequence[Digit], height: float) -> list[float]:
    """The gaps between neighbouring digits of a row, in heights; `height` in pixels."""
    return digit_gaps(place_parts(digits[0].row, digits, (), height))


def level_box(number: Number) -> Box:
    """The box of a number where its row is level."""
    return bounding_box([digit.row_box for digit in number.digits]) if number.digits else number.box
