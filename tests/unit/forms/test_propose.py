"""What ``digitkit form new`` finds on a blank form."""

import numpy as np
import pytest

from digitkit.forms.propose import propose_fields
from digitkit.images.cv import cv2

WIDTH, HEIGHT = 827, 1169  # A4 at 100 dots per inch
LEFT, RIGHT, LEVEL = 300, 540, 400  # where a line is drawn


def sheet() -> np.ndarray:
    """A page with a heading and a paragraph of small print, uint8 [HEIGHT, WIDTH]."""
    page = np.full((HEIGHT, WIDTH), 255, np.uint8)
    cv2.putText(page, "Report of readings", (80, 90), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    for row in range(6):
        text = "no one is to use a seal or a stamp as soon as we have seen an error on our account"
        cv2.putText(page, text, (80, 800 + 12 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 60, 1)
    return page


def draw_line(page: np.ndarray, kind: str, grey: int = 0) -> None:
    step = {"line": 1, "dots": 6, "dashes": 11}[kind]
    for x in range(LEFT, RIGHT, step):
        cv2.line(page, (x, LEVEL), (x + 6 * (kind == "dashes"), LEVEL), grey, 2)


@pytest.mark.parametrize("kind", ["line", "dots", "dashes"])
@pytest.mark.parametrize("grey", [0, 150])
def test_a_line_to_write_on(kind, grey):
    page = sheet()
    draw_line(page, kind, grey)
    (found,) = propose_fields(page)
    x, y, w, h = found.box
    assert not found.cells
    assert (x, x + w, y + h) == pytest.approx((LEFT, RIGHT, LEVEL), abs=8)


@pytest.mark.parametrize("ticks", ["all", "inner"])
@pytest.mark.parametrize("height", [6, 14])
def test_an_open_comb(ticks, height):
    page = sheet()
    draw_line(page, "line")
    for x in range(300, 541, 30):
        if ticks == "all" or 300 < x < 540:
            cv2.line(page, (x, 400), (x, 400 - height), 0, 2)
    (found,) = propose_fields(page)
    assert len(found.cells) == 8
    assert [x for x, _ in found.cells] == pytest.approx(range(300, 540, 30), abs=4)
    assert [w for _, w in found.cells] == pytest.approx([30] * 8, abs=4)


def test_uneven_ticks_are_no_comb():
    page = sheet()
    draw_line(page, "line")
    for x in (300, 340, 480, 540):
        cv2.line(page, (x, 400), (x, 375), 0, 2)
    assert propose_fields(page) == ()


@pytest.mark.parametrize(("grey", "thickness"), [(0, 2), (170, 1)])
@pytest.mark.parametrize("gap", [0, 6])
def test_a_comb_of_small_cells(grey, thickness, gap):
    page = sheet()
    for x in range(300, 300 + 8 * (20 + gap), 20 + gap):
        cv2.rectangle(page, (x, 360), (x + 20, 390), grey, thickness)
    (found,) = propose_fields(page)
    assert len(found.cells) == 8


def test_text_has_no_lines_to_write_on():
    assert propose_fields(sheet()) == ()
