"""Registration: known homographies are recovered, and other pictures are refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.forms import HEIGHT, WIDTH, blank_form, fill_form

from digitkit.forms.registration.geometry import Placement
from digitkit.forms.registration.matching import ImageFeatures, Registrar, is_better
from digitkit.images.cv import cv2
from digitkit.images.grey import GreyImage

CORNERS = np.array([(0.0, 0.0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)])


@pytest.fixture(scope="module")
def registrar() -> Registrar:
    return Registrar(blank_form())


def find(registrar, image):
    found = registrar.register(ImageFeatures(GreyImage.from_pixels(image)))
    return None if found is None or found.fault else found


def warp(page, homography, size) -> np.ndarray:
    """A page seen through a homography between continuous coordinates."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return cv2.warpPerspective(
        page, np.linalg.inv(half) @ homography @ half, size, flags=cv2.INTER_AREA, borderValue=90
    )


shifts = st.floats(-0.06, 0.06)


@given(
    turn=st.integers(0, 3),
    angle=st.floats(-20, 20),
    scale=st.floats(0.75, 1.8),
    moved=st.lists(shifts, min_size=8, max_size=8),
)
@example(turn=2, angle=0.0, scale=1.0, moved=[0.0] * 8)
@example(turn=1, angle=-20.0, scale=0.75, moved=[0.06, -0.06] * 4)
@settings(max_examples=20)
def test_known_homographies_are_recovered_within_a_pixel(registrar, turn, angle, scale, moved):
    middle = np.array([WIDTH, HEIGHT]) / 2
    offsets = CORNERS - middle + np.reshape(moved, (4, 2)) * WIDTH
    around = np.deg2rad(angle + 90 * turn)
    rotation = np.array([[np.cos(around), -np.sin(around)], [np.sin(around), np.cos(around)]])
    side = round(1500 * scale)
    goal = (offsets * scale) @ rotation.T + side / 2
    homography = cv2.getPerspectiveTransform(CORNERS.astype(np.float32), goal.astype(np.float32))
    image = warp(blank_form(), homography, (side, side))
    found = find(registrar, image)
    assert found is not None
    inner = np.array([(60.0, 80), (560, 80), (560, 800), (60, 800), (300, 400)])
    true = Placement.flat(np.asarray(homography), (HEIGHT, WIDTH)).to_picture(inner)
    # A pixel of the reference.
    off = np.abs(found.placement.to_picture(inner) - true).max() / found.placement.scale()
    assert off < 1
    assert found.residual < 1


def test_a_bent_sheet_is_found(registrar, one_of_each):
    page = fill_form(one_of_each)
    xs, ys = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
    bent = cv2.remap(
        page, xs, ys + 9 * np.sin(np.pi * xs / WIDTH), cv2.INTER_LINEAR, borderValue=255
    )
    found = find(registrar, bent)
    assert found is not None
    point = np.array([(300.0, 340.0)])
    at = found.placement.to_picture(point)[0]
    assert abs(at[1] - (340 - 9 * np.sin(np.pi * 300 / WIDTH))) < 1


def test_a_cropped_form_in_uneven_light_is_found(registrar, one_of_each):
    page = fill_form(one_of_each)[60:, 20:].astype(np.float32)
    light = np.linspace(0.35, 1, page.shape[1])[None, :]
    noise = np.random.default_rng(1).normal(0, 3, page.shape)
    found = find(registrar, (page * light + noise).clip(0, 255).astype(np.uint8))
    assert found is not None
    at = found.placement.to_picture(np.array([(300.0, 340.0)]))[0]
    assert np.abs(at - (280, 280)).max() < 1


def test_a_form_whose_cells_are_all_filled_in_is_found(one_of_each):
    page = np.full((HEIGHT, WIDTH), 255, np.uint8)
    cv2.putText(page, "Readings of the year", (30, 60), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    for line, text in enumerate(("One digit in each box", "Keep a copy", "Form 4711, page 2")):
        cv2.putText(page, text, (30, 100 + 30 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 0)
    fields = [(30 + 290 * (i % 2), 240 + 100 * (i // 2), 264, 40) for i in range(12)]
    for x, y, w, h in fields:
        for left in range(x, x + w, 33):
            cv2.rectangle(page, (left, y), (left + 33, y + h), 0, 1)
    filled = page.copy()
    rng = np.random.default_rng(1)
    for x, y, w, _ in fields:
        for left in range(x, x + w, 33):
            ink = cv2.resize(one_of_each[rng.integers(10)], (28, 34))
            part = filled[y + 3 : y + 37, left + 3 : left + 31]
            part[:] = np.minimum(part, 255 - ink)
    found = find(Registrar(page, fields), filled)
    assert found is not None
    assert found.score > 0.9
    assert np.abs(found.placement.to_picture(CORNERS) - CORNERS).max() < 1


def test_print_that_is_found_everywhere_may_be_further_off(registrar):
    found = find(registrar, blank_form())
    assert found is not None
    assert found.fault is None
    assert found.least_found > 0.9
    moved = replace(found, residual=1.2 * found.limit)
    assert moved.fault is None
    assert "off its place" in str(replace(moved, least_found=0.3).fault)
    assert is_better(replace(found, score=0.8), moved)


@pytest.mark.parametrize(("top", "bottom", "limit"), [(0, HEIGHT, 0.7), (140, 620, 0.55)])
def test_where_little_print_is_away_from_fields_all_of_it_counts(one_of_each, top, bottom, limit):
    fields = [(40, 160, 540, 390)]
    found = find(Registrar(blank_form(), fields), fill_form(one_of_each)[top:bottom])
    assert found is not None
    assert found.min_score == limit
    shown = np.array([(60.0, 160), (560, 160), (560, 540), (60, 540)])
    assert np.abs(found.placement.to_picture(shown) - (shown - (0, top))).max() < 3


def others():
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 256, (800, 600), dtype=np.uint8)
    shapes = np.full((900, 700), 255, np.uint8)
    for _ in range(60):
        cv2.line(shapes, *rng.integers(0, 700, (2, 2)).tolist(), int(rng.integers(200)), 2)
    return {
        "another form": blank_form(1), "a third form": blank_form(2), "noise": noise,
        "a blank page": np.full((877, 620), 250, np.uint8), "lines": shapes,
        "a pixel": np.zeros((1, 1), np.uint8), "a row": np.zeros((1, 3000), np.uint8),
    }  # fmt: skip


@pytest.mark.parametrize("name", others())
def test_other_pictures_are_refused(registrar, name):
    assert find(registrar, others()[name]) is None


def test_a_blank_page_is_no_reference():
    assert not Registrar(np.full((877, 620), 255, np.uint8)).is_usable


def marked_form(kind: str) -> np.ndarray:
    page = blank_form()
    words = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    for number, (x, y) in enumerate(((20, 20), (560, 20), (560, 820), (20, 820))):
        part = page[y : y + 40, x : x + 40]
        part[:] = 0 if kind == "squares" else cv2.aruco.generateImageMarker(words, number, 40)
    return page


@pytest.mark.parametrize("kind", ["markers", "squares"])
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_markers_say_where_the_form_is(kind, turns):
    page = marked_form(kind)
    image = cv2.copyMakeBorder(
        np.rot90(page, turns), 60, 80, 50, 70, cv2.BORDER_CONSTANT, value=180
    )
    found = find(Registrar(page), np.ascontiguousarray(image))
    assert found is not None
    assert found.method == kind
    at = found.placement.to_picture(np.array([(0.0, 0.0)]))[0]
    expected = [(50, 60), (50, 60 + WIDTH), (50 + WIDTH, 60 + HEIGHT)][turns]
    assert np.abs(at - expected).max() < 1
