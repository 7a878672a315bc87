"""Fit the weights of `digitkit.reading.digits.words` on synthetic pages.

    python benchmarks/word_weights.py --count 400

Pages as the detector is trained on, such pages without a digit, lines of words and of capitals in
the fonts of the training, a digit and a letter alone on its page, strips, tables, rows with
operators, dates and lists (``number_sets.py``), of digits that no shipped classifier was trained
on, are read up to where words are told from numbers. Prints the weights; and how many digits are
taken for letters, and how many of what is none for digits, by the weights of the other half of the
images.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

import numpy as np
from common import fit_options, load_digits, ran_on, table, tracked
from number_sets import make_list, make_sheet
from number_weights import split_fit
from scenes import make_capitals, make_words

from digitkit import Classifier, Reader
from digitkit.arrays import F64, U8, Box
from digitkit.boxes import is_at
from digitkit.datasets.digits import DigitData
from digitkit.reading.digits import words
from digitkit.reading.results import Digit, Mark
from digitkit.training.scenes.camera import photograph
from digitkit.training.scenes.clutter import draw_ruling
from digitkit.training.scenes.fonts import load_fonts
from digitkit.training.scenes.glyphs import crop_to_ink
from digitkit.training.scenes.page import Page, Rng
from digitkit.training.scenes.scene import compose_scene
from digitkit.training.scenes.words import LIKE_DIGITS
from digitkit.training.scenes.writing import Writer

SEED = 105
SHARES = {"pages": 1.0, "empty": 1.0, "words": 1.5, "capitals": 0.75, "digit": 1.0, "letter": 1.0,
          "rows": 0.2, "tables": 0.1, "strips": 0.2, "dates": 0.05, "lists": 0.4}  # fmt: skip
"""Images of each kind, of ``--count``."""

DECAY = 1e-4
LIMITS = (0.3, 0.5, 0.6, 0.7)


def compose(data: DigitData, kind: str, number: int) -> tuple[U8, Sequence[Box]]:
    """An image, and the boxes of its digits."""
    rng = np.random.default_rng([SEED, number])
    if kind in ("pages", "empty"):
        scene = compose_scene(data.images, data.labels, rng, empty=kind == "empty")
        return scene.image, [*scene.boxes, *scene.cut]
    if kind in ("words", "capitals"):
        make = make_words if kind == "words" else make_capitals
        return make(data, rng, split="train")[0], []
    if kind in ("digit", "letter"):
        return _write_alone(data, rng, digit=kind == "digit")
    if kind == "lists":
        sheet = make_list(data, rng, split="train")
    else:
        sheet = make_sheet(kind, data, SEED, number)
    return sheet.image, [box for box, _ in sheet.digits]


def _write_alone(data: DigitData, rng: Rng, *, digit: bool) -> tuple[U8, Sequence[Box]]:
    """A digit or a letter alone on its page, and the box of the digit."""
    page = Page(rng, (160, 1000))
    draw_ruling(page)
    size = min(page.h, page.w) * rng.uniform(0.12, 0.7)
    writer = Writer(page, data.images, data.labels)
    if digit:
        ink, _ = writer.glyph(round(size))
    else:
        fonts, letters = load_fonts(), list(LIKE_DIGITS) + list(string.ascii_letters)
        font = fonts[rng.integers(len(fonts))]
        ink = crop_to_ink(font.write(str(rng.choice(letters)), size, int(rng.integers(0, 4)))[0])
    ink = ink[: page.h, : page.w]
    h, w = ink.shape
    x, y = int(rng.uniform(0, page.w - w)), int(rng.uniform(0, page.h - h))
    page.put(ink, x, y, writer.colour, writer.strength)
    return photograph(page), [(x, y, w, h)] if digit else []


Found = list[tuple[words.Word, Sequence[Box]]]
"""Words, and the boxes of their digits."""


def remember_words() -> Found:
    """A list that gets the words of each image that is read from now on; none is doubted."""
    found, find = Found(), words.find_words

    def remember(
        digits: Sequence[Digit], marks: Sequence[Mark], seen: Mapping[int, float]
    ) -> list[words.Word]:
        own = find(digits, marks, seen)
        found.extend((word, [digits[i].box for i in word.places]) for word in own)
        return []

    words.find_words = remember
    return found


def main() -> None:
    """Read, fit, print."""
    options = fit_options(__doc__, 600)
    reader, data = Reader(Classifier(options.model)), load_digits("validation")
    numbers = {kind: round(options.count * share) for kind, share in SHARES.items()}
    images = [(kind, number) for kind, count in numbers.items() for number in range(count)]
    found = remember_words()
    features, right, count = list[F64](), list[float](), list[int]()
    for place in tracked(np.random.default_rng(0).permutation(len(images)).tolist()):
        image, written = compose(data, *images[place])
        found.clear()
        reader.read(image)
        for word, boxes in found:
            hits = [any(is_at(box, other) for other in written) for box in boxes]
            features.append(word.features)
            right.append(float(np.mean(hits)))
            count.append(len(hits))
    shares, digits = np.array(right), np.array(count)
    weights, probability = split_fit(np.array(features), shares > 0.5, decay=DECAY)
    second = slice(len(shares) - len(probability), None)
    true, false = (digits * shares)[second], (digits * (1 - shares))[second]
    rows = [
        [f"{limit}", f"{true[probability < limit].sum() / true.sum():.2%}",
         f"{false[probability >= limit].sum() / false.sum():.1%}"]
        for limit in (0.0, *LIMITS)
    ]  # fmt: skip
    made = f"{len(images)} images, in half of them {true.sum():.0f} digits and {false.sum():.0f}"
    print(f"{ran_on()}; {made} false ones\n")
    print(table(["doubted below", "of the digits", "false ones left"], rows))
    print(f"\nWORD_WEIGHTS = ({', '.join(f'{weight:.2f}' for weight in weights)})")


if __name__ == "__main__":
    main()
