"""Write a folder of synthetic images to measure a detector on.

    python benchmarks/scenes.py FOLDER --kind words --count 300
    python benchmarks/photos.py FOLDER digits-int8

Kinds: ``pages`` as the detector is trained on, with other seeds, and ``empty`` ones without a
digit; ``words`` in handwriting fonts that nothing was trained on, without a digit, and
``capitals``: the same, written apart as on a form; ``tilted``:
pages of rows, turned by ``--degrees`` either way; ``small``: rows of digits 10 pixels high in 12
megapixels; ``single``: one digit in 20 to 100 pixels, by a poor camera. ``--digits test`` uses
digits that neither net was trained on, for the final figure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from common import DIGITS, load_digits

from digitkit.arrays import U8
from digitkit.datasets.digits import DigitData
from digitkit.images.cv import cv2
from digitkit.system import atomic
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.clutter import draw_ruling
from digitkit.training.scenes.fonts import Font, load_fonts
from digitkit.training.scenes.page import Page, Rng, draw_log_uniform
from digitkit.training.scenes.scene import compose_scene
from digitkit.training.scenes.turn import turn_page
from digitkit.training.scenes.words import LIKE_DIGITS, WORDS
from digitkit.training.scenes.writing import Writer, write_digits

Made = tuple[U8, dict[str, Any]]
"""An image, and its label without the name of the file."""


def make_page(mnist: DigitData, rng: Rng) -> Made:
    """A page as the detector is trained on."""
    scene = compose_scene(mnist.images, mnist.labels, rng)
    order = not {"scattered", "turned", "columns"} & {*scene.tags}
    return scene.image, _label(scene.text, scene.boxes, scene.tags, in_order=order)


def make_empty(mnist: DigitData, rng: Rng) -> Made:
    """A page or a desk without a digit: words, drawings, print, rulers, hands."""
    scene = compose_scene(mnist.images, mnist.labels, rng, empty=True)
    return scene.image, {"kind": "empty", "text": "", "hard": False, "tags": scene.tags}


def make_words(mnist: DigitData, rng: Rng, split: Literal["train", "test"] = "test") -> Made:
    """One line of one to three words in a font of a split."""
    page, font = _take_page(rng, split)
    return _write_line(page, font, _choose_words(rng))


def make_capitals(mnist: DigitData, rng: Rng, split: Literal["train", "test"] = "test") -> Made:
    """The same in capitals, written apart from each other as on a form."""
    page, font = _take_page(rng, split)
    return _write_line(page, font, _choose_words(rng).upper(), int(rng.integers(6, 40)))


def _take_page(rng: Rng, split: Literal["train", "test"]) -> tuple[Page, Font]:
    page = Page(rng, (320, 1000))
    draw_ruling(page)
    fonts = load_fonts(split)
    return page, fonts[rng.integers(len(fonts))]


def _choose_words(rng: Rng) -> str:
    words = [str(rng.choice(WORDS)) for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.3:
        words[0] = "".join(rng.choice(list(LIKE_DIGITS), int(rng.integers(3, 7))))
    return " ".join(words)


def _write_line(page: Page, font: Font, text: str, spacing: int = 0) -> Made:
    rng = page.rng
    ink, _ = font.write(text, 40, 0, spacing)
    height = min(page.w * 0.85 / ink.shape[1], page.h * 0.6 / ink.shape[0]) * 40
    height = min(height, float(rng.uniform(24, 120)))
    ink, _ = font.write(text, height, int(rng.integers(0, 4)), spacing)
    x, y = (int(rng.uniform(0, room)) for room in (page.w - ink.shape[1], page.h - ink.shape[0]))
    page.put(ink, x, y, page.ink_colour(), rng.uniform(0.6, 1))
    return photograph(page), {"kind": "empty", "text": "", "hard": False, "notes": text}


def make_tilted(mnist: DigitData, rng: Rng, degrees: float = 0.0) -> Made:
    """Rows of digits, turned by an angle clockwise or counter-clockwise."""
    page = Page(rng, (900, 1200))
    while len(page.boxes) < 6:
        page = Page(rng, (900, 1200))
        write_digits(page, mnist.images, mnist.labels)
        if {"scattered", "large", "touching"} & {*page.tags}:
            page.boxes.clear()
    turn_page(page, degrees * float(rng.choice([-1, 1])))
    rows: dict[int, str] = {}
    for row, digit in zip(page.rows, page.digits, strict=True):
        rows[row] = rows.get(row, "") + str(digit)
    # Columns that are level with each other are read across, and the label is by columns.
    in_order = "columns" not in page.tags
    label = _label("\n".join(rows.values()), page.boxes, page.tags, in_order=in_order)
    return photograph(page), label


def make_small(mnist: DigitData, rng: Rng) -> Made:
    """Rows of digits 10 pixels high somewhere in 4000×3000 pixels."""
    page = Page(rng, (4000, 4001))
    while page.dark_paper:
        page = Page(rng, (4000, 4001))
    writer = Writer(page, mnist.images, mnist.labels)
    left, top = rng.uniform(0.1, 0.6) * page.w, rng.uniform(0.1, 0.8) * page.h
    rows = []
    for row in range(int(rng.integers(2, 6))):
        x, text = left, ""
        for _ in range(int(rng.integers(3, 9))):
            ink, digit = writer.glyph(10)
            page.put(ink, round(x), round(top + 18 * row), writer.colour, 1.0, digit=True)
            x += ink.shape[1] + rng.uniform(2, 5)
            text += str(digit)
        rows.append(text)
    return page.pixels.clip(0, 255).astype(np.uint8), _label("\n".join(rows), [], [], in_order=True)


def make_single(mnist: DigitData, rng: Rng) -> Made:
    """One digit in 20 to 100 pixels, by a poor camera: grey, blurred, noisy, with halos."""
    side = round(draw_log_uniform(rng, 20, 100))
    page = Page(rng, (side, side + 1))
    page.pixels = cv2.resize(page.pixels, (side, side), interpolation=cv2.INTER_AREA)
    page.h = page.w = side
    ink, digit = Writer(page, mnist.images, mnist.labels).glyph(round(side * rng.uniform(0.6, 0.9)))
    ink = ink[:, : side - 2]
    x, y = ((side - length) * rng.uniform(0.3, 0.7) for length in ink.shape[::-1])
    page.put(ink, round(x), round(y), page.ink_colour(), rng.uniform(0.6, 1))
    label = {"kind": "single", "text": str(digit), "hard": True, "reading_order": True}
    return photograph(page, poorly=True), label


def _label(text: str, boxes: list[Any], tags: list[str], *, in_order: bool) -> dict[str, Any]:
    return {
        "kind": "page", "text": text, "hard": False, "reading_order": in_order, "boxes": boxes,
        "tags": tags,
    }  # fmt: skip


KINDS: dict[str, Callable[[DigitData, Rng], Made]] = {
    "pages": make_page, "words": make_words, "tilted": make_tilted, "small": make_small,
    "single": make_single, "empty": make_empty, "capitals": make_capitals,
}  # fmt: skip


def main() -> None:
    """Compose and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="pages")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--degrees", type=float, default=0.0, help="tilt of --kind tilted")
    parser.add_argument("--digits", choices=DIGITS, default=DIGITS[0], help="of MNIST")
    options = parser.parse_args()
    is_tilted = options.kind == "tilted"
    make = partial(make_tilted, degrees=options.degrees) if is_tilted else KINDS[options.kind]
    mnist = load_digits(options.digits)
    lines = []
    for i in range(options.count):
        rng = np.random.default_rng([2026, options.seed, i])
        image, label = make(mnist, rng)
        name = f"scene-{i:04d}.png"
        _, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        atomic.write_bytes(options.folder / name, data.tobytes())
        lines.append(json.dumps({"file": name} | label) + "\n")
    atomic.write_text(options.folder / "labels.jsonl", "".join(lines))


if __name__ == "__main__":
    main()
