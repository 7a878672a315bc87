"""Photographs of pages that nobody wrote: MNIST's training digits on paper, under bad light.

The finder is trained on these, and measured on others: ``benchmarks/scenes.py`` writes a folder of
them. They vary as photographs do: paper and its texture, ruled and squared lines, shadows,
vignettes and glare, pens of all widths and colours, light on dark, thresholded scans, broken and
touching strokes, operators, letters, print, scribbles, the desk around the page, fingers, blur,
noise and JPEG. A sixth of them hold no digit at all.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._opencv import cv2
from ..pages import overlap
from .hands import strokes

U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """One picture and what a person would read in it.

    Attributes:
        image: uint8 ``[H, W, 3]`` BGR.
        boxes: of the whole digits, x, y, w, h.
        digits: what they are, in the order of the boxes.
        rows: the row of each, from 0 at the top.
        ink: uint8 ``[H, W]``, how far a pixel is ink of a digit, those cut by the border included.
        cut: boxes of what is to be seen of digits that the border cuts.
        tags: what makes it hard, such as ``ruled`` or ``touching``.
    """

    image: U8
    ink: U8
    boxes: list[Box]
    digits: list[int]
    rows: list[int]
    cut: list[Box] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The digits, rows parted by newlines."""
        lines: dict[int, str] = {}
        for row, digit in zip(self.rows, self.digits, strict=True):
            lines[row] = lines.get(row, "") + str(digit)
        return "\n".join(lines.values())


class _Page:
    """Paper, a layer of ink above it, and what was written; ink is collected before the light."""

    def __init__(self, rng: Rng, sides: tuple[int, int]) -> None:
        self.rng = rng
        long = int(np.exp(rng.uniform(np.log(sides[0]), np.log(sides[1]))))
        ratio = rng.choice([0.56, 0.7, 0.75, 1.0, 1.4])
        self.h, self.w = (long, int(long * ratio)) if ratio < 1 else (int(long / ratio), long)
        if rng.random() < 0.5:
            self.h, self.w = self.w, self.h
        self.dark_paper = rng.random() < 0.22
        self.tags: list[str] = []
        self.boxes: list[Box] = []
        self.digits: list[int] = []
        self.rows: list[int] = []
        self.cut: list[Box] = []
        self.pixels: npt.NDArray[Any] = self._paper()
        self.ink = np.zeros((self.h, self.w), np.uint8)

    def _paper(self) -> npt.NDArray[Any]:
        rng = self.rng
        if self.dark_paper:
            self.tags.append("light on dark")
            base = rng.choice([[15, 15, 15], [40, 60, 35], [50, 45, 45], [80, 40, 20], [0, 0, 0]])
        else:
            base = rng.choice(
                [[245, 248, 250], [225, 228, 230], [200, 225, 235], [190, 190, 190],
                 [150, 185, 205], [255, 255, 255]]
            )  # fmt: skip
        page: npt.NDArray[Any] = np.empty((self.h, self.w, 3), np.float32)
        page[:] = base
        if base.sum() not in (0, 765):
            fibre = rng.normal(0, 1, (self.h, self.w)).astype(np.float32)
            fine = cv2.GaussianBlur(fibre, (0, 0), rng.uniform(0.6, 2.5))
            page += (fine / max(float(fine.std()), 1e-3) * rng.uniform(0.2, 4))[:, :, None]
            coarse = rng.normal(0, 1, (12, 12)).astype(np.float32)
            page += cv2.resize(coarse, (self.w, self.h), interpolation=cv2.INTER_CUBIC)[
                :, :, None
            ] * rng.uniform(0, 6)
        return page

    def put(
        self, ink: U8, x: int, y: int, colour: npt.ArrayLike, strength: float, digit: bool = False
    ) -> bool:
        """Lay ink (uint8, bright where there is ink) on the paper; False where none of it is."""
        h, w = ink.shape
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, self.w), min(y + h, self.h)
        if x1 <= x0 or y1 <= y0:
            return False
        cover = (ink[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.float32) / 255 * strength)[
            :, :, None
        ]
        part = self.pixels[y0:y1, x0:x1]
        part *= 1 - cover
        part += cover * np.asarray(colour, np.float32)
        if digit:
            seen = self.ink[y0:y1, x0:x1]
            np.maximum(seen, ink[y0 - y : y1 - y, x0 - x : x1 - x], out=seen)
        return True

    def ink_colour(self) -> npt.NDArray[np.float64]:
        rng = self.rng
        if self.dark_paper:
            return np.asarray(rng.choice([[250, 250, 250], [225, 235, 235], [150, 230, 240]]))
        return np.asarray(
            rng.choice(
                [[20, 20, 20], [30, 30, 30], [130, 50, 30], [170, 70, 30], [70, 70, 70],
                 [40, 40, 190], [60, 110, 40]]
            )
        )  # fmt: skip


def thinned(mask: U8) -> U8:
    """The middle lines of strokes, a pixel wide (Zhang and Suen, Comm. ACM 27, 1984).

    Args:
        mask: uint8 ``[H, W]``, 0 or 1.
    """
    at = np.pad(mask, 1).astype(bool)
    while True:
        before = int(at.sum())
        for odd in (False, True):
            ring = [np.roll(at, (-dy, -dx), (0, 1)) for dy, dx in _RING]
            count = sum(part.astype(np.int8) for part in ring)
            steps = sum(
                (~a & b).astype(np.int8) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
            )
            n, e, s, w = ring[0], ring[2], ring[4], ring[6]
            ends = ~(n & e & w) & ~(n & s & w) if odd else ~(n & e & s) & ~(e & s & w)
            at = at & ~((count >= 2) & (count <= 6) & (steps == 1) & ends)
        if int(at.sum()) == before:
            return at[1:-1, 1:-1].astype(np.uint8)


_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def glyph(digit: U8, height: int, pen: int | None, rng: Rng) -> U8:
    """A digit of MNIST as a pen of another width would have written it, of some height.

    Args:
        digit: uint8 ``[28, 28]`` in normal form.
        height: of the ink, pixels.
        pen: width of the strokes, pixels; None for MNIST's own.
        rng: where chance comes from.

    Returns:
        uint8 ``[h, w]``, cut to the ink.
    """
    x, y, w, h = cv2.boundingRect((digit > 60).astype(np.uint8))
    tight = cv2.copyMakeBorder(digit[y : y + h, x : x + w], 2, 2, 2, 2, cv2.BORDER_CONSTANT)
    if pen is None:
        ratio = height / h
        big = cv2.resize(tight, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_CUBIC)
        big = cv2.GaussianBlur(big, (0, 0), max(ratio / 3, 0.3))
        gain = min(2.0 + ratio, 8.0)
        return _tight(np.clip((big.astype(np.float32) - 110) * gain + 127, 0, 255).astype(np.uint8))
    big = cv2.resize(tight, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    line = thinned((cv2.GaussianBlur(big, (0, 0), 1.5) > 100).astype(np.uint8))
    ys, xs = np.nonzero(line)
    ratio = height / (4 * h)
    # The line is drawn again at its size, pixel by pixel, joined to its neighbours.
    out = np.zeros(
        (round(line.shape[0] * ratio) + 4 * pen, round(line.shape[1] * ratio) + 4 * pen), np.uint8
    )
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near = (ys + dy < line.shape[0]) & (xs + dx < line.shape[1]) & (xs + dx >= 0)
        a, b = ys[near], xs[near]
        both = line[a + dy, b + dx] > 0
        starts = np.stack([b[both], a[both]], 1) * ratio + 2 * pen
        ends = np.stack([b[both] + dx, a[both] + dy], 1) * ratio + 2 * pen
        lines = np.rint(np.stack([starts, ends], 1) * 16).astype(np.int32)
        cv2.polylines(out, list(lines), False, 255, pen, cv2.LINE_AA, 4)
    if ratio > 0.6:
        out = cv2.GaussianBlur(out, (0, 0), ratio)
        out = np.clip((out.astype(np.float32) - 100) * 4 + 127, 0, 255).astype(np.uint8)
    return _tight(out)


def _tight(ink: U8) -> U8:
    x, y, w, h = cv2.boundingRect((ink > 40).astype(np.uint8))
    return ink[y : y + h, x : x + w]


def _worn(ink: U8, rng: Rng, amount: float) -> U8:
    """A dry pen: grains and gaps."""
    grain: Any = cv2.GaussianBlur(
        rng.normal(0, 1, ink.shape).astype(np.float32), (0, 0), max(1.0, min(ink.shape) / 40)
    )
    grain /= max(float(grain.std()), 1e-3)
    return np.asarray(ink * (grain > -2.2 + 2 * amount), np.uint8)


def _gapped(ink: U8, rng: Rng) -> U8:
    """A stroke that breaks off and goes on: a cut of a few pixels through it."""
    h, w = ink.shape
    out = ink.copy()
    at = (int(rng.uniform(0.2, 0.8) * w), int(rng.uniform(0.2, 0.8) * h))
    turn = rng.uniform(0, np.pi)
    dx, dy = int(np.cos(turn) * w * 0.25), int(np.sin(turn) * h * 0.25)
    thick = max(1, round(h * rng.uniform(0.02, 0.07)))
    cv2.line(out, (at[0] - dx, at[1] - dy), (at[0] + dx, at[1] + dy), 0, thick)
    return out


class _Writer:
    """A hand with a pen: writes digits and signs on a page."""

    def __init__(self, page: _Page, digits: U8, labels: U8) -> None:
        self.page, self.digits, self.labels = page, digits, labels
        rng = page.rng
        self.colour = page.ink_colour()
        self.drawn = rng.random() < 0.3
        kind = rng.choice(["fine", "pen", "marker", "mnist"], p=[0.35, 0.3, 0.15, 0.2])
        share = {"fine": (0.02, 0.045), "pen": (0.04, 0.08), "marker": (0.08, 0.14)}
        self.share = None if kind == "mnist" else rng.uniform(*share[kind])
        self.strength = rng.uniform(0.14, 0.6) if rng.random() < 0.3 else rng.uniform(0.6, 1)
        if self.strength < 0.45:
            page.tags.append("faint")
        self.wear = rng.uniform(0.2, 0.7) if rng.random() < 0.15 else 0.0
        self.gaps = 0.25 if rng.random() < 0.2 else 0.0
        if self.wear > 0.4 or self.gaps:
            page.tags.append("broken")
        self.slant = rng.normal(0, 0.08)

    def glyph(self, height: int) -> tuple[U8, int]:
        rng = self.page.rng
        pen = None if self.share is None else max(1, round(self.share * height))
        if self.drawn:
            label = int(rng.integers(10))
            ink = _tight(strokes(label, rng, height, pen or max(2, round(height * 0.09))))
        else:
            which = int(rng.integers(len(self.digits)))
            label = int(self.labels[which])
            ink = glyph(self.digits[which], height, pen, rng)
        if self.slant and min(ink.shape) > 3:
            h, w = ink.shape
            matrix = np.array([[1, -self.slant, max(self.slant * h, 0)], [0, 1, 0]], np.float64)
            leant = cv2.warpAffine(ink, matrix, (w + round(abs(self.slant) * h), h))
            ink = _tight(np.asarray(leant, np.uint8))
        if rng.random() < self.gaps:
            ink = _gapped(ink, rng)
        if self.wear:
            ink = _worn(ink, rng, self.wear)
        return ink, label

    def sign(self, height: int, text: str | None = None) -> U8:
        rng = self.page.rng
        text = text or "+-=x*"[rng.integers(5)]
        thick = max(1, round((self.share or 0.1) * height))
        page = np.zeros((2 * height, 2 * height * max(1, len(text))), np.uint8)
        scale = height / 30
        font = int(rng.choice([0, 2, 3, 5]))
        cv2.putText(
            page, text, (height // 3, round(1.5 * height)), font, scale, 255, thick, cv2.LINE_AA
        )
        return _tight(page)


def scene(
    digits: U8,
    labels: U8,
    rng: Rng,
    *,
    empty: bool | None = None,
    sides: tuple[int, int] = (420, 1700),
) -> Scene:
    """Compose one picture.

    Args:
        digits: uint8 ``[N, 28, 28]`` in normal form, of the training set.
        labels: uint8 ``[N]``.
        rng: where chance comes from.
        empty: whether it holds no digit; a sixth of them hold none by default.
        sides: least and greatest length of the longer side, pixels.
    """
    if empty is None:
        empty = rng.random() < 1 / 6
    page = _Page(rng, sides)
    _lines(page)
    heights = _write(page, digits, labels) if not empty else []
    _clutter(page, float(np.median(heights)) if heights else page.h * 0.08, empty)
    image = _photographed(page)
    return Scene(
        image, page.ink, page.boxes, page.digits, page.rows, page.cut, sorted(set(page.tags))
    )


def _lines(page: _Page) -> None:
    """Ruled or squared paper, or a form's frames."""
    rng = page.rng
    if rng.random() > 0.3:
        return
    step = rng.uniform(0.05, 0.16) * min(page.h, page.w)
    squared = rng.random() < 0.4
    page.tags.append("squared" if squared else "ruled")
    colour = rng.choice([[190, 150, 120], [150, 150, 150], [90, 90, 90], [150, 130, 220]])
    if page.dark_paper:
        colour = 255 - colour
    thick = max(1, round(min(page.h, page.w) * rng.uniform(0.0008, 0.003)))
    lean = rng.normal(0, 0.012)
    layer = np.zeros((page.h, page.w), np.uint8)
    for y in np.arange(rng.uniform(0, step), page.h * 1.2, step):
        cv2.line(layer, (0, round(y)), (page.w, round(y + lean * page.w)), 255, thick, cv2.LINE_AA)
    if squared:
        for x in np.arange(rng.uniform(0, step), page.w * 1.2, step):
            cv2.line(
                layer, (round(x), 0), (round(x - lean * page.h), page.h), 255, thick, cv2.LINE_AA
            )
    page.put(layer, 0, 0, colour, rng.uniform(0.4, 1))


def _write(page: _Page, digits: U8, labels: U8) -> list[float]:
    rng = page.rng
    writer = _Writer(page, digits, labels)
    size = float(np.exp(rng.uniform(np.log(0.035), np.log(0.22)))) * min(page.h, page.w)
    size = max(size, 18.0)
    how = rng.choice(["rows", "scattered", "one row", "columns"], p=[0.5, 0.15, 0.25, 0.1])
    if rng.random() < 0.15:
        # A digit or a few held up to the camera.
        page.tags.append("large")
        size, how = rng.uniform(0.25, 0.85) * min(page.h, page.w), "one row"
    heights: list[float] = []
    touching = rng.random() < 0.12
    if touching:
        page.tags.append("touching")
    if how == "scattered":
        page.tags.append("scattered")
        for _ in range(int(rng.integers(1, 10))):
            x, y = rng.uniform(0, page.w - size), rng.uniform(0, page.h - size)
            if all(
                abs(x - bx) > 2 * size or abs(y - by) > 1.6 * size for bx, by, _, _ in page.boxes
            ):
                heights += _row(page, writer, x, y, size, 1, 0.0, False, 0.5)
        return heights
    if how == "columns":
        page.tags.append("columns")
        count = int(rng.integers(3, 7))
        for column in range(2):
            x = page.w * (0.05 if column == 0 else 0.58)
            y = page.h * rng.uniform(0.05, 0.15)
            wide = min(3.0, page.w * 0.3 / size)
            for _ in range(count):
                if y + size > page.h or wide < 1:
                    break
                heights += _row(
                    page, writer, x, y, size, int(rng.integers(1, int(wide) + 1)), 0.0, False, 0.15
                )
                y += size * rng.uniform(1.5, 1.9)
        return heights
    if rng.random() < 0.12:
        _cut_by_the_border(page, writer, size)
    lean = rng.normal(0, 0.05)
    highest = 0.3 if how == "rows" else min(0.6, 0.9 - size / page.h)
    y = page.h * rng.uniform(0.01, max(highest, 0.02))
    spacing = rng.uniform(0.12, 1.2)
    rows = int(rng.integers(2, 7)) if how == "rows" else 1
    for _ in range(rows):
        x = page.w * rng.uniform(0.04, 0.2)
        fit = int((page.w - x) / (size * (0.65 + spacing)))
        if y + size + max(lean, 0) * page.w > page.h * 0.97 or fit < 1:
            break
        if y + lean * page.w < 0:
            lean = 0.0
        most = int(rng.integers(1, min(fit, 12) + 1))
        heights += _row(page, writer, x, y, size, most, lean, touching, spacing)
        y += size * rng.uniform(1.45, 2.4)
    return heights


def _cut_by_the_border(page: _Page, writer: _Writer, size: float) -> None:
    rng = page.rng
    ink, _ = writer.glyph(max(14, round(size)))
    h, w = ink.shape
    x, y = rng.uniform(0, 1, 2) * [max(page.w - w, 0), max(page.h - h, 0)]
    outside = rng.uniform(0.35, 0.7)
    x, y = (
        (-w * outside, y), (page.w - w * (1 - outside), y),
        (x, -h * outside), (x, page.h - h * (1 - outside)),
    )[rng.integers(4)]  # fmt: skip
    x, y = round(x), round(y)
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, page.w), min(y + h, page.h)
    if right - left < 6 or bottom - top < 6:
        return
    page.put(ink, x, y, writer.colour, writer.strength, digit=True)
    page.cut.append((left, top, right - left, bottom - top))
    page.tags.append("cut")


def _row(
    page: _Page, writer: _Writer, x: float, y: float, size: float, count: int,
    lean: float, touching: bool, spacing: float,
) -> list[float]:  # fmt: skip
    rng = page.rng
    row = max(page.rows, default=-1) + 1
    start, heights = x, []
    operators = rng.random() < 0.12 and count > 1 and not touching
    for i in range(count):
        height = max(14, round(size * rng.uniform(0.85, 1.15)))
        ink, label = writer.glyph(height)
        if ink.size == 0:
            continue
        h, w = ink.shape
        if x + w > page.w - 2:
            break
        top = round(y + lean * (x - start) + rng.normal(0, 0.04) * size)
        left = round(x)
        if touching and i and rng.random() < 0.6:
            left -= round(w * 0.08 + spacing * size)
        if top < 2 or top + h > page.h - 2 or left < 2:
            continue
        if any(overlap((left, top, w, h), other) for other in page.cut):
            continue
        page.put(ink, left, top, writer.colour, writer.strength, digit=True)
        page.boxes.append((left, top, w, h))
        page.digits.append(label)
        page.rows.append(row)
        heights.append(float(h))
        x = left + w + size * spacing * rng.uniform(0.8, 1.2)
        if operators and i < count - 1 and rng.random() < 0.6:
            page.tags.append("operators")
            sign = writer.sign(round(height * 0.7))
            if x + sign.shape[1] < page.w:
                page.put(
                    sign, round(x), top + (h - sign.shape[0]) // 2, writer.colour, writer.strength
                )
                x += sign.shape[1] + size * max(spacing, 0.3)
    return heights


_LETTERS = list(string.ascii_letters)
_UNLIKE = sorted(set(string.ascii_letters) - set("BDGIOSZbgijloqsz"))
"""Letters that no digit looks like; in a whole word the others are letters, too."""


def _free(page: _Page, x: int, y: int, w: int, h: int, margin: float) -> bool:
    return all(
        x + w + margin < bx or bx + bw + margin < x or y + h + margin < by or by + bh + margin < y
        for bx, by, bw, bh in (*page.boxes, *page.cut)
    )


def _clutter(page: _Page, size: float, empty: bool) -> None:
    rng = page.rng
    if rng.random() < (0.8 if empty else 0.25):
        page.tags.append("print")
        _print(page, size)
    if rng.random() < (0.6 if empty else 0.15):
        for _ in range(int(rng.integers(1, 4))):
            _scribble(page, size)
    if rng.random() < (0.6 if empty else 0.2):
        _desk(page)
    if rng.random() < (0.5 if empty else 0.12):
        _blob(page)
    if rng.random() < (0.6 if empty else 0.12):
        _things(page)
    if rng.random() < (0.4 if empty else 0.05):
        _surface(page)
    if rng.random() < 0.2:
        for _ in range(int(rng.integers(1, 40))):  # dirt
            at = (int(rng.integers(page.w)), int(rng.integers(page.h)))
            cv2.circle(page.pixels, at, int(rng.integers(1, 3)), page.ink_colour().tolist(), -1)


def _print(page: _Page, size: float) -> None:
    """Printed lines, from footnotes to headlines."""
    rng = page.rng
    tall = max(9, round(size * rng.uniform(0.15, 0.7)))
    if rng.random() < 0.2:
        tall = round(size * rng.uniform(0.7, 1.2))
    font = int(rng.choice([2, 3, 4, 0]))
    thick = max(1, round(tall * rng.uniform(0.06, 0.16)))
    y = int(rng.uniform(0, page.h * 0.8))
    colour = page.ink_colour()
    for _ in range(int(rng.integers(1, 6))):
        words = " ".join(_word(rng) for _ in range(int(rng.integers(1, 8))))
        layer = np.zeros((2 * tall, len(words) * tall + tall), np.uint8)
        at = (4, round(1.5 * tall))
        cv2.putText(layer, words, at, font, tall / 30, 255, thick, cv2.LINE_AA)
        layer = _tight(layer)
        x = int(rng.uniform(0, page.w * 0.5))
        if layer.size and _free(page, x, y, *layer.shape[::-1], margin=0.3 * size):
            page.put(layer, x, y, colour, 0.9)
        y += 2 * tall


def _word(rng: Rng) -> str:
    length = int(rng.integers(1, 10))
    letters = rng.choice(_LETTERS if length > 2 else _UNLIKE, length)
    word = "".join(letters)
    return word if rng.random() < 0.3 else word.capitalize() if rng.random() < 0.5 else word.lower()


def _cursive(rng: Rng, w: int, h: int) -> npt.NDArray[np.float64]:
    """A line that runs on in loops, as words do in a hurried hand."""
    t = np.linspace(0, 2 * np.pi * max(2, w / (0.5 * h)), 240)
    amplitude = np.interp(t, np.linspace(0, t[-1], 12), rng.uniform(0.15, 1, 12)) * 0.32 * h
    phase = rng.uniform(0.6, 2.2)
    xs = np.linspace(0.08 * w, 0.92 * w, len(t)) + amplitude * 0.6 * np.cos(t)
    ys = 0.5 * h + amplitude * np.sin(t + phase)
    return np.stack([xs, ys], 1)


def _scribble(page: _Page, size: float) -> None:
    rng = page.rng
    w, h = (int(min(size * rng.uniform(0.5, 4), 0.8 * side)) for side in (page.w, page.h))
    if rng.random() < 0.4:
        w, h = int(min(size * rng.uniform(3, 9), 0.9 * page.w)), int(size * rng.uniform(0.5, 1.2))
    x, y = int(rng.uniform(0, page.w - w)), int(rng.uniform(0, page.h - h))
    if not _free(page, x, y, w, h, 0.4 * size):
        return
    page.tags.append("scribble")
    layer = np.zeros((h + 8, w + 8), np.uint8)
    if w > 2.5 * h:  # a short one would look like digits
        points, count = _cursive(rng, w, h), 240
    else:
        points = np.stack([rng.uniform(4, w, 40), rng.uniform(4, h, 40)], 1)
        points[:, 0] = np.sort(points[:, 0]) * 0.5 + points[:, 0] * 0.5
        count = int(rng.integers(12, 40))
    cv2.polylines(
        layer,
        [np.rint(points[:count]).astype(np.int32)],
        False,
        255,
        max(1, round(size * 0.05)),
        cv2.LINE_AA,
    )
    page.put(layer, x, y, page.ink_colour(), 0.9)


def _desk(page: _Page) -> None:
    """The paper ends before the picture does."""
    rng = page.rng
    mask = np.full((page.h, page.w), 255, np.uint8)
    room = [rng.uniform(-0.1, 0.12) for _ in range(4)]
    if page.boxes:
        near = np.array(page.boxes)
        limits = (
            near[:, 0].min() / page.w, near[:, 1].min() / page.h,
            1 - (near[:, 0] + near[:, 2]).max() / page.w,
            1 - (near[:, 1] + near[:, 3]).max() / page.h,
        )  # fmt: skip
        room = [min(r, limit - 0.03) for r, limit in zip(room, limits, strict=True)]
    left, top, right, bottom = room
    skew = rng.normal(0, 0.008, 8)
    corners = np.array(
        [[left + skew[0], top + skew[1]], [1 - right + skew[2], top + skew[3]],
         [1 - right + skew[4], 1 - bottom + skew[5]], [left + skew[6], 1 - bottom + skew[7]]]
    ) * [page.w, page.h]  # fmt: skip
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 0)
    if not mask.any():
        return
    page.tags.append("desk")
    desk = np.empty_like(page.pixels)
    desk[:] = rng.uniform(0, 120, 3) if rng.random() < 0.8 else rng.uniform(120, 255, 3)
    grain = rng.normal(0, 1, (page.h, 8)).astype(np.float32)
    desk += cv2.resize(grain, (page.w, page.h))[:, :, None] * rng.uniform(0, 14)
    cover = (cv2.GaussianBlur(mask, (0, 0), 1.2).astype(np.float32) / 255)[:, :, None]
    page.pixels = page.pixels * (1 - cover) + desk * cover


def _blob(page: _Page) -> None:
    """A finger, a coin, a magnet."""
    rng = page.rng
    mask = np.zeros((page.h, page.w), np.uint8)
    side = rng.uniform(0.03, 0.14) * min(page.h, page.w)
    if rng.random() < 0.5:  # a finger comes in from an edge
        x, y = int(rng.uniform(0, page.w)), page.h
        long = rng.uniform(0.1, 0.4) * page.h
        tip = (int(x + rng.normal(0, 0.3) * long), int(y - long))
        box = (min(x, tip[0]) - side, tip[1] - side, abs(x - tip[0]) + 2 * side, long + side)
        cv2.line(mask, (x, y), tip, 255, max(2, int(side)))
        colour = np.array([130, 160, 215]) * rng.uniform(0.3, 1.1)
    else:
        at = (int(rng.uniform(0, page.w)), int(rng.uniform(0, page.h)))
        box = (at[0] - side, at[1] - side, 2 * side, 2 * side)
        cv2.circle(mask, at, int(side / 2), 255, -1)
        colour = rng.uniform(0, 255, 3)
    left, top, wide, tall = (int(v) for v in box)
    if not _free(page, left, top, wide, tall, margin=8):
        return
    page.tags.append("object")
    shade = cv2.GaussianBlur(mask, (0, 0), side / 5 + 1).astype(np.float32)[:, :, None] / 255
    page.pixels *= 1 - 0.35 * shade
    cover = cv2.GaussianBlur(mask, (0, 0), 1.2).astype(np.float32)[:, :, None] / 255
    page.pixels = page.pixels * (1 - cover) + colour.astype(np.float32) * cover


def _things(page: _Page) -> None:
    """What lies about: a ruler's ticks, cables, boxes, discs, stripes."""
    rng = page.rng
    page.tags.append("things")
    for _ in range(int(rng.integers(1, 5))):
        w = int(rng.uniform(0.05, 0.6) * page.w)
        h = int(rng.uniform(0.03, 0.5) * page.h)
        x, y = int(rng.uniform(-0.1, 0.9) * page.w), int(rng.uniform(-0.1, 0.9) * page.h)
        if not _free(page, x, y, w, h, 0.02 * page.w):
            continue
        layer = np.zeros((h, w), np.uint8)
        thick = max(1, round(min(page.w, page.h) * rng.uniform(0.001, 0.02)))
        kind = rng.integers(5)
        if kind == 0:
            step = max(3, round(rng.uniform(0.005, 0.03) * page.w))
            for i, at in enumerate(range(0, w, step)):
                long = h if i % 10 == 0 else h * 2 // 3 if i % 5 == 0 else h // 2
                cv2.line(layer, (at, 0), (at, long), 255, max(1, thick // 3))
        elif kind == 1:
            places = np.linspace(0, 5, 60)
            xs, ys = (np.interp(places, range(6), rng.uniform(0, side, 6)) for side in (w, h))
            path = cv2.blur(np.stack([xs, ys], 1), (1, 13))
            cv2.polylines(layer, [np.rint(path).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
        elif kind == 2:
            cv2.rectangle(layer, (2, 2), (w - 3, h - 3), 255, -1 if rng.random() < 0.5 else thick)
        elif kind == 3:
            radii = (max(1, w // 2 - thick - 1), max(1, h // 2 - thick - 1))
            # A ring that is about as wide as high would be a 0.
            filled = rng.random() < 0.6 or 0.3 < radii[0] / radii[1] < 1.6
            cv2.ellipse(layer, (w // 2, h // 2), radii, 0, 0, 360, 255, -1 if filled else thick)
        else:
            step = max(4, round(rng.uniform(0.02, 0.1) * page.w))
            for at in range(0, w, step):
                cv2.rectangle(layer, (at, 0), (at + step // 2, h), 255, -1)
        page.put(layer, x, y, rng.uniform(0, 255, 3), rng.uniform(0.5, 1))


def _surface(page: _Page) -> None:
    """Cloth, gravel, leaves, lights in the dark: what is no paper at all."""
    rng = page.rng
    w, h = (int(rng.uniform(0.2, 1.0) * side) for side in (page.w, page.h))
    x, y = (int(rng.uniform(0, max(room, 1))) for room in (page.w - w, page.h - h))
    if not _free(page, x, y, w, h, 6):
        return
    page.tags.append("surface")
    part = page.pixels[y : y + h, x : x + w]
    if rng.random() < 0.3:  # bright or dark spots
        for _ in range(int(rng.integers(5, 120))):
            at = (int(rng.integers(w)), int(rng.integers(h)))
            radius = max(1, int(rng.exponential(0.008) * min(page.w, page.h)))
            spot = np.zeros((2 * radius + 9,) * 2, np.uint8)
            middle = (radius + 4, radius + 4)
            axes = (radius, max(1, int(radius * rng.uniform(0.3, 1))))
            cv2.ellipse(spot, middle, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
            soft = np.asarray(
                cv2.GaussianBlur(spot, (0, 0), rng.uniform(0.5, 1 + radius / 3)), np.uint8
            )
            page.put(soft, x + at[0], y + at[1], rng.uniform(0, 255, 3), rng.uniform(0.3, 1))
        return
    size = rng.uniform(0.004, 0.04) * min(page.w, page.h)
    stretch = rng.uniform(1, 5) if rng.random() < 0.5 else 1.0
    grain: Any = rng.normal(0, 1, (h, w)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), sigmaX=size, sigmaY=size * stretch)
    grain = grain / max(float(grain.std()), 1e-3)
    if rng.random() < 0.5:  # with edges, as pebbles have
        grain = np.tanh(grain * rng.uniform(1, 6))
    part += grain[:, :, None] * rng.uniform(15, 80) * rng.uniform(0.6, 1.2, 3)


def _photographed(page: _Page) -> U8:
    """Light, lens and file."""
    rng = page.rng
    image = page.pixels
    h, w = image.shape[:2]
    if rng.random() < (0.35 if page.dark_paper else 0.12):  # a thresholded scan
        page.tags.append("thresholded")
        plain = cv2.GaussianBlur(image.mean(2), (0, 0), rng.uniform(0.3, 1))
        paper = float(np.median(plain))
        contrast = np.abs(plain - paper)
        if rng.random() < 0.4:  # of a faint picture: strokes break where they are thin
            page.tags.append("broken")
            few = (max(2, h // int(rng.integers(8, 40))), max(2, w // int(rng.integers(8, 40))))
            patch = cv2.resize(rng.uniform(0.35, 1, few).astype(np.float32), (w, h))
            contrast = contrast * patch + rng.normal(0, 6, (h, w))
        written = contrast[page.ink > 128] if page.ink.any() else contrast
        ink = contrast > min(rng.uniform(25, 70), max(0.6 * float(np.median(written)), 4.0))
        level = np.where(ink, 255 - 255 * (paper > 127), 255 * (paper > 127)).astype(np.uint8)
        return np.asarray(cv2.cvtColor(level, cv2.COLOR_GRAY2BGR), np.uint8)
    ys, xs = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    dim = rng.random() < 0.2
    light = np.full((h, w), rng.uniform(0.25, 0.6) if dim else rng.uniform(0.6, 1.05), np.float32)
    if rng.random() < 0.6:
        turn = rng.uniform(0, 2 * np.pi)
        light *= 1 + rng.uniform(0, 0.3) * (np.cos(turn) * xs + np.sin(turn) * ys)
    if rng.random() < 0.35:
        page.tags.append("vignette")
        light *= 1 - rng.uniform(0.1, 0.6) * np.clip((xs**2 + ys**2) / 2, 0, 1)
    if rng.random() < 0.35:
        page.tags.append("shadow")
        mask = np.zeros((h, w), np.uint8)
        points = np.stack([rng.uniform(-0.3, 1.3, 5) * w, rng.uniform(-0.3, 1.3, 5) * h], 1)
        cv2.fillPoly(mask, [cv2.convexHull(np.rint(points).astype(np.int32))], 255)
        soft = cv2.GaussianBlur(mask, (0, 0), max(2.0, rng.uniform(0.004, 0.08) * max(h, w)))
        light *= 1 - rng.uniform(0.15, 0.6) * soft.astype(np.float32) / 255
    image = image * light[:, :, None]
    if rng.random() < 0.12:
        page.tags.append("glare")
        at = rng.uniform(-0.8, 0.8, 2)
        spot = np.exp(-(((xs - at[0]) ** 2 + (ys - at[1]) ** 2) / rng.uniform(0.03, 0.3)))
        image = image + (spot * rng.uniform(30, 120))[:, :, None]
    image *= rng.uniform(0.9, 1.1, 3).astype(np.float32)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0) * max(1.0, max(h, w) / 900))
    if rng.random() < 0.15:
        page.tags.append("motion")
        side = int(rng.integers(2, 3 + max(h, w) // 300))
        kernel = (
            np.eye(side, dtype=np.float32) if rng.random() < 0.5 else np.ones((1, side), np.float32)
        )
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    image = image + rng.normal(0, rng.uniform(0, 5), image.shape).astype(np.float32)
    done = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.integers(35, 96))
        _, data = cv2.imencode(".jpg", done, [cv2.IMWRITE_JPEG_QUALITY, quality])
        done = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return done
