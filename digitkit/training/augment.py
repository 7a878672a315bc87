"""Augmentation of whole batches: one warp and a few pixel operations, no per-image Python.

What varies is what varies between hands, pens and scanners: slant, turn, aspect and size, a
smooth distortion of the paper plane (elastic: Simard, Steinkraus and Platt, ICDAR 2003), stroke
width, sharpness and contrast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How far training images are varied; 0 switches a kind off.

    Attributes:
        rotate: largest turn either way, degrees.
        shear: largest horizontal shear either way, as a fraction of the height (slant).
        scale: largest change of size, as a fraction (0.1: 90% to 111%).
        stretch: largest change of aspect, as a fraction.
        translate: largest shift either way, pixels.
        elastic: standard deviation of the smooth displacement, pixels.
        stroke: probability that strokes are made thicker or thinner, by up to a pixel.
        blur: probability that the image is softened.
        contrast: largest change of the grey curve: pixels to the power 1/(1+c) … 1+c.
    """

    rotate: float = 0.0
    shear: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    translate: float = 0.0
    elastic: float = 0.0
    stroke: float = 0.0
    blur: float = 0.0
    contrast: float = 0.0


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Vary a batch of digits.

    Args:
        images: float32 ``[N, 1, 28, 28]`` in 0–1, ink bright.
        how: how far.
        generator: where chance comes from; the same state gives the same batch.

    Returns:
        float32 ``[N, 1, 28, 28]`` in 0–1; `images` itself where everything is switched off.
    """
    if how == Augmentation():
        return images
    images = _warp(images, how, generator)
    if how.stroke:
        images = _change_stroke(images, how.stroke, generator)
    if how.blur:
        images = _blur(images, how.blur, generator)
    if how.contrast:
        power = _uniform(len(images), math.log1p(how.contrast), generator).exp().view(-1, 1, 1, 1)
        images = images.clamp(0, 1).pow(power)
    return images


def _uniform(count: int, limit: float, generator: torch.Generator) -> Tensor:
    """float32 ``[count]`` in -limit … limit."""
    return (torch.rand(count, generator=generator) * 2 - 1) * limit


def _warp(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Affine and elastic displacement in one bilinear sampling, so the image is softened once."""
    count, _, height, width = images.shape
    angle = _uniform(count, math.radians(how.rotate), generator)
    shear = _uniform(count, how.shear, generator)
    size = _uniform(count, math.log1p(how.scale), generator).exp()
    aspect = _uniform(count, math.log1p(how.stretch) / 2, generator).exp()
    cos, sin = torch.cos(angle), torch.sin(angle)
    # grid_sample asks where each output pixel comes from, so these are inverse transforms.
    theta = torch.stack(
        [
            cos * size * aspect,
            (shear * cos - sin) * size / aspect,
            _uniform(count, 2 * how.translate / width, generator),
            sin * size * aspect,
            (shear * sin + cos) * size / aspect,
            _uniform(count, 2 * how.translate / height, generator),
        ],
        dim=1,
    ).view(count, 2, 3)
    grid = F.affine_grid(theta, [count, 1, height, width], align_corners=False)
    if how.elastic:
        coarse = torch.randn(count, 2, 6, 6, generator=generator) * (2 * how.elastic / width)
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
