"""Draw the sample images and docs/images/live.gif with MNIST test digits.

    python data/samples/make_samples.py

The same script draws the same images.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitkit import Reader
from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import load_mnist
from digitkit.images import samples
from digitkit.images.cv import cv2
from digitkit.reading.live.events import EventFinder
from digitkit.reading.live.tracking import Tracker
from digitkit.sinks.drawing import draw
from digitkit.sinks.lines import format_event
from digitkit.sources.frames import Frame
from digitkit.system import atomic
from digitkit.training.scenes.glyphs import glyph

HERE = Path(__file__).resolve().parent
F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

Colour = tuple[int, int, int]
"""Blue, green, red, 0–255."""

PAGE = ("1984", "2750", "6361")


def paper(width: int, height: int, tone: Colour, rng: np.random.Generator) -> F32:
    """Paper under a lamp: grain, uneven light, darker corners; float32 [H, W, 3], 0–255."""
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
    """Draw a digit on a page in place, `size` pixels high, its upper left corner at `at` (x, y)."""
    big = cv2.resize(digit, (size, size), interpolation=cv2.INTER_CUBIC)
    # Steeper edges than those of an enlarged scan, like a pen's.
    alpha = np.clip((big.astype(np.float32) / 255 - 0.25) / 0.4, 0, 1) * strength
    x, y = at
    region = page[y : y + size, x : x + size]
    region += (np.array(ink, np.float32) - region) * alpha[:, :, None]


def as_u8(image: F32) -> U8:
    """Round and clip to uint8."""
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def save(name: str, image: U8) -> Path:
    """Encode by the name's suffix and write next to this script."""
    path = HERE / name
    atomic.write_bytes(path, cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def main() -> None:
    """Draw all images."""
    rng = np.random.default_rng(7)
    data = load_mnist("test")
    of = [data.images[data.labels == digit] for digit in range(10)]

    digit = save("0-as-in-mnist.png", of[0][3])
    atomic.write_bytes(samples.SAMPLE_DIGIT, digit.read_bytes())
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
    page = as_u8(cv2.GaussianBlur(page, (0, 0), 0.8))
    save("page.jpg", page)
    # This one is part of the wheel, so it is kept small.
    small = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
    atomic.write_bytes(samples.SAMPLE_PAGE, small)

    save("notes.jpg", notes(data, np.random.default_rng(11)))
    animation(data, HERE.parents[1] / "docs/images/live.gif")


NOTES = (("20+26", 0.10), ("4 7 1 1", 0.04), ("83 59 60", 0.06))
"""Rows of the page, and the pen's width as a fraction of the digits' height."""


def notes(data: DigitData, rng: np.random.Generator) -> U8:
    """A page as people photograph it: ruled, in a shadow, on a desk, with more than digits."""
    width, height = 1280, 960
    page = paper(width, height, (214, 230, 234), rng)
    for y in range(90, height, 62):
        cv2.line(page, (0, y), (width, y + 26), (205, 190, 160), 2, cv2.LINE_AA)
    print_ = np.zeros((height, width), np.uint8)
    cv2.putText(print_, "Workshop, meter C", (140, 128), 3, 1.3, 255, 2, cv2.LINE_AA)
    page *= 1 - 0.7 * print_[:, :, None] / 255
    inks = ((130, 60, 30), (60, 60, 65), (40, 40, 40))
    for row, ((text, pen), ink) in enumerate(zip(NOTES, inks, strict=True)):
        x, y = 150 + 14 * row, 215 + 205 * row
        for letter in text:
            tall = int(rng.integers(112, 134))
            if letter == " ":
                x += 60
                continue
            if letter == "+":
                cv2.line(page, (x, y + 70), (x + 70, y + 72), ink, 9, cv2.LINE_AA)
                cv2.line(page, (x + 34, y + 36), (x + 36, y + 106), ink, 9, cv2.LINE_AA)
                x += 110
                continue
            of = np.flatnonzero(data.labels == int(letter))
            shape = glyph(data.images[rng.choice(of[:40])], tall, round(pen * tall), rng)
            h, w = shape.shape
            lean = round(0.02 * x) + int(rng.integers(-6, 7))
            region = page[y + lean : y + lean + h, x : x + w]
            region += (np.array(ink, np.float32) - region) * (shape / 255 * 0.85)[:, :, None]
            x += w + int(rng.integers(26, 40))
    points = [
        [1010 + 60 * np.cos(2.4 * t) + 9 * t, 330 + 55 * np.sin(3.1 * t)]
        for t in np.linspace(0, 9, 120)
    ]
    scribble = np.rint(points).astype(np.int32)
    cv2.polylines(page, [scribble], False, (70, 60, 50), 5, cv2.LINE_AA)
    desk = np.array([[0, height - 90], [width, height - 50], [width, height], [0, height]])
    cv2.fillPoly(page, [desk], (40, 62, 88))
    shadow = np.zeros((height, width), np.float32)
    cv2.fillPoly(shadow, [np.array([[760, 0], [width, 0], [width, 820], [980, 700]])], 1)
    page *= 1 - 0.38 * cv2.GaussianBlur(shadow, (0, 0), 28)[:, :, None]
    return as_u8(cv2.GaussianBlur(page, (0, 0), 0.9))


def animation(data: DigitData, path: Path) -> None:
    """A camera held by hand over a counter whose last digit changes, read live."""
    rng = np.random.default_rng(5)
    reader, caption = Reader(), ""
    frames, tracker, finder = [], Tracker(reader.min_confidence), EventFinder(3)
    for step in range(24):
        number = ("4021", "4027")[step // 12]
        page = np.full((400, 520, 3), (222, 234, 238), np.float32)
        pen = np.random.default_rng(6)
        x = 70
        for letter in number:
            of = np.flatnonzero(data.labels == int(letter))
            shape = glyph(data.images[pen.choice(of[:40])], 110, 9, pen)
            region = page[140 : 140 + shape.shape[0], x : x + shape.shape[1]]
            region += (np.array((120, 60, 30), np.float32) - region) * (shape / 255)[:, :, None]
            x += shape.shape[1] + 26
        hand = (*rng.normal(0, 2, 2), 2 * np.sin(step / 4))
        turn = cv2.getRotationMatrix2D((260, 200), hand[2], 1 + 0.03 * np.sin(step / 6))
        turn[:, 2] += (12 * np.sin(step / 5) + hand[0], 8 * np.cos(step / 7) + hand[1])
        view = cv2.warpAffine(page, turn, (520, 400), borderValue=(60, 66, 74))
        image = as_u8(cv2.GaussianBlur(view, (0, 0), 1))
        reading = tracker.follow(reader.read_frame(Frame("camera 0", image, number=step)))
        for event in finder.update(reading, tracker.tracks):
            taken = replace(reading, time=datetime(2026, 1, 1, 14, 3, 12 + step // 7, tzinfo=UTC))
            caption = format_event(taken, event)
        shown = draw(image, reading)
        plate = np.full((44, shown.shape[1], 3), 40, np.uint8)
        cv2.putText(plate, caption, (12, 30), cv2.FONT_HERSHEY_DUPLEX, 0.7, (240, 240, 240), 1, 16)
        both = np.vstack([shown, plate])
        frames.append(cv2.resize(both, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))
    # One palette of few colours without dithering: a third of the bytes.
    pictures = [Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])) for frame in frames]
    most = pictures[12]  # a digit is in doubt: all colours are there
    palette = most.quantize(64, method=Image.Quantize.MAXCOVERAGE)
    first, *others = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures)
    with atomic.replace_file(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=150, loop=0)


if __name__ == "__main__":
    main()
