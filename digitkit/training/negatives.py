"""Pictures that hold no digit, for a net to learn what it must not read (outlier exposure).

Hendrycks, Mazeika and Dietterich, Deep Anomaly Detection with Outlier Exposure, ICLR 2019. All are
made from what the repository has: MNIST's training digits, OpenCV's stroke fonts, and chance. Those
with ink are brought to normal form as a picture of a digit would be, since that is how a net meets
them. By chance some are a digit after all (one scribble in ten): a little noise in the labels.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import numpy as np

from digitkit.arrays import Labels
from digitkit.datasets.digits import Images
from digitkit.images.normal_form import SIDE, normal_form
from digitkit.images.opencv import cv2

_SIDE = 64  # drawn larger and reduced, as pens are finer than pixels

_LETTERS = "".join(sorted(set(string.ascii_letters) - set("BDGILOQSZbgijloqsyz")))
"""Letters that no hand makes look like a digit: without O, l, S, Z, B, b, q, g and the like."""


def negatives(digits: Images, labels: Labels, count: int, seed: int) -> Images:
    """Make pictures that hold no digit.

    Args:
        digits: training digits in normal form, uint8 ``[N, 28, 28]``.
        labels: uint8 ``[N]``; which part of a digit is none depends on the digit.
        count: how many to make; the kinds take turns.
        seed: the same seed gives the same pictures.

    Returns:
        uint8 ``[count, 28, 28]``.
    """
    rng = np.random.default_rng(seed)
    kinds = _kinds(digits, labels, rng)
    order = [kinds[name] for name in _TURNS]
    return np.stack([order[i % len(order)]() for i in range(count)])


def of_each_kind(digits: Images, labels: Labels, count: int, seed: int) -> dict[str, Images]:
    """The same, kept apart: the name of a kind to uint8 ``[count, 28, 28]`` of it."""
    rng = np.random.default_rng(seed)
    made = _kinds(digits, labels, rng)
    return {name: np.stack([make() for _ in range(count)]) for name, make in made.items()}


_TURNS = (
    *("cut digit", "two digits", "letter", "scribble", "cut digit", "two digits"),
    *("letter", "sign", "scribble", "texture", "two digits", "blank"),
)


def _kinds(
    digits: Images, labels: Labels, rng: np.random.Generator
) -> dict[str, Callable[[], Images]]:
    cuttable = np.flatnonzero(np.isin(labels, list(_CUTS)))

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


_CUTS = {0: "tb", 2: "b", 3: "lb", 4: "t", 5: "tlb", 8: "l"}
"""Parts that are no digit themselves: top, bottom or left. (Half an 8 is a 0, a foot of 9 a 1.)"""


def cut(digit: Images, label: int, rng: np.random.Generator) -> Images:
    """A digit of which only a part was in the picture: 30 to 60% of it, from one side."""
    x, y, w, h = cv2.boundingRect((digit > 48).astype(np.uint8))
    ink = digit[y : y + h, x : x + w]
    share = rng.uniform(0.3, 0.6)
    rows, columns = max(2, round(h * share)), max(2, round(w * share))
    side = rng.choice(list(_CUTS[label]))
    part = {"t": ink[:rows], "b": ink[-rows:], "l": ink[:, :columns]}[side]
    return normal_form(np.ascontiguousarray(part))


def side_by_side(digits: Sequence[Images], rng: np.random.Generator) -> Images:
    """Digits in a row, touching or nearly, taken for one."""
    page = np.zeros((SIDE, SIDE * len(digits)), np.uint8)
    end = 0
    for digit in digits:
        ink = digit[:, digit.max(0) > 48]
        start = max(0, end + int(rng.integers(-3, 4))) if end else 0
        end = start + ink.shape[1]
        part = page[:, start:end]
        np.maximum(part, ink[:, : part.shape[1]], out=part)
    return normal_form(page)


FONTS = (0, 2, 3, 6)
"""OpenCV's stroke fonts that letters are drawn in; two more are left out for measuring."""


def letter(rng: np.random.Generator, fonts: Sequence[int] = FONTS) -> Images:
    """A letter in one of OpenCV's stroke fonts, slanted and stretched."""
    page = np.zeros((_SIDE, _SIDE), np.uint8)
    text = _LETTERS[rng.integers(len(_LETTERS))]
    font = int(rng.choice(fonts)) | (cv2.FONT_ITALIC if rng.random() < 0.3 else 0)
    cv2.putText(page, text, (18, 46), font, 1.5, 255, int(rng.integers(2, 7)), cv2.LINE_AA)
    return _bent(page, rng)


def scribble(rng: np.random.Generator) -> Images:
    """A smooth random line that crosses itself, or a few straight ones."""
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
    """A sign or a shape: plus, equals, brackets and the like, triangles and boxes, some filled."""
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
    return _bent(page, rng)


def texture(rng: np.random.Generator) -> Images:
    """Paper, stains and noise: what a finder takes for ink where there is none."""
    grain = rng.normal(size=(28, 28))
    if rng.random() < 0.8:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.6, 4)), np.float64)
    grain = (grain - grain.min()) / max(float(np.ptp(grain)), 1e-6)
    grain = np.clip((grain - rng.uniform(0, 0.7)) * rng.uniform(0.5, 4), 0, 1)
    page = np.rint(255 * grain).astype(np.uint8)
    return normal_form(page) if rng.random() < 0.7 else page


def blank(rng: np.random.Generator) -> Images:
    """One level, or a slope of light."""
    low, high = np.sort(rng.uniform(0, 255, 2)) * rng.uniform(0, 1)
    slope = np.rint(np.linspace(low, high, SIDE)).astype(np.uint8)
    page = np.tile(slope, (SIDE, 1))
    return (page, page[:, ::-1].copy(), page.T.copy(), page.T[::-1].copy())[rng.integers(4)]


def _point(at: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[int, int]:
    return round(float(at[0])), round(float(at[1]))


def _bent(page: Images, rng: np.random.Generator) -> Images:
    """Slanted, turned and stretched a little, then brought to normal form."""
    slant, turn = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
    matrix = np.array([[rng.uniform(0.7, 1.2), slant, 0], [turn, 1, 0]])
    matrix[:, 2] = _SIDE / 2 - matrix[:, :2] @ [_SIDE / 2, _SIDE / 2]
    return normal_form(np.asarray(cv2.warpAffine(page, matrix, (_SIDE, _SIDE)), np.uint8))
