"""From an image of one digit to MNIST's normal form, whatever its size, polarity and light."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from digitkit import Classifier
from digitkit.errors import ImageError
from digitkit.images.convert import from_array
from digitkit.images.cv import cv2
from digitkit.images.decode import decode
from digitkit.images.ink import extract_ink, ink_is_dark
from digitkit.images.normal_form import digit_image, normal_form


def close(a, b, most):
    """Whether two normal forms show the same digit, by the mean difference of their ink."""
    a, b = (cv2.GaussianBlur(i, (5, 5), 0).astype(float) for i in (a, b))
    return np.abs(a - b).mean() < most


def test_size_and_polarity_do_not_matter(one_of_each):
    for image in one_of_each:
        for size in (8, 28, 41, 300, 1200):
            sized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
            for form in (digit_image(sized), digit_image(255 - sized)):
                assert close(form, image, 25 if size == 8 else 16)
        x, y, w, h = cv2.boundingRect((image > 60).astype(np.uint8))
        tight = image[y : y + h, x : x + w]
        assert (ink_is_dark(tight), ink_is_dark(255 - tight)) == (False, True)


def stretch_contrast(ink):
    """The slow way: percentiles as NumPy has them, for any values."""
    bright = cv2.threshold(ink, 0, 255, cv2.THRESH_OTSU)[1] > 0
    strokes, paper = np.percentile(ink[bright], 75), np.median(ink[~bright])
    gain = 255 / max(strokes - paper, 1.0)
    return cv2.convertScaleAbs(np.maximum(ink, round(paper)), alpha=gain, beta=-paper * gain)


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(2, 9), st.integers(2, 9))), st.sampled_from([0, 90])
)
def test_contrast_is_stretched_between_percentiles(image, under):
    image[image < under] = 0  # paper of one grey level is the common case
    assume(image.min() != image.max())
    ink = 255 - image if ink_is_dark(image) else image
    assert np.array_equal(extract_ink(image), stretch_contrast(ink))


@pytest.mark.parametrize("paper", [0, 40])
@pytest.mark.parametrize("spot", [0, 9])
def test_even_light_is_treated_as_uneven_light(one_of_each, paper, spot):
    ink = paper + cv2.resize(one_of_each[8], (100, 100)) // 2
    ink[:60, :60] += np.uint8(spot)
    kernel = np.ones((33, 33), np.uint8)
    under = cv2.blur(cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel), (33, 33))
    assert np.array_equal(extract_ink(ink), stretch_contrast(cv2.subtract(ink, under)))


def test_uneven_light_is_not_ink(one_of_each):
    big = cv2.resize(one_of_each[3], (400, 400), interpolation=cv2.INTER_CUBIC).astype(float)
    light = np.linspace(110, 250, 400)[None, :].repeat(400, 0)
    page = (light * (1 - 0.75 * big / 255)).astype(np.uint8)
    assert close(digit_image(page), digit_image(big.astype(np.uint8)), 12)


def test_mnist_box_and_centre_wherever_the_digit_is(one_of_each):
    for x, digit in enumerate(one_of_each):
        page = np.zeros((240, 320), np.uint8)
        page[5 * x : 5 * x + 130, 10 * x : 10 * x + 200] = cv2.resize(digit, (200, 130))
        form = digit_image(page)
        _, _, w, h = cv2.boundingRect((form > 40).astype(np.uint8))
        assert max(w, h) in (19, 20)
        m = cv2.moments(form)
        assert (m["m10"] / m["m00"], m["m01"] / m["m00"]) == pytest.approx((14, 14), abs=0.75)


@pytest.mark.parametrize("width", [1, 3, 12, 40])
def test_stroke_width_approaches_mnists(width):
    page = np.full((300, 300), 240, np.uint8)
    cv2.circle(page, (150, 150), 100, 30, width, cv2.LINE_AA)
    form = digit_image(page)
    assert form.max() > 200
    assert 0.04 < (form > 127).mean() < 0.35


def test_mnists_own_images_stay_all_but_unchanged(mnist_train):
    images = mnist_train.images[:2000]
    assert all(np.array_equal(normal_form(image), image) for image in images)
    # From a file, the grey levels are stretched by a hair.
    away = [np.abs(digit_image(image).astype(int) - image).max() for image in images]
    assert np.median(away) <= 3
    assert max(away) <= 60


@pytest.mark.slow
def test_mnist_from_files_costs_no_accuracy(mnist_test, shipped):
    """At most 0.05 points, all 10,000 test images through PNG files and the pixel path."""
    files = (cv2.imencode(".png", image)[1].tobytes() for image in mnist_test.images)
    forms = np.stack([digit_image(decode(file, "x")) for file in files])
    model = Classifier(shipped)
    direct = (model.probabilities(mnist_test.images).argmax(1) == mnist_test.labels).mean()
    through = (model.probabilities(forms).argmax(1) == mnist_test.labels).mean()
    assert through >= direct - 0.0005


kinds = st.sampled_from([np.bool_, np.uint8, np.uint16, np.int32, np.float32, np.float64])
shapes = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 4)),
)


@settings(max_examples=150)
@given(st.data())
def test_any_array_gives_a_normal_form_unless_it_has_one_colour(data):
    image = from_array(data.draw(hnp.arrays(data.draw(kinds), data.draw(shapes))))
    assert image.dtype == np.uint8
    try:
        form = digit_image(image, "x.png")
    except ImageError as error:
        assert error.subject == "x.png"
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        assert grey.min() == grey.max()
    else:
        assert (form.dtype, form.shape) == (np.uint8, (28, 28))
