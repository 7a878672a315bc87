"""Photographing a composed page: light, lens and file format."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.images.cv import cv2
from digitkit.training.scenes.page import Page
from digitkit.training.scenes.writing import is_free

Pixels = npt.NDArray[Any]
"""float32 ``[H, W, 3]`` BGR, 0–255 (OpenCV's types leave the kind open)."""


def add_surface(page: Page) -> None:
    """Cover a part of the page with cloth, gravel, leaves or lights, where no digit is."""
    rng = page.rng
    w, h = (int(rng.uniform(0.2, 1.0) * side) for side in (page.w, page.h))
    x, y = (int(rng.uniform(0, max(room, 1))) for room in (page.w - w, page.h - h))
    if not is_free(page, x, y, w, h, 6):
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


def photograph(page: Page, *, poorly: bool = False) -> U8:
    """Take a photograph of a page, or a thresholded scan: uint8 ``[H, W, 3]`` BGR.

    Args:
        page: the page.
        poorly: whether with a poor camera; else chance decides.
    """
    if not poorly and page.rng.random() < (0.35 if page.dark_paper else 0.12):
        return _threshold(page)
    image = _blur(page, _light(page))
    if poorly or page.rng.random() < 0.15:
        image = _degrade(page, image)
    return _compress(page, image)


def _threshold(page: Page) -> U8:
    """A black-and-white scan; of a faint page, strokes break where they are thin."""
    rng, image = page.rng, page.pixels
    h, w = image.shape[:2]
    page.tags.append("thresholded")
    plain = cv2.GaussianBlur(image.mean(2), (0, 0), rng.uniform(0.3, 1))
    paper = float(np.median(plain))
    contrast = np.abs(plain - paper)
    if rng.random() < 0.4:
        page.tags.append("broken")
        coarse = (max(2, h // int(rng.integers(8, 40))), max(2, w // int(rng.integers(8, 40))))
        patches = cv2.resize(rng.uniform(0.35, 1, coarse).astype(np.float32), (w, h))
        contrast = contrast * patches + rng.normal(0, 6, (h, w))
    written = contrast[page.ink > 128] if page.ink.any() else contrast
    least = float(rng.uniform(25, 70))
    if written.size:  # else no pixel is mostly ink
        least = min(least, max(0.6 * float(np.median(written)), 4.0))
    ink = contrast > least
    level = np.where(ink, 255 - 255 * (paper > 127), 255 * (paper > 127)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(level, cv2.COLOR_GRAY2BGR), np.uint8)


def _light(page: Page) -> Pixels:
    """Gradients of light, vignette, shadow, glare and white balance."""
    rng, image = page.rng, page.pixels
    h, w = image.shape[:2]
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
    return image


def _blur(page: Page, image: Pixels) -> Pixels:
    """Defocus and motion."""
    rng = page.rng
    longest = max(image.shape[:2])
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0) * max(1.0, longest / 900))
    if rng.random() < 0.15:
        page.tags.append("motion")
        side = int(rng.integers(2, 3 + longest // 300))
        kernel = (
            np.eye(side, dtype=np.float32) if rng.random() < 0.5 else np.ones((1, side), np.float32)
        )
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    return image


def _degrade(page: Page, image: Pixels) -> Pixels:
    """A poor camera: little contrast, few grey levels, halos of sharpening."""
    rng = page.rng
    page.tags.append("poor camera")
    middle = rng.uniform(70, 170)
    image = middle + (image - image.mean()) * rng.uniform(0.25, 0.8)
    if rng.random() < 0.6:
        soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 2.5))
        image = image + (image - soft) * rng.uniform(0.5, 3)
    image = image + rng.normal(0, rng.uniform(1, 9), image.shape).astype(np.float32)
    if rng.random() < 0.4:
        step = rng.uniform(6, 24)
        image = np.round(image / step) * step
    return image


def _compress(page: Page, image: Pixels) -> U8:
    """Sensor noise, and mostly JPEG."""
    rng = page.rng
    image = image + rng.normal(0, rng.uniform(0, 5), image.shape).astype(np.float32)
    photo = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = int(rng.integers(35, 96))
        _, data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])
        photo = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return photo
