"""A small form, blank and filled in, for tests."""

from pathlib import Path

import numpy as np

from digitkit.forms.fields.hypotheses import DigitSlot, Hypotheses, Segmentation
from digitkit.images.cv import cv2
from digitkit.reading.numbers.k_best import Option
from digitkit.system.hashes import file_sha256

WIDTH, HEIGHT = 620, 877

FIELDS = """
[[field]]
name = "number"
box = [60, 200, 240, 44]
cells = 6
checksum = "luhn"
[[field]]
name = "a"
box = [60, 320, 200, 48]
[[field]]
name = "b"
box = [340, 320, 180, 44]
cells = 4
decimals = 0
[[field]]
name = "total"
box = [340, 440, 180, 44]
cells = 4
decimals = 0
"""
RULES = '[rules]\ntotal = "a + b"\n'

WRITTEN = {"number": "453217", "a": "731", "b": "269", "total": "1000"}


def blank_form(other: int = 0) -> np.ndarray:
    """The blank form, uint8 [HEIGHT, WIDTH]; others have other print in other places."""
    page = np.full((HEIGHT, WIDTH), 255, np.uint8)

    def put(text, x, y, size=0.6):
        cv2.putText(page, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 0, 1, cv2.LINE_AA)

    words = ("Order of spare parts", "Claim of expenses", "Parking at night")[other]
    put(words, 60, 80 + 60 * other, 1.0)
    put("Write clearly, one digit a box" if not other else "Valid until the end of May", 60, 120)
    down = 37 * other
    put("Number", 60 + 90 * other, 190 + down)
    put("Parts", 60, 312 + 2 * down)
    put("Labour", 340 - 40 * other, 312 + down)
    put("Total", 340, 432 + down)
    for text, y in (("Thank you for your order", 640), ("Form 12 B", 800), ("Department of", 700)):
        put(text[::-1] if other else text, 60 + 200 * (y == 800), y)
    cv2.rectangle(page, (30, 150), (590, 560 + down), 0, 2)
    for x, y, w, h, cells in (
        (60, 200, 240, 44, 6), (60, 320, 200, 48, 1),
        (340, 320, 180, 44, 4), (340, 440, 180, 44, 4),
    ):  # fmt: skip
        x, y = x + 25 * other, y + down
        cv2.rectangle(page, (x, y), (x + w, y + h), 0, 1)
        for cell in range(1, cells):
            cv2.line(page, (x + w * cell // cells, y), (x + w * cell // cells, y + h), 0, 1)
    return page


def put_digit(page: np.ndarray, digit: np.ndarray, x: int, y: int) -> None:
    """Write a digit, uint8 [28, 28], onto a page, 36 pixels high, with its left top at x and y."""
    ink = cv2.resize(digit, (36, 36), interpolation=cv2.INTER_CUBIC)
    part = page[y : y + 36, x : x + 36]
    np.minimum(part, 255 - (ink * 0.85).astype(np.uint8), out=part)


def fill_form(one_of_each, written=WRITTEN, page=None) -> np.ndarray:
    """The form filled in, uint8 [HEIGHT, WIDTH]."""
    page = blank_form() if page is None else page.copy()
    places = {"number": (60, 200, 40, 6), "b": (340, 320, 45, 4), "total": (340, 440, 45, 4)}
    for name, text in written.items():
        if name == "a":
            spots = [(70 + 34 * i, 326) for i in range(len(text))]
        else:
            x, y, pitch, cells = places[name]
            start = cells - len(text)
            spots = [(x + pitch * (start + i) + pitch // 2 - 18, y + 4) for i in range(len(text))]
        for (x, y), digit in zip(spots, text, strict=True):
            put_digit(page, one_of_each[int(digit)], x, y)
    return page


def write_form(
    folder: Path, fields: str = FIELDS, rules: str = RULES, *, name: str = "form", other: int = 0
) -> Path:
    """Write the template and its reference; the template's path."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{name}.png"
    picture.write_bytes(cv2.imencode(".png", blank_form(other))[1].tobytes())
    head = f'reference = "{picture.name}"\nsha256 = "{file_sha256(picture)}"\n'
    path = folder / f"{name}.toml"
    path.write_text(f"{head}size = [{WIDTH}, {HEIGHT}]\n{fields}\n{rules}", "utf-8")
    return path


SHEET = (1169, 827)
"""Height and width of `sheet`: A4 at 100 dots per inch."""


def sheet() -> np.ndarray:
    """A page with a heading and a paragraph of small print, uint8 of shape SHEET."""
    page = np.full(SHEET, 255, np.uint8)
    cv2.putText(page, "Report of readings", (80, 90), cv2.FONT_HERSHEY_SIMPLEX, 1, 0, 2)
    for row in range(6):
        text = "no one is to use a seal or a stamp as soon as we have seen an error on our account"
        cv2.putText(page, text, (80, 800 + 12 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 60, 1)
    return page


def save(path: Path, image: np.ndarray) -> Path:
    """Write a picture; its path."""
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def seen(*digits: dict[int, float]) -> Hypotheses:
    """A field whose digits may be these, with their probabilities."""
    return Hypotheses((Segmentation(tuple(
        DigitSlot(tuple(Option(d, p) for d, p in sorted(each.items(), key=lambda one: -one[1])),
             (0, 0, 1, 1)) for each in digits)),))  # fmt: skip


def sure(text: str) -> Hypotheses:
    """A field that says this."""
    return seen(*({int(digit): 0.9999} for digit in text))
