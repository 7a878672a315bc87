"""Tells ruled lines and boxes around digits from the signs of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from digitkit.arrays import U8
from digitkit.reading.numbers.parts import MIN_TICKS, is_one_per_box
from digitkit.reading.results import Digit, Mark
from digitkit.reading.rows.cells import MIN_FRAME_SIZE
from digitkit.reading.rows.lines import TextLine
from digitkit.reading.rows.shapes import MIN_DASH, POINT_CENTRE, Shape
from digitkit.reading.rows.strips import PlacedDigit, Strip

MAX_TAIL_HEIGHT, MAX_TAIL_DISTANCE = 0.6, 0.2
"""The end of a digit's stroke below a ruled line is at most so high, and so far from the digit, in
heights."""

MAX_SIDE_WIDTH = 0.25
"""Maximum width of one of the sides of a box around digits, in heights."""

MAX_SIDE_LEAN = 0.12
"""Maximum difference between the width of a vertical side of a box and its pen, in heights."""

MAX_END_DISTANCE = 3
"""Maximum distance of a box side's end from the horizontal line it meets, strip pixels."""

MAX_LINE_OFFSET = 0.12
"""A stroke may continue a ruled line whose middle is at most this far aside, in its height."""

MAX_STROKE_WIDTH = 0.3
"""Greatest width of a stroke that may continue a ruled line, in its height."""

MAX_LINE_DISTANCE = 2.0
"""Maximum distance of a stroke above or below the ruled line that it continues, in the height of
the stroke."""


def split_lines(
    line: TextLine, shapes: Sequence[Shape], placed: Sequence[PlacedDigit], taken: U8
) -> tuple[list[Shape], list[Shape], list[Shape]]:
    """Tell ruled lines and boxes from other ink of a row.

    Args:
        line: the row.
        shapes: ink of the row that belongs to no digit.
        placed: the digits in its strip.
        taken: the strokes of these, uint8 ``[height, width]``, 0 or 1.

    Returns:
        The vertical lines between numbers; the sides of boxes for one digit each; and the shapes
        that are a part of no line and no box.
    """
    strip = line.strip
    others = [
        shape
        for shape in shapes
        if not (_is_tail(line, shape, taken) or _is_frame(strip, shape, placed))
    ]
    vertical = list(filter(strip.is_near, strip.split(line.ink.lines.vertical)))
    sides = [shape for shape in (*vertical, *others) if _is_side(line, shape)]
    faint = list(filter(strip.is_near, strip.split(line.ink.lines.faint)))
    # Those of a grid go on; those within a box are between the digits of one number.
    goes_on = 2 * sum(shape in sides for shape in vertical) < len(vertical)
    if faint and goes_on and not strip.is_between_dark_lines():
        vertical += faint
    vertical = [shape for shape in vertical if shape not in sides]
    others = [shape for shape in others if shape not in sides]
    middles = [each.middle_x for each in placed if each.row_digit.digit.accepted]
    cells = [shape for strokes in line.ink.cells for shape in strip.to_shapes(strokes)]
    edges = [side.centre_x * strip.unit for side in (*cells, *sides)]
    if len(edges) < MIN_TICKS or not is_one_per_box(edges, middles):
        vertical, sides = vertical + sides, []  # of the cells of a table, or a bar
    sides += cells
    return vertical, sides, others


def _is_tail(line: TextLine, shape: Shape, taken: U8) -> bool:
    """Whether a low shape is the end of a digit's stroke across a horizontal ruled line.

    Args:
        line: the row.
        shape: ink that belongs to no digit.
        taken: the strokes of digits, uint8 ``[height, width]``, 0 or 1.
    """
    if shape.centre_y < POINT_CENTRE or shape.height > MAX_TAIL_HEIGHT:
        return False
    strip = line.strip
    (x, y), width = strip.place_of(shape), shape.ink.shape[1]
    reach = round(MAX_TAIL_DISTANCE * strip.unit)
    above = slice(max(0, y - reach), max(0, y - 1)), slice(x, x + width)
    return line.ink.lines.has_horizontal(*above) and bool(taken[above].any())


def _is_side(line: TextLine, shape: Shape) -> bool:
    """Whether a shape is the vertical side of a low box.

    It ends at a horizontal line, or beyond the strip, both above and below.
    """
    if not (shape.height >= MIN_FRAME_SIZE and shape.width <= MAX_SIDE_WIDTH):
        return False
    strip = line.strip
    (x, y), (height, width) = strip.place_of(shape), shape.ink.shape
    if shape.width - shape.stroke_width > MAX_SIDE_LEAN:
        return False

    def ends(at: int, *, below: bool) -> bool:
        if MAX_END_DISTANCE < at < strip.shape[0] - MAX_END_DISTANCE:
            return line.ink.lines.has_horizontal(
                slice(at - MAX_END_DISTANCE, at + MAX_END_DISTANCE), slice(x, x + width)
            )
        return strip.ends_beyond(shape, below=below)

    return ends(y, below=False) and ends(y + height, below=True)


def _is_frame(strip: Strip, shape: Shape, placed: Sequence[PlacedDigit]) -> bool:
    """Whether a shape is a box around digits, and nothing else that touches it."""
    if min(shape.height, shape.width) < MIN_FRAME_SIZE or shape.off_axis_area >= MIN_DASH:
        return False
    (x, y), (height, width) = strip.place_of(shape), shape.ink.shape
    return any(
        x < each.left
        and each.left + each.ink.shape[1] < x + width
        and y < each.top + each.ink.shape[0] / 2 < y + height
        and each.row_digit.digit.accepted
        for each in placed
    )


def drop_pieces_of_lines(
    digits: Sequence[Digit], marks: Sequence[Mark]
) -> tuple[tuple[Digit, ...], tuple[Mark, ...]]:
    """The digits and marks; a 1 that continues a vertical line of another row is a line, too.

    Args:
        digits: of the image, with their rows.
        marks: in their rows.
    """
    kept, found = list(digits), list(marks)
    lines = [mark for mark in marks if mark.kind == "line"]
    for i, digit in enumerate(digits):
        is_stroke = digit.accepted and digit.digit == 1
        if is_stroke and any(_continues(digit, line) for line in lines):
            found.append(Mark("line", digit.box, digit.row, digit.level_box))
            kept[i] = replace(digit, accepted=False)
    return tuple(kept), tuple(found)


def _continues(digit: Digit, line: Mark) -> bool:
    (x, y, w, h), (left, top, width, height) = digit.row_box, line.row_box
    aside = abs(x + w / 2 - left - width / 2)
    apart = max(top - y - h, y - top - height)
    return (
        line.row != digit.row
        and aside <= MAX_LINE_OFFSET * h
        and w <= MAX_STROKE_WIDTH * h
        and apart <= MAX_LINE_DISTANCE * h
    )
