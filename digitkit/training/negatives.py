"""Images without a digit, from which a net learns what it must not read (outlier exposure).

Hendrycks, Mazeika and Dietterich, Deep Anomaly Detection with Outlier Exposure, ICLR 2019. They are
made from MNIST's training digits, OpenCV's stroke fonts and random shapes. Those with ink are
brought to normal form like an image of a digit, since that is how a net sees them. A few show a
digit by accident (one scribble in ten), which adds a little noise to the labels.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import numpy as np

from digitkit.arrays import Labels
from digitkit.datasets.digits import Images
from digitkit.images.cv import cv2
from digitkit.images.normal_form import SIDE, normal_form

_SIDE = 64  # drawn larger and reduced, as pens are finer than pixels

_LETTERS = "".join(sorted(set(string.ascii_letters) - set("BDGILOQSZbgijloqsyz")))
"""Letters that do not look like a digit in any hand: without O, l, S, Z, B, b, q, g and so on."""


def make_negatives(digits: Images, labels: Labels, count: int, seed: int) -> Images:
    """Make images without a digit.

    Args:
        digits: training digits in normal form, uint8 ``[N, 28, 28]``.
        labels: uint8 ``[N]``; which part of a digit does not look like a digit depends on it.
        count: how many to make; the kinds take turns.
        seed: the same seed gives the same images.

    Returns:
        uint8 ``[count, 28, 28]``.
    """
    rng = np.random.default_rng(seed)
    kinds = _kinds(digits, labels, rng)
    order = [kinds[name] for name in _TURNS]
    return np.stack([order[i % len(order)]() for i in range(count)])


def make_each_kind(digits: Images, labels: Labels, count: int, seed: int) -> dict[str, Images]:
    """Make images without a digit by kind: its name to uint8 ``[count, 28, 28]``.

    Arguments are those of `make_negatives`; `count` is per kind.
    """
    rng = np.random.default_rng(seed)
    kinds = _kinds(digits, labels, rng)
    return {name: np.stack([make() for _ in range(count)]) for name, make in kinds.items()}


_TURNS = (
    *("cut digit", "two digits", "letter", "scribble", "cut digit", "two digits"),
    *("letter", "sign", "scribble", "texture", "two digits", "blank"),
)


def _kinds(
    digits: Images, labels: Labels, rng: np.random.Generator
) -> dict[str, Callable[[], Images]]:
    cuttable = np.flatnonzero(np.isin(labels, list(CUT_PARTS)))

    def cut_digit() -> Images:
        if len(cuttable) == 0:
            return blank(rng)
        chosen = rng.choice(cuttable)
        return cut(digits[chosen], int(labels[chosen]), rng)

    def two_digits() -> Images:
        return side_by_side(list(digits[rng.integers(len(digits), size=2)]), rng)

    return {
        "cut digit": cut_digit,
        "two digits": two_digits,
        "letter": lambda: letter(rng),
        "scribble": lambda: scribble(rng),
        "sign": lambda: sign(rng),
        "texture": lambda: texture(rng),
        "blank": lambda: blank(rng),
    }


CUT_PARTS = {0: "tb", 2: "b", 3: "lb", 4: "t", 5: "tlb", 8: "l"}
"""Parts that are not digits themselves: top, bottom or left. (Half an 8 is a 0, a 9's foot a 1.)"""


def cut(digit: Images, label: int, rng: np.random.Generator) -> Images:
    """Cut a digit: only 30 to 60% of it, from one side, is in the image.

    Args:
        digit: uint8 ``[28, 28]`` in normal form.
        label: what it is; a key of the parts that can be cut.
        rng: source of randomness.

    Returns:
        uint8 ``[28, 28]`` in normal form.
    """
    x, y, w, h = cv2.boundingRect((digit > 48).astype(np.uint8))
    ink = digit[y : y + h, x : x + w]
    fraction = rng.uniform(0.3, 0.6)
    rows, columns = max(2, round(h * fraction)), max(2, round(w * fraction))
    side = rng.choice(list(CUT_PARTS[label]))
    part = {"t": ink[:rows], "b": ink[-rows:], "l": ink[:, :columns]}[side]
    return normal_form(np.ascontiguousarray(part))


def side_by_side(digits: Sequence[Images], rng: np.random.Generator) -> Images:
    """Put digits (uint8 ``[28, 28]`` each) in a row, touching or nearly: uint8 ``[28, 28]``."""
    page = np.zeros((SIDE, SIDE * len(digits)), np.uint8)
    end = 0
    for digit in digits:
        ink = digit[:, digit.max(0) > 48]
        start = max(0, end + int(rng.integers(-3, 4))) if end else 0
        end = start + ink.shape[1]
        part = page[:, start:end]
        np.maximum(part, ink[:, : part.shape[1]], out=part)
    return normal_form(page)


LETTER_FONTS = (0, 2, 3, 6)
"""OpenCV's stroke fonts for letters; two more are reserved for measuring."""


def letter(rng: np.random.Generator, fonts: Sequence[int] = LETTER_FONTS) -> Images:
    """Draw a letter in one of OpenCV's stroke fonts, slanted and stretched: uint8 ``[28, 28]``."""
    page = np.zeros((_SIDE, _SIDE), np.uint8)
    text = _LETTERS[rng.integers(len(_LETTERS))]
    font = int(rng.choice(fonts)) | (cv2.FONT_ITALIC if rng.random() < 0.3 else 0)
    cv2.putText(page, text, (18, 46), font, 1.5, 255, int(rng.integers(2, 7)), cv2.LINE_AA)
    return _bend(page, rng)


def scribble(rng: np.random.Generator) -> Images:
    """Draw a smooth random line that crosses itself, or straight ones: uint8 ``[28, 28]``."""
    page = np.zeros((_SIDE, _SIDE), np.uint8)
    thick = int(rng.integers(2, 7))
    corners = rng.uniform(8, _SIDE - 8, (int(rng.integers(4, 9)), 2))
    if rng.random() < 0.6:
        at = np.linspace(0, len(corners) - 1, 60)
        path = np.stack([np.interp(at, range(len(corners)), corners[:, k]) for k in (0, 1)], 1)
        smooth = cv2.blur(path, (1, 11))
        cv2.polylines(page, [np.rint(smooth).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    else:
        for start, end in zip(corners[::2], corners[1::2], strict=False):
            cv2.line(page, _point(start), _point(end), 255, thick, cv2.LINE_AA)
    return normal_form(page)


def sign(rng: np.random.Generator) -> Images:
    """Draw a sign or a triangle or box, some of them filled: uint8 ``[28, 28]``."""
    page = np.zeros((_SIDE, _SIDE), np.uint8)
    thick = int(rng.integers(2, 7))
    if rng.random() < 0.5:
        text = "+*=#%&@?!<>{}[]$~^"[rng.integers(18)]
        cv2.putText(page, text, (16, 46), 0, 1.5, 255, thick, cv2.LINE_AA)
    else:
        sides = int(rng.integers(3, 5))  # five already look like a 0
        turn = rng.uniform(0, 2 * np.pi) + np.arange(sides) * 2 * np.pi / sides
        radius = rng.uniform(14, 26, sides)
        points = np.stack([32 + radius * np.cos(turn), 32 + radius * np.sin(turn)], 1)
        outline = [np.rint(points).astype(np.int32)]
        if rng.random() < 0.3:
            cv2.fillPoly(page, outline, 255)
        else:
            cv2.polylines(page, outline, True, 255, thick, cv2.LINE_AA)
    return _bend(page, rng)


def texture(rng: np.random.Generator) -> Images:
    """Make paper, stains and noise, which a detector mistakes for ink: uint8 ``[28, 28]``."""
    grain = rng.normal(size=(28, 28))
    if rng.random() < 0.8:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.6, 4)), np.float64)
    grain = (grain - grain.min()) / max(float(np.ptp(grain)), 1e-6)
    grain = np.clip((grain - rng.uniform(0, 0.7)) * rng.uniform(0.5, 4), 0, 1)
    page = np.rint(255 * grain).astype(np.uint8)
    return normal_form(page) if rng.random() < 0.7 else page


def blank(rng: np.random.Generator) -> Images:
    """Make a plain image with a gradient: uint8 ``[28, 28]``."""
    low, high = np.sort(rng.uniform(0, 255, 2)) * rng.uniform(0, 1)
    slope = np.rint(np.linspace(low, high, SIDE)).astype(np.uint8)
    page = np.tile(slope, (SIDE, 1))
    return (page, page[:, ::-1].copy(), page.T.copy(), page.T[::-1].copy())[rng.integers(4)]


def _point(at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    return round(float(at[0])), round(float(at[1]))


def _bend(page: Images, rng: np.random.Generator) -> Images:
    """Slant, rotate and stretch an image a little, then bring it to normal form."""
    slant, turn = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
    matrix = np.array([[rng.uniform(0.7, 1.2), slant, 0], [turn, 1, 0]])
    matrix[:, 2] = _SIDE / 2 - matrix[:, :2] @ [_SIDE / 2, _SIDE / 2]
    return normal_form(np.asarray(cv2.warpAffine(page, matrix, (_SIDE, _SIDE)), np.uint8))
