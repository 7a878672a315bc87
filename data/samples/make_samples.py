"""Make the sample pictures and the README's from MNIST test digits.

    python data/samples/make_samples.py

Every picture is drawn by this script; the same script gives the same pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitkit import Reader, atomic, sinks
from digitkit._opencv import cv2
from digitkit.datasets import load_mnist
from digitkit.sources import read_frame

HERE = Path(__file__).resolve().parent
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

Colour = tuple[int, int, int]
"""Blue, green, red, 0–255."""

PAGE = ("1984", "2750", "6361")


def paper(width: int, height: int, tone: Colour, rng: np.random.Generator) -> F32:
    """Paper under a lamp: grain, a slope of light and darker corners; float32 0–255."""
    grain = rng.normal(0, 2.5, (height, width)).astype(np.float32)
    fibre = cv2.GaussianBlur(rng.normal(0, 14, (height, width)).astype(np.float32), (0, 0), 3)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    light = 1 + 0.12 * x - 0.08 * y - 0.1 * (x * x + y * y)
    return ((np.array(tone, np.float32) + (grain + fibre)[:, :, None]) * light[:, :, None]).clip(
        0, 255
    )


def ink_on(
    page: F32, digit: U8, at: tuple[int, int], size: int, ink: Colour, strength: float = 1.0
) -> None:
    """Draw a digit over a page, `size` pixels high at `at` (x, y), in place."""
    big = cv2.resize(digit, (size, size), interpolation=cv2.INTER_CUBIC)
    # Steeper edges than an enlarged scan has, as a pen's are.
    share = np.clip((big.astype(np.float32) / 255 - 0.25) / 0.4, 0, 1) * strength
    x, y = at
    part = page[y : y + size, x : x + size]
    part += (np.array(ink, np.float32) - part) * share[:, :, None]


def as_u8(image: F32) -> U8:
    """Rounded to uint8."""
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def save(name: str, image: U8) -> Path:
    """Encode by the name's suffix and write."""
    path = HERE / name
    atomic.write_bytes(path, cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def main() -> None:
    """Make them all."""
    rng = np.random.default_rng(7)
    data = load_mnist("test")
    of = [data.images[data.labels == digit] for digit in range(10)]

    save("0-as-in-mnist.png", of[0][3])
    page = paper(420, 560, (225, 238, 240), rng)
    ink_on(page, of[3][4], (90, 130), 260, (120, 60, 30))
    save("3-blue-pen.jpg", as_u8(page))
    board = paper(480, 480, (52, 60, 40), rng)
    ink_on(board, of[5][1], (110, 90), 290, (235, 240, 240), 0.9)
    save("5-chalk.jpg", as_u8(board))
    page = paper(300, 300, (235, 235, 238), rng)
    ink_on(page, of[8][6], (70, 70), 150, (110, 110, 115), 0.75)
    save("8-pencil.png", as_u8(page))
    alpha = cv2.resize(of[7][2], (160, 160), interpolation=cv2.INTER_CUBIC)
    drawn = np.dstack([np.zeros((160, 160, 3), np.uint8), alpha])
    save("7-transparent.png", drawn)

    page = paper(1200, 900, (218, 232, 236), rng)
    for row, digits in enumerate(PAGE):
        for column, digit in enumerate(digits):
            shape = of[int(digit)][10 + 7 * row + column]
            x = 150 + 235 * column + int(rng.integers(-12, 13))
            y = 70 + 270 * row + int(rng.integers(-12, 13))
            ink_on(page, shape, (x, y), 220, (70, 40, 30))
    source = save("page.jpg", as_u8(cv2.GaussianBlur(page, (0, 0), 0.8)))

    frame = read_frame(source)
    reading = Reader().read_frame(frame)
    marked = sinks.annotate(frame.image, reading)
    tiles = sinks.tiles(reading, columns=4)
    height = 620
    parts = [
        cv2.resize(part, None, fx=height / part.shape[0], fy=height / part.shape[0],
                   interpolation=cv2.INTER_AREA)
        for part in (marked, tiles)
    ]  # fmt: skip
    save("../reading.jpg", np.hstack(parts))


if __name__ == "__main__":
    main()
