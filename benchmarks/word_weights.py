"""Fit the weights of `digitkit.reading.words` on synthetic pages.

    python benchmarks/word_weights.py --count 600

Pages as the detector is trained on, such pages without a digit, lines of words in the fonts of the
training, strips, tables, rows with operators and dates (``number_sets.py``), of digits that no
shipped classifier was trained on, are read up to where words are told from numbers. Prints the
weights; and how many digits are taken for letters, and how many of what is none for digits, by the
weights of the other half of the images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from common import fit_options, load_digits, ran_on, table
from number_sets import make_sheet
from number_weights import split_fit
from scenes import make_words

from digitkit import Classifier, Reader
from digitkit.arrays import F64, U8, Box
from digitkit.cli import show
from digitkit.datasets.digits import DigitData
from digitkit.reading import words
from digitkit.reading.detections import is_at
from digitkit.reading.results import Digit, Mark
from digitkit.training.scenes.scene import compose_scene

SEED = 105
SHARES = {"pages": 2.0, "empty": 1.0, "words": 1.0, "rows": 0.2, "tables": 0.1, "strips": 0.2,
          "dates": 0.05}  # fmt: skip
"""Images of each kind, of ``--count``."""

DECAY = 1e-4
LIMITS = (0.3, 0.5, 0.6, 0.7)


def compose(data: DigitData, kind: str, number: int) -> tuple[U8, Sequence[Box]]:
    """An image, and the boxes of its digits."""
    rng = np.random.default_rng([SEED, number])
    if kind in ("pages", "empty"):
        scene = compose_scene(data.images, data.labels, rng, empty=kind == "empty")
        return scene.image, [*scene.boxes, *scene.cut]
    if kind == "words":
        return make_words(data, rng, 0, split="train")[0], []
    sheet = make_sheet(kind, data, SEED, number)
    return sheet.image, [box for box, _ in sheet.digits]


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
    with show.progress() as report:
        for done, place in enumerate(np.random.default_rng(0).permutation(len(images)), 1):
            image, written = compose(data, *images[place])
            found.clear()
            reader.read(image)
            for word, boxes in found:
                hits = [any(is_at(box, other) for other in written) for box in boxes]
                features.append(word.features)
                right.append(float(np.mean(hits)))
                count.append(len(hits))
            report("reading", done, len(images))
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
