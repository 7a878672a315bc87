from __future__ import annotations

import numpy as np
import pytest

from digitkit import Reader, pages
from digitkit._opencv import cv2


def page_of(rows: list[str], digits, cell=120, dark=True, shade=0.0) -> np.ndarray:
    width = max(map(len, rows)) * cell + 80
    ink = np.zeros((len(rows) * cell + 80, width), np.float32)
    for r, row in enumerate(rows):
        for c, char in enumerate(row):
            if char == " ":
                continue
            big = cv2.resize(digits[int(char)], (90, 90), interpolation=cv2.INTER_CUBIC)
            y, x = 40 + r * cell + 5 * (c % 2), 40 + c * cell
            ink[y : y + 90, x : x + 90] = big / 255
    light = 1 - shade * np.linspace(0, 1, width)[None, :]
    level = 225 * (1 - 0.8 * ink) if dark else 40 + 190 * ink
    return np.rint(np.clip(level * light, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("shade", [0.0, 0.5])
def test_rows_are_read_as_a_person_reads(one_of_each, dark, shade):
    image = page_of(["0123", "456", "789"], one_of_each, dark=dark, shade=shade)
    reading = Reader(mode="page", min_confidence=0).read(image)
    assert reading.text == "0123\n456\n789"


def test_boxes_are_in_the_pictures_own_pixels(one_of_each):
    small = page_of(["38"], one_of_each)
    large = cv2.resize(small, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)
    found = pages.find_digits(large)
    assert len(found) == 2
    for one, near in zip(found, pages.find_digits(small), strict=True):
        assert np.allclose(np.array(one.box) / 6, near.box, atol=3)
        x, y, w, h = one.box
        assert x >= 0
        assert y >= 0
        assert x + w <= large.shape[1]
        assert y + h <= large.shape[0]


def test_a_broken_off_bar_goes_to_its_digit(one_of_each):
    image = np.full((300, 300), 240, np.uint8)
    cv2.line(image, (130, 90), (125, 140), 20, 9)
    cv2.ellipse(image, (145, 175), (40, 38), 0, -110, 130, 20, 9)
    cv2.line(image, (150, 86), (195, 82), 20, 9)  # the 5's bar, a gap away
    assert len(pages.find_digits(image)) == 1


@pytest.mark.parametrize("level", [0, 90, 255])
def test_no_ink_no_digits(level):
    rng = np.random.default_rng(0)
    noise = np.clip(level + rng.normal(0, 6, (300, 400)), 0, 255).astype(np.uint8)
    assert pages.find_digits(noise) == []


@pytest.mark.parametrize("shape", [(1, 100), (100, 1), (65, 2), (70, 70)])
def test_odd_shapes_do_no_harm(shape):
    rng = np.random.default_rng(0)
    pages.find_digits(rng.integers(0, 255, shape, dtype=np.uint8))
