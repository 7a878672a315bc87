"""Columns: numbers that are below each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from digitkit.reading.results import Number


def number_columns(numbers: Sequence[Number]) -> tuple[Number, ...]:
    """Number the columns of an image's numbers.

    Numbers that overlap horizontally are in one column. Where that would put two numbers of a row
    into one, as in running text, the column is the place in the row.

    Args:
        numbers: in reading order.

    Returns:
        The same with `Number.column`.
    """
    spans: list[tuple[float, float, list[int]]] = []
    for i in sorted(range(len(numbers)), key=lambda i: _middle(numbers[i])):
        x, _, w, _ = numbers[i].box
        if spans and x < spans[-1][1] and _middle(numbers[i]) < spans[-1][1]:
            left, right, members = spans[-1]
            spans[-1] = left, max(right, float(x + w)), [*members, i]
        else:
            spans.append((float(x), float(x + w), [i]))
    columns = {i: column for column, (_, _, members) in enumerate(spans) for i in members}
    if any(len({numbers[i].row for i in members}) < len(members) for _, _, members in spans):
        places: dict[int, int] = {}
        for i, number in enumerate(numbers):
            columns[i] = places.get(number.row, 0)
            places[number.row] = columns[i] + 1
    return tuple(replace(number, column=columns[i]) for i, number in enumerate(numbers))


def _middle(number: Number) -> float:
    return number.box[0] + number.box[2] / 2
