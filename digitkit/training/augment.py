"""Augmentation of whole batches: one warp and a few pixel operations, no per-image Python.

It varies what differs between hands, pens and scanners: slant, rotation, aspect and size, a smooth
distortion of the paper (elastic: Simard, Steinkraus and Platt, ICDAR 2003), stroke width,
sharpness and contrast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from msgspec import Meta
from torch import Tensor

from digitkit.training.ranges import Fraction, check_ranges

Change = Annotated[float, Meta(ge=0, le=10)]
"""A change in proportion: 0.1 is a tenth."""

Pixels = Annotated[float, Meta(ge=0, le=28)]
"""At most the side of an image."""


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images are augmented; 0 switches a kind off.

    Attributes:
        rotate: largest rotation in either direction, degrees.
        shear: largest horizontal shear in either direction (slant), as a fraction of the height.
        scale: largest change of size, as a fraction (0.1: 90% to 111%).
        stretch: largest change of aspect, as a fraction.
        translate: largest shift in either direction, pixels.
        elastic: standard deviation of the smooth displacement, pixels.
        stroke: probability that strokes are made thicker or thinner, by up to a pixel.
        blur: probability that the image is softened.
        contrast: largest change of gamma: pixels are raised to a power of 1/(1+c) … 1+c.
        texture: probability that the image is mixed with itself under a random filter of 1, 3 or
            5 pixels: shapes stay, textures, levels and polarity vary (RandConv: Xu, Liu, Yang,
            Raffel and Niethammer, ICLR 2021).
        light: probability that the paper is not black: a random level with a smooth gradient
            reduces the contrast of the ink.
        noise: probability of pixel noise, Gaussian or heavy-tailed, with a strength of up to a
            fifth of the range.
        erase: probability that a random rectangle is filled with a random level (Zhong et al.,
            AAAI 2020).

    Raises:
        RecipeError: a value is out of its range.
    """

    rotate: Annotated[float, Meta(ge=0, le=360)] = 0.0
    shear: Change = 0.0
    scale: Change = 0.0
    stretch: Change = 0.0
    translate: Pixels = 0.0
    elastic: Pixels = 0.0
    stroke: Fraction = 0.0
    blur: Fraction = 0.0
    contrast: Change = 0.0
    texture: Fraction = 0.0
    light: Fraction = 0.0
    noise: Fraction = 0.0
    erase: Fraction = 0.0

    def __post_init__(self) -> None:
        """Check the values; raises `RecipeError`."""
        check_ranges(self, "augmentation.")


def augment(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Augment a batch of digits.

    Args:
        images: float32 ``[N, 1, 28, 28]`` in 0–1, ink bright.
        settings: how strongly.
        generator: source of randomness; the same state gives the same batch.

    Returns:
        float32 ``[N, 1, 28, 28]`` in 0–1; `images` itself if everything is switched off.
    """
    if settings == Augmentation():
        return images
    images = _warp(images, settings, generator)
    if settings.stroke:
        images = _change_stroke(images, settings.stroke, generator)
    if settings.blur:
        images = _blur(images, settings.blur, generator)
    if settings.contrast:
        power = (
            _uniform(len(images), math.log1p(settings.contrast), generator).exp().view(-1, 1, 1, 1)
        )
        images = images.clamp(0, 1).pow(power)
    if settings.texture:
        images = _filter(images, settings.texture, generator)
    if settings.light:
        images = _light(images, settings.light, generator)
    if settings.erase:
        images = _erase(images, settings.erase, generator)
    if settings.noise:
        images = _noise(images, settings.noise, generator)
    return images


def _choose(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """Choose images at random: float32 ``[count, 1, 1, 1]``, 1 with this probability, else 0."""
    return (torch.rand(count, 1, 1, 1, generator=generator) < probability).float()


def _uniform(count: int, limit: float, generator: torch.Generator) -> Tensor:
    """Draw float32 ``[count]`` from -limit … limit."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _warp(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Affine and elastic displacement in one bilinear sampling, so the image is blurred once."""
    count, _, height, width = images.shape
    angle = _uniform(count, math.radians(settings.rotate), generator)
    shear = _uniform(count, settings.shear, generator)
    size = _uniform(count, math.log1p(settings.scale), generator).exp()
    aspect = _uniform(count, math.log1p(settings.stretch) / 2, generator).exp()
    cos, sin = torch.cos(angle), torch.sin(angle)
    # grid_sample asks where each output pixel comes from, so these are inverse transforms.
    theta = torch.stack(
        [
            cos * size * aspect,
            (shear * cos - sin) * size / aspect,
            _uniform(count, 2 * settings.translate / width, generator),
            sin * size * aspect,
            (shear * sin + cos) * size / aspect,
            _uniform(count, 2 * settings.translate / height, generator),
        ],
        dim=1,
    ).view(count, 2, 3)
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    if settings.elastic:
        coarse = torch.randn(count, 2, 6, 6, generator=generator) * (2 * settings.elastic / width)
        smooth = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
        grid = grid + smooth.permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, align_corners=False)


def _change_stroke(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mix each image with its grey dilation or erosion (3×3 cross), by a random amount."""
    count = len(images)
    amount = torch.rand(count, generator=generator) * (
        torch.rand(count, generator=generator) < probability
    )
    thicker = torch.rand(count, generator=generator) < 0.5
    # A cross is the maximum of a row and a column of three.
    signed = torch.where(thicker.view(-1, 1, 1, 1), images, -images)
    row = F.max_pool2d(signed, (1, 3), 1, (0, 1))
    column = F.max_pool2d(signed, (3, 1), 1, (1, 0))
    changed = torch.maximum(row, column)
    changed = torch.where(thicker.view(-1, 1, 1, 1), changed, -changed)
    return torch.lerp(images, changed, amount.view(-1, 1, 1, 1))


def _blur(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mix each image with its 3×3 binomial blur, by a random amount."""
    count = len(images)
    amount = torch.rand(count, generator=generator) * (
        torch.rand(count, generator=generator) < probability
    )
    line = torch.tensor([0.25, 0.5, 0.25])
    soft = F.conv2d(images, torch.outer(line, line).view(1, 1, 3, 3), padding=1)
    return torch.lerp(images, soft, amount.view(-1, 1, 1, 1))


def _filter(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Mix each image with the output of a random filter of its own, stretched to 0–1."""
    count = len(images)
    size = (1, 3, 5)[int(torch.randint(3, (1,), generator=generator))]
    kernels = torch.randn(count, 1, size, size, generator=generator)
    # One group per image: each gets a filter of its own in a single convolution.
    filtered = F.conv2d(images.transpose(0, 1), kernels, padding=size // 2, groups=count).transpose(
        0, 1
    )
    low, high = filtered.amin((1, 2, 3), keepdim=True), filtered.amax((1, 2, 3), keepdim=True)
    filtered = (filtered - low) / (high - low).clamp_min(1e-3)
    amount = torch.rand(count, 1, 1, 1, generator=generator)
    return torch.lerp(images, filtered, amount * _choose(count, probability, generator))


def _light(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Brighten the paper with a smooth gradient; the ink keeps at least 30% of its contrast."""
    count = len(images)
    level = torch.rand(count, 1, 1, 1, generator=generator) * 0.7
    coarse = torch.rand(count, 1, 4, 4, generator=generator)
    field = F.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
    slope = torch.rand(count, 1, 1, 1, generator=generator)
    paper = level * torch.lerp(torch.ones_like(field), field, slope).clamp(0, 1)
    ink = torch.rand(count, 1, 1, 1, generator=generator) * 0.7 + 0.3
    lit = (paper + ink * images).clamp(0, 1)
    return torch.lerp(images, lit, _choose(count, probability, generator))


def _noise(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Add noise of random strength; for half of the images a ratio of normals (heavy tails)."""
    count = len(images)
    noise = torch.randn(images.shape, generator=generator)
    divisor = torch.randn(images.shape, generator=generator).abs().clamp_min(0.02)
    heavy = _choose(count, 0.5, generator)
    noise = torch.lerp(noise, 0.3 * noise / divisor, heavy)
    strength = 0.2 * torch.rand(count, 1, 1, 1, generator=generator)
    return (images + noise * strength * _choose(count, probability, generator)).clamp(0, 1)


def _erase(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Fill a rectangle of up to a third of either side with any level, anywhere."""
    count, _, height, width = images.shape
    y = torch.arange(height).view(1, 1, -1, 1)
    x = torch.arange(width).view(1, 1, 1, -1)

    def random(limit: int) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator) * limit

    top, left = random(height), random(width)
    inside = (y >= top) & (y < top + random(height // 3)) & (x >= left)
    inside &= x < left + random(width // 3)
    mask = inside.float() * _choose(count, probability, generator)
    return torch.lerp(images, random(1).expand_as(images), mask)
