"""Rows that are read as a whole, and what that says of their digits and marks."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from support.errors import error_of

from digitkit import Reader
from digitkit.errors import ModelError, ModelRunError
from digitkit.images.cv import cv2
from digitkit.models.classifier import Prediction
from digitkit.models.registry import models_folder
from digitkit.reading.digits import fusion
from digitkit.reading.networks.combining import Weights, combine
from digitkit.reading.networks.line_reader import (
    COLUMN_STRIDE,
    DIGIT_HEIGHT,
    HEIGHT,
    LETTER,
    NONE,
    SIGN,
    SPOILED,
    LineReader,
)
from digitkit.reading.rows import lines
from digitkit.reading.rows.lines import look_up

WEIGHTS = Weights(0.5, 1.0, 0.0)


@pytest.fixture(scope="module")
def line_reader() -> LineReader:
    return LineReader()


def write(digits: Sequence[np.ndarray], text: str, step: int = 30) -> np.ndarray:
    """A row as the line reader takes it; a space leaves room."""
    ink = np.zeros((HEIGHT, step * len(text) + 20), np.uint8)
    for place, char in enumerate(text):
        left = 10 + place * step
        if char == "/":
            cv2.line(ink, (left + 4, 42), (left + 18, 6), 255, 3, cv2.LINE_AA)
        elif char == "+":
            cv2.line(ink, (left + 3, 24), (left + 19, 24), 255, 3, cv2.LINE_AA)
            cv2.line(ink, (left + 11, 16), (left + 11, 32), 255, 3, cv2.LINE_AA)
        elif char.isdecimal():
            side = round(DIGIT_HEIGHT * 28 / 20)
            big = cv2.resize(digits[int(char)], (side, side), interpolation=cv2.INTER_CUBIC)
            part = ink[4 : 4 + side, left - 8 : left - 8 + side]
            np.maximum(part, big[:, : part.shape[1]], out=part)
    return ink


def test_digits_and_signs_are_told_apart(line_reader, one_of_each):
    text = "25+86/47"
    found = line_reader.read(write(one_of_each, text))
    assert found.shape == (LETTER + 1, (30 * len(text) + 20) // COLUMN_STRIDE)
    assert found.dtype == np.float32
    assert np.allclose(found[:SPOILED].sum(0), 1, atol=1e-4)
    assert (found[SPOILED:] >= 0).all()
    assert (found[SPOILED:] <= 1).all()
    for place, char in enumerate(text):
        seen = look_up(found, 10 + place * 30 + 11)[:SPOILED]
        assert seen.argmax() == (SIGN if char in "+/" else int(char))


def test_paper_is_nothing(line_reader):
    found = line_reader.read(np.zeros((HEIGHT, 2 * COLUMN_STRIDE), np.uint8))
    assert (found[NONE] > 0.9).all()


@pytest.mark.parametrize("x", [-100.0, 500.0])
def test_outside_of_a_row_nothing_is_known(x):
    assert look_up(np.full((NONE + 1, 10), 0.1, np.float32), x) is None


def test_what_is_no_line_reader(tmp_path):
    gone = error_of(ModelError, LineReader, tmp_path / "lines.onnx")
    assert (gone.subject, gone.hint) == (str(tmp_path / "lines.onnx"), "reinstall digitkit")
    assert "version" in str(error_of(ModelError, LineReader, models_folder() / "finder.onnx"))
    assert error_of(ModelRunError, LineReader().read, np.zeros((20, 50), np.uint8)).subject


def predict(digit: int, confidence: float, is_digit: float = 1.0) -> Prediction:
    p = np.full(10, (1 - confidence / is_digit) / 9, np.float32)
    p[digit] = confidence / is_digit
    return Prediction(digit, confidence, is_digit, p)


def row(**classes: float) -> np.ndarray:
    """What a row shows: its classes, and the rest spread over the others."""
    named = {{"sign": SIGN, "none": NONE}.get(k) or int(k[1:]): v for k, v in classes.items()}
    seen = np.full(NONE + 1, (1 - sum(named.values())) / (NONE + 1 - len(named)), np.float32)
    for place, value in named.items():
        seen[place] = value
    return seen


def test_two_that_agree_are_surer_than_one():
    both = combine(predict(4, 0.9, 0.95), row(d4=0.9), WEIGHTS)
    assert both.digit == 4
    assert both.confidence > 0.95
    assert np.isclose(both.probabilities.sum(), 1)
    assert np.isclose(both.confidence, both.is_digit * both.probabilities[4])


def test_the_row_may_show_another_digit_or_none():
    assert combine(predict(7, 0.6), row(d9=0.99), WEIGHTS).digit == 9
    assert combine(predict(1, 0.98, 0.98), row(sign=0.99), WEIGHTS).is_digit < 0.5
    assert combine(predict(0, 0.9, 0.9), row(none=0.999), WEIGHTS).is_digit < 0.1


def test_a_stroke_that_is_sure_to_be_a_1_may_be_a_slash():
    by_itself, in_row = predict(1, 1.0), row(sign=0.9, d1=0.09)
    assert combine(by_itself, in_row, WEIGHTS).is_digit > 0.9
    assert combine(by_itself, in_row, WEIGHTS, 0.02).is_digit < 0.5
    # Of ink that is neither a digit nor a sign, the classifier is as sure as before.
    paper = row(none=0.9, d1=0.0999, sign=0.0001)
    assert combine(by_itself, paper, WEIGHTS, 0.02).is_digit > 0.9


def test_a_slash_is_likelier_on_a_page_with_other_signs():
    stroke, in_row = predict(1, 1.0), row(sign=0.6, d1=0.39)
    rare, frequent = (
        fusion.combine_in_row(stroke, in_row, has_signs=has_signs).confidence
        for has_signs in (False, True)
    )
    assert frequent < 0.9 < rare
    # Only a 1 looks like a slash.
    seven, in_row = predict(7, 1.0), row(sign=0.6, d7=0.39)
    assert fusion.combine_in_row(seven, in_row, has_signs=True).confidence > 0.9


@pytest.mark.parametrize("others", [0, 1])
def test_a_sign_is_no_other_sign_than_itself(line_reader, one_of_each, others):
    ink = write(one_of_each, "25/47" + "+8" * others)
    strip = SimpleNamespace(shape=ink.shape, unit=DIGIT_HEIGHT, x_of=lambda box: box[0])
    line = lines.TextLine(strip, SimpleNamespace(), line_reader.read(ink))
    assert len(line.signs) == 1 + others
    slash = (10 + 2 * 30 + 11, 0, 10, 40)
    assert line.count_signs(slash) == 1
    assert line.count_signs((10, 0, 10, 40)) == 0


def test_a_certain_one_is_not_overruled_by_a_doubtful_one():
    both = combine(predict(3, 0.9999, 0.9999), row(d3=0.4, d5=0.5), WEIGHTS)
    assert both.digit == 3


def test_without_a_line_reader_the_classifier_decides(one_of_each, monkeypatch):
    reader = Reader(mode="page")
    page = 255 - cv2.copyMakeBorder(write(one_of_each, "2583"), 30, 30, 30, 30, cv2.BORDER_CONSTANT)
    assert reader.read(page).text == "2583"
    nothing = SimpleNamespace(read=lambda ink: np.eye(NONE + 1, dtype=np.float32)[:, [NONE] * 400])
    assert Reader(mode="page", line_reader=nothing).read(page).text == ""
    monkeypatch.setattr(lines, "read_lines", lambda *_: {})
    assert Reader(mode="page").read(page).text == "2583"
