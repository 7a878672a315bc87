"""Rows of digits and signs as images, and detections that tests change."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from digitkit.images.cv import cv2

SIDE = 60  # of a digit's cell; its ink is 20/28 of that
LEFTS = range(30, 330, 46)


def put_digit(ink: np.ndarray, digit: np.ndarray, left: int, top: int) -> None:
    """Draw a digit of MNIST in a cell of `SIDE` pixels."""
    large = cv2.resize(digit, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    part = ink[top : top + SIDE, left : left + SIDE]
    np.maximum(part, large[:, : part.shape[1]], out=part)


def write_row(text: str, digits: Sequence[np.ndarray], lefts: Sequence[int] = LEFTS) -> np.ndarray:
    """A row of digits, dark on light paper; other characters leave room."""
    ink = np.zeros((160, lefts[len(text) - 1] + 120), np.uint8)
    for char, left in zip(text, lefts, strict=False):
        if char.isdecimal():
            put_digit(ink, digits[int(char)], left, 50)
    return (235 - 0.8 * ink).astype(np.uint8)


def write(text: str, digits, height: int = 200, step: int = 46) -> np.ndarray:
    """A row of digits and signs of one height, dark on light paper."""
    ink = np.zeros((height, 60 + step * len(text)), np.uint8)
    y = height // 2 - SIDE // 2
    for place, char in enumerate(text):
        x = 30 + step * place
        if char.isdecimal():
            put_digit(ink, digits[int(char)], x, y)
        else:
            draw_sign(ink, char, x + SIDE // 2, y + SIDE // 2)
    return (235 - 0.8 * ink).astype(np.uint8)


def draw_sign(ink: np.ndarray, sign: str, x: int, y: int) -> None:
    def line(*ends: int) -> None:
        a, b, c, d = ends
        cv2.line(ink, (x + a, y + b), (x + c, y + d), 255, 4, cv2.LINE_AA)

    if sign in "+-=":
        line(-10, -5 * (sign == "="), 10, -5 * (sign == "="))
    if sign == "+":
        line(0, -10, 0, 10)
    elif sign == "=":
        line(-10, 6, 10, 6)
    elif sign == "x":
        line(-8, -8, 8, 8)
        line(8, -8, -8, 8)
    elif sign in ".:":
        for down in (20,) if sign == "." else (-8, 12):
            cv2.circle(ink, (x, y + down), 4, 255, -1, cv2.LINE_AA)
    elif sign == ",":
        line(2, 17, -3, 28)


def around(image: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is written in an image."""
    rows, columns = np.nonzero(image < 150)
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def shown_between_8_and_4(shown: Mapping[int, float]) -> Callable[[np.ndarray], None]:
    """A change of a row: between these digits it shows classes with these probabilities."""

    def show(probabilities: np.ndarray) -> None:
        digits = [np.flatnonzero(probabilities[digit] > 0.5) for digit in (8, 4)]
        between = slice(digits[0].max() + 3, digits[1].min() - 2)
        probabilities[:, between] = 0
        for kind, probability in shown.items():
            probabilities[kind, between] = probability

    return show
