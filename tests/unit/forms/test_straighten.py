"""How ``digitkit form new`` makes the picture of a blank form level."""

import numpy as np
import pytest
from support.forms import SHEET, blank_form, put_digit, save, sheet

from digitkit import Form
from digitkit.forms.new_form import make_template
from digitkit.forms.registration.page_detection import find_page
from digitkit.forms.registration.straighten import straighten
from digitkit.images.cv import cv2

HEIGHT, WIDTH = SHEET


def photograph(page: np.ndarray, shadow: bool, ground: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of the page from an angle, in light that falls off, and its corners in it."""
    corners = np.array([(210, 160), (880, 240), (900, 1230), (90, 1180)], np.float32)
    whole = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32)
    turn = cv2.getPerspectiveTransform(whole, corners)
    rng = np.random.default_rng(0)
    photo = rng.normal(ground, 4, (1400, 1050)).astype(np.float32)
    cv2.warpPerspective(
        page.astype(np.float32), turn, (1050, 1400), photo, borderMode=cv2.BORDER_TRANSPARENT
    )
    photo *= np.linspace(0.9, 0.4, 1050, dtype=np.float32)
    if shadow:
        dark = np.ones((1400, 1050), np.float32)
        cv2.fillPoly(dark, [np.array([(1050, 300), (400, 700), (1050, 1400)])], 0.5)
        photo *= cv2.GaussianBlur(dark, (0, 0), 12)
    return photo.clip(0, 255).astype(np.uint8), corners


@pytest.mark.parametrize("shadow", [False, True])
@pytest.mark.parametrize("ground", [40, 180])
def test_the_page_of_a_photo_in_uneven_light(shadow, ground):
    photo, corners = photograph(sheet(), shadow, ground)
    assert find_page(photo) == pytest.approx(corners, abs=12)


def test_a_scan_is_a_page_as_a_whole():
    page = sheet()
    cv2.rectangle(page, (60, 200), (760, 1100), 0, 2)  # a printed frame is no page
    assert find_page(page) is None
    assert find_page(np.full((1, 1), 255, np.uint8)) is None


@pytest.mark.parametrize("grey", [0, 100, 200])
@pytest.mark.parametrize("top", [60, 350])
def test_a_printed_bar_is_no_side_of_a_page(grey, top):
    page = sheet()
    page[top : top + 50, 50:-50] = grey
    assert find_page(page) is None


@pytest.mark.parametrize("grey", [0, 90])
@pytest.mark.parametrize("bottom", [0, 100])
def test_a_bar_up_to_the_edge_of_the_sheet_is_no_ground(grey, bottom):
    page = sheet()
    page[:130] = page[HEIGHT - bottom :] = grey
    assert find_page(page) is None
    assert find_page(np.ascontiguousarray(page.T)) is None


def test_a_sheet_in_the_corner_of_a_scanner_is_a_page():
    scan = np.full((1169, 827), 40, np.uint8)
    scan[:800, :560] = 250
    corners = [(0, 0), (560, 0), (560, 800), (0, 800)]
    assert find_page(scan) == pytest.approx(np.array(corners), abs=12)


def test_a_tinted_form_is_a_page_as_a_whole():
    page = np.minimum(sheet(), 225)
    page[200:1100, 60:-60] = 255
    assert find_page(page) is None


@pytest.mark.parametrize("ratio", [2**0.5, 2**-0.5, 11 / 8.5, 8.5 / 11])
def test_a_page_keeps_its_shape(ratio):
    width = 600
    photo = np.full((1000, 1000), 60, np.uint8)
    photo[50 : 50 + round(width * ratio), 100 : 100 + width] = 250
    cut = straighten(photo)
    assert cut.shape[0] / cut.shape[1] == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("grey", [0, 255])
def test_a_page_without_print_stays(grey):
    page = np.full(SHEET, grey, np.uint8)
    assert (straighten(page) == page).all()


@pytest.mark.parametrize("size", [(1, 1), (10, 10), (3, 50), (20, 1000)])
def test_small_pictures_stay(size):
    assert straighten(np.full(size, 255, np.uint8)).shape == size


def test_the_edge_of_the_sheet_is_no_line():
    page = np.full(SHEET, 255, np.uint8)
    cv2.putText(page, "Report of readings", (80, 190), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 4, 1)
    scan = cv2.warpAffine(page, turn, (WIDTH, HEIGHT), borderValue=255)
    scan[:6] = 40
    level = straighten(scan)
    assert np.mean(np.abs(level[100:400].astype(int) - page[100:400])) < 4


@pytest.mark.parametrize("degrees", [-7.3, -0.4, 0.0, 1.2])
def test_a_scan_is_levelled_by_its_text_alone(degrees):
    page = sheet()
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, 1)
    scan = cv2.warpAffine(page, turn, (WIDTH, HEIGHT), borderValue=255)
    level = straighten(scan)
    inside = (slice(100, -100), slice(100, -100))
    assert np.mean(np.abs(level[inside].astype(int) - page[inside])) < 4


def tinted_form() -> np.ndarray:
    """A form of which nearly all but the boxes is printed in a pale shade."""
    page = blank_form()
    shade = np.full_like(page, 228)
    for x, y, w, h in ((60, 200, 240, 44), (60, 320, 200, 48), (340, 320, 180, 44)):
        shade[y : y + h, x : x + w] = 255
    return np.minimum(page, shade)


def test_the_shade_of_a_form_in_even_light_stays_in_its_reference(tmp_path, one_of_each):
    page = tinted_form()
    new = make_template(save(tmp_path / "blank.png", page), tmp_path / "form.toml")
    reference = cv2.imread(str(new.reference), cv2.IMREAD_GRAYSCALE)
    is_paper = page >= 228
    assert np.abs(reference.astype(int) - page)[is_paper].max() <= 3
    put_digit(page, one_of_each[7], 70, 326)
    (written,) = (one for one in Form(new.template).read(page).fields if one.status != "empty")
    assert (written.text, written.status) == ("7", "ok")


def test_paper_in_uneven_light_is_white_in_a_reference(tmp_path):
    page = blank_form() * np.linspace(0.5, 0.9, blank_form().shape[1])
    new = make_template(save(tmp_path / "blank.png", page.astype(np.uint8)), tmp_path / "form.toml")
    reference = cv2.imread(str(new.reference), cv2.IMREAD_GRAYSCALE)
    assert (reference[600:620, 100:500] == 255).all()
