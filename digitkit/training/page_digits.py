"""Digits as they are read on pages: cut out of synthetic photographs by the detector.

A classifier that has only seen MNIST meets blur, shadows, ruled lines and neighbours for the first
time on a page, and letters and signs that the detector took for digits. So pages are composed of
the training digits (`digitkit.training.scenes`), the detector finds them, and what it cuts out is
trained on, with the digit that was written there or as an image without one. Letters and signs of
handwriting fonts are further images without one, but for those that are written like digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch.utils.data import Dataset

from digitkit.arrays import Labels
from digitkit.boxes import is_at
from digitkit.datasets.digits import DigitData, Images
from digitkit.images.grey import GreyImage
from digitkit.images.normal_form import normal_form
from digitkit.models.classifier import Classifier
from digitkit.reading.networks.detector import Detector
from digitkit.reading.strategies import PageStrategy
from digitkit.system.progress import Progress, no_progress
from digitkit.training.composing import compose_all
from digitkit.training.scenes.fonts import DIGIT_HEIGHT, load_fonts
from digitkit.training.scenes.scene import compose_scene
from digitkit.training.scenes.single import NO_DIGIT
from digitkit.training.scenes.words import LOOKALIKES

PAGE_SIDES = (300, 900)
"""Smallest and largest longer side of the pages, pixels."""

LIKE_A_DIGIT = 0.9
"""What shows no digit and is one with this confidence to the shipped classifier is left out: l, O
and S look like digits to everyone, and only their line shows that they are none."""

PEN_COUNT = 2
"""With how many pens each other character of a font is written."""

_Cut = tuple[Images, Labels]


@dataclass(frozen=True)
class PageDigits:
    """What the detector cut out of pages, all in normal form.

    Attributes:
        images: of digits, uint8 ``[N, 28, 28]``.
        labels: uint8 ``[N]``, 0 to 9.
        without_digit: of what is none, uint8 ``[M, 28, 28]``.
    """

    images: Images
    labels: Labels
    without_digit: Images


def cut_out_digits(
    data: DigitData, pages: int, seed: int, *, progress: Progress = no_progress
) -> PageDigits:
    """Compose pages, and cut out what the shipped detector finds: about seven digits of each.

    As many processes as torch may use threads compose them, about six pages a second each; how many
    there are does not change the result.

    Args:
        data: the digits that are written on the pages.
        pages: how many.
        seed: the same seed gives the same images.
        progress: called after each page.

    Raises:
        ModelError: the shipped detector or classifier is missing.
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    images, labels = list[Images](), list[Labels]()
    Detector()  # here, too, where an error is seen as it is
    cut = compose_all(_Pages(data, pages, seed), pages, "composing pages", progress)
    for own_images, own_labels in cut:
        images.append(own_images)
        labels.append(own_labels)
    found = np.concatenate([np.empty((0, 28, 28), np.uint8), *images])
    label = np.concatenate([np.empty(0, np.uint8), *labels])
    others = found[label == NO_DIGIT]
    predictions = Classifier("digits").classify(others)
    unlike = np.array([each.confidence < LIKE_A_DIGIT for each in predictions], bool)
    return PageDigits(found[label != NO_DIGIT], label[label != NO_DIGIT], others[unlike])


def write_characters(seed: int) -> Images:
    """Write letters and signs other than `LOOKALIKES`, in each font and with several pens.

    Args:
        seed: the same seed gives the same images.

    Returns:
        uint8 ``[N, 28, 28]`` in normal form.

    Raises:
        DatasetError: the fonts are missing, as outside of a checkout.
    """
    rng = np.random.default_rng(seed)
    written = [
        normal_form(font.write(character, DIGIT_HEIGHT, int(rng.integers(0, 6)))[0])
        for font in load_fonts()
        for character in sorted(font.glyphs)
        if character not in LOOKALIKES and not character.isdigit()
        for _ in range(PEN_COUNT)
    ]
    return np.stack(written)


class _Pages(Dataset[_Cut]):
    """Pages by their number, and what was cut out of each."""

    def __init__(self, data: DigitData, pages: int, seed: int) -> None:
        self._data, self._pages, self._seed = data, pages, seed

    @cached_property
    def _strategy(self) -> PageStrategy:
        return PageStrategy(Detector())  # of each process, as a session cannot be sent to it

    def __len__(self) -> int:
        return self._pages

    def __getitem__(self, number: int) -> _Cut:
        rng = np.random.default_rng([self._seed, number])
        scene = compose_scene(self._data.images, self._data.labels, rng, sides=PAGE_SIDES)
        images, labels = list[Images](), list[int]()
        for detection in self._strategy.detect(GreyImage.from_pixels(scene.image)):
            written = [
                digit
                for box, digit in zip(scene.boxes, scene.digits, strict=True)
                if is_at(detection.box, box)
            ]
            # Of two digits in one box, and of one that the border cuts, nobody knows what it shows.
            is_cut = any(is_at(detection.box, box) for box in scene.cut)
            if detection.whole_image or is_cut or len(written) > 1:
                continue
            images.append(normal_form(detection.ink))
            labels.append(written[0] if written else NO_DIGIT)
        found = np.array(images, np.uint8).reshape(-1, 28, 28)
        return found, np.array(labels, np.uint8)
