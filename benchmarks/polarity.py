"""How well the polarity of a single digit's picture is told, and the weights that tell it.

MNIST's training digits are cropped to their ink, padded unevenly (often not at all), resized to 8
to 96 pixels, thickened, lit unevenly, and inverted half of the time. Half of the digits fit the
weights, the other half measure them.

    python benchmarks/polarity.py
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit import pixels
from digitkit._opencv import cv2
from digitkit.datasets import load_mnist


def picture(digit: pixels.U8, rng: np.random.Generator) -> tuple[pixels.U8, bool]:
    """A picture of one digit, uint8 ``[H, W]``, and whether its ink is dark."""
    x, y, width, height = cv2.boundingRect((digit > 64).astype(np.uint8))
    ink = digit[y : y + height, x : x + width]
    if rng.random() < 0.3:
        ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    pads = rng.integers(0, rng.choice([1, 2, 4, 8]), 4) if rng.random() < 0.8 else np.zeros(4, int)
    ink = cv2.copyMakeBorder(ink, *map(int, pads), cv2.BORDER_CONSTANT, value=0)
    ratio = float(rng.integers(8, 97)) / max(ink.shape)
    size = (max(4, round(ink.shape[1] * ratio)), max(4, round(ink.shape[0] * ratio)))
    share = cv2.resize(ink, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    dark, light = rng.uniform(0, 90), rng.uniform(150, 255)
    level = dark + (light - dark) * share
    slope = np.linspace(-1, 1, level.shape[1]) * rng.uniform(-25, 25)
    level = level + slope + rng.normal(0, rng.uniform(0, 6), level.shape)
    inverted = bool(rng.random() < 0.5)
    plain = np.clip(255 - level if inverted else level, 0, 255).astype(np.uint8)
    return plain, inverted


def fit(votes: npt.NDArray[np.float64], dark: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Logistic regression through the origin (inverting a picture inverts its votes)."""
    weights = np.zeros(votes.shape[1])
    for _ in range(4000):
        chance = 1 / (1 + np.exp(-votes @ weights))
        weights -= 2.0 * (votes.T @ (chance - dark) / len(dark) + 1e-4 * weights)
    return weights


def main() -> None:
    """Fit, measure, print."""
    rng = np.random.default_rng(0)
    pairs = [picture(digit, rng) for digit in load_mnist("train").images[:20_000]]
    votes = np.array([pixels.polarity_votes(plain) for plain, _ in pairs])
    dark = np.array([inverted for _, inverted in pairs])
    weights = fit(votes[::2], dark[::2])
    print("weights fitted now:", np.round(weights, 2).tolist())
    for name, these in (("fitted", weights), ("shipped", np.array(pixels.POLARITY))):
        right = ((votes[1::2] @ these > 0) == dark[1::2]).mean()
        print(f"{name} weights: {right:.2%} of {len(dark) // 2} pictures told right")
    for i, name in enumerate(("corners", "sides", "whole", "touched")):
        print(f"{name} alone: {((votes[1::2, i] > 0) == dark[1::2]).mean():.2%}")


if __name__ == "__main__":
    main()
