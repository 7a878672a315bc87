"""Readings as notebooks and the prompt of Python show them."""

import base64
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
from support.readings import make_digit, make_reading

from digitkit.images.cv import cv2
from digitkit.reading import notebook

ONE, DOUBTFUL = make_digit({1: 0.99999}), make_digit({8: 0.625}, x=40)


def parse(reading) -> tuple[str, ElementTree.Element]:
    html = reading._repr_html_()
    return html, ElementTree.fromstring(re.sub(r"(<img[^>]*)>", r"\1/>", html))


def test_a_row_per_number_with_its_digits():
    lonely = make_digit({3: 0.5}, row=2)
    html, table = parse(make_reading(ONE, DOUBTFUL, make_digit({7: 0.9375}, row=1), lonely))
    rows = ["".join(row.itertext()) for row in table.iter("tr")][1:]
    assert len(rows) == 3
    assert "1?" in rows[0]
    assert "incomplete" in rows[0]
    assert "digit 2 is doubtful (8 at 62%)" in rows[0]
    assert re.match(r"7\d\d\.\d%", rows[1])
    assert rows[2] == "–not accepted"
    titles = [image.get("title") for image in table.iter("img")]
    assert titles == ["1 >99.9%", "8? 62.5%", "7 93.7%", "3? 50.0%"]
    assert html.count("dashed") == 3
    data = next(table.iter("img")).get("src").removeprefix("data:image/png;base64,")
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert (image == ONE.image).all()


def test_names_are_escaped_and_long_tables_are_cut(monkeypatch):
    html, _ = parse(make_reading(source="<script>x.png", frame=3))
    assert "<script" not in html
    assert "no digit found" in html
    assert "x.png #3" in html
    monkeypatch.setattr(notebook, "MAX_NUMBERS", 1)
    monkeypatch.setattr(notebook, "MAX_DIGITS", 1)
    html, _ = parse(make_reading(ONE, DOUBTFUL, replace(ONE, row=1), replace(ONE, row=2)))
    assert html.count("<img") == 1
    assert "and 1 more" in html
    assert "and 2 more" in html


def test_short_texts():
    assert repr(ONE) == "Digit(1, confidence=0.9999, box=(0, 50, 30, 60))"
    cut = replace(DOUBTFUL, cut=True)
    assert repr(cut).endswith("box=(40, 50, 30, 60), accepted=False, cut=True)")
    reading = make_reading(ONE, DOUBTFUL, source="a.png", frame=None)
    (number,) = reading.numbers
    known = f"confidence={number.confidence:.4f}, complete=False"
    reasons = "reasons=('digit 2 is doubtful (8 at 62%)',)"
    assert repr(number) == f"Number('1?', {known}, {reasons})"
    assert repr(reading) == f"Reading('a.png', text='1?', {known})"
    assert repr(make_reading(frame=2)) == "Reading('camera 0', frame=2, text='')"
