"""How a page becomes a scan or a photo: for ``form_sets.py``.

A photo is taken by a pinhole camera above a sheet that is bent like a part of a cylinder.
"""

from __future__ import annotations

import numpy as np

from digitkit.arrays import F32, F64, U8
from digitkit.images.cv import cv2

Rng = np.random.Generator

PHOTO_SIZE = 2250, 3000
"""Width and height of a photo, pixels."""

COARSE = 16
"""Where a pixel of the photo comes from is computed for one of so many, across and down."""


def take_scan(page: U8, rng: Rng, ratio: float) -> tuple[U8, F64]:
    """Scan a page.

    Args:
        page: uint8 ``[H, W, 3]``.
        rng: source of randomness.
        ratio: of the scan's resolution to the page's.

    Returns:
        uint8 ``[h, w]`` or ``[h, w, 3]``; and where the page's corners are in it, ``[4, 2]``.
    """
    height, width = page.shape[:2]
    size = (round(width * ratio), round(height * ratio))
    small = cv2.resize(page, size, interpolation=cv2.INTER_AREA)
    turn = rng.normal(0, 0.9)
    shift = rng.normal(0, 0.006, 2) * size
    to_scan = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), turn, rng.uniform(0.985, 1.01))
    to_scan[:, 2] += shift
    lid = float(rng.choice([255, 250, 235, 60]))
    scan = cv2.warpAffine(small, to_scan, size, flags=cv2.INTER_LINEAR, borderValue=(lid, lid, lid))
    corners = np.array([(0, 0), (size[0], 0), size, (0, size[1])], np.float64)
    corners = corners @ to_scan[:, :2].T + to_scan[:, 2]
    scan, corners = _turn(np.asarray(scan, np.uint8), corners, rng)
    light = 1 - rng.uniform(0, 0.12) * np.linspace(0, 1, scan.shape[1])[None, :, None]
    level = rng.uniform(0.9, 1.0)
    image = scan * (light * level) + rng.normal(0, rng.uniform(0.5, 4), scan.shape)
    image = np.clip(image, 0, 255).astype(np.uint8)
    if rng.random() < 0.12 and ratio >= 0.5:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        limit = rng.uniform(150, 200)
        return np.where(grey > limit * level, 255, 0).astype(np.uint8), corners
    if rng.random() < 0.5:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return _jpeg(image, rng, 60), corners


def _turn(image: U8, corners: F64, rng: Rng) -> tuple[U8, F64]:
    """Turn one picture of five by a quarter, half or three quarters."""
    turns = int(rng.choice([0, 1, 2, 3], p=[0.8, 0.05, 0.1, 0.05]))
    for _ in range(turns):
        corners = np.stack([corners[:, 1], image.shape[1] - corners[:, 0]], 1)
        image = np.rot90(image)
    return np.ascontiguousarray(image), corners


def take_photo(page: U8, rng: Rng, size: tuple[int, int] = PHOTO_SIZE) -> tuple[U8, F64]:
    """Photograph a page.

    Args:
        page: uint8 ``[H, W, 3]``.
        rng: source of randomness.
        size: width and height of the photo, pixels.

    Returns:
        uint8 ``[h, w, 3]``; and where the page's corners are in it, ``[4, 2]``.
    """
    sheet = _Sheet(page.shape[1] / page.shape[0], rng)
    width, height = size
    xs, ys = np.meshgrid(
        *((np.arange(side // COARSE) + 0.5) * side / (side // COARSE) for side in (width, height))
    )
    across, down = sheet.to_page(xs, ys, size)
    map_x, map_y = (
        cv2.resize((each * side - 0.5).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        for each, side in ((across, page.shape[1]), (down, page.shape[0]))
    )
    paper = rng.uniform(0.78, 1.0) * np.array(rng.uniform(0.92, 1.0, 3))
    # Between INTER_AREA and a plain sample: the page is sharper than the photo.
    blurred = cv2.GaussianBlur(page, (0, 0), 0.9)
    seen = cv2.remap(blurred, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    inside = cv2.remap(
        np.full(page.shape[:2], 255, np.uint8), map_x, map_y, cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )  # fmt: skip
    alpha = (inside / np.float32(255))[:, :, None]
    image = seen * paper.astype(np.float32) * alpha + _desk(size, rng) * (1 - alpha)
    image = image * _light(size, rng)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3))
    image = image + rng.normal(0, rng.uniform(1, 5), image.shape).astype(np.float32)
    photo = np.clip(image, 0, 255).astype(np.uint8)
    turned, corners = _turn(photo, sheet.corners(size), rng)
    return _jpeg(turned, rng, 70), corners


class _Sheet:
    """A bent sheet of height 1 below a camera."""

    def __init__(self, aspect: float, rng: Rng) -> None:
        self._aspect = aspect
        self._bend = rng.normal(0, 0.012) if rng.random() < 0.7 else rng.uniform(-0.05, 0.05)
        self._waves = rng.uniform(0.5, 1.0) * np.pi
        self._phase = rng.uniform(-0.5, 0.5)
        self._along = rng.random() < 0.5  # bent along its height, or along its width
        tilt, roll = np.deg2rad(rng.uniform(0, 24)), np.deg2rad(rng.normal(0, 7))
        around = rng.uniform(0, 2 * np.pi)
        axis = np.array([np.cos(around), np.sin(around), 0]) * tilt
        turn = cv2.Rodrigues(axis)[0] @ cv2.Rodrigues(np.array([0, 0, roll]))[0]
        self._turn = np.asarray(turn, np.float64)
        self._focal = rng.uniform(1.0, 1.3)  # in heights of the photo
        room = 1 + 0.6 * abs(np.sin(roll))
        self._distance = self._focal * room * rng.uniform(1.02, 1.25) * (1 + 0.35 * tilt)
        self._shift = rng.normal(0, 0.012, 2)

    def _height(self, u: F64) -> F64:
        return np.asarray(self._bend * np.sin(self._waves * u + self._phase))

    def to_page(self, xs: F64, ys: F64, size: tuple[int, int]) -> tuple[F64, F64]:
        """Where a pixel of the photo is on the page, 0–1 of its width and height."""
        width, height = size
        x, y = (xs - width / 2) / height - self._shift[0], (ys / height - 0.5) - self._shift[1]
        rays = np.stack([x, y, np.full_like(xs, self._focal)], -1)
        rays = rays @ self._turn  # into the sheet's coordinates
        camera = -self._distance * (np.array([0, 0, 1.0]) @ self._turn)
        rise = np.zeros_like(xs)
        for _ in range(8):
            length = (rise - camera[2]) / rays[..., 2]
            x, y = (camera[i] + rays[..., i] * length for i in (0, 1))
            rise = self._height(y if self._along else x)
        # On the sheet a bend takes length: to second order.
        if self._along:
            y = y + self._arc(y)
        else:
            x = x + self._arc(x)
        return x / self._aspect + 0.5, y + 0.5

    def _arc(self, u: F64) -> F64:
        """How much longer the sheet is than its projection, from its middle on."""
        w, p, amount = self._waves, self._phase, self._bend
        return np.asarray(
            0.5 * (amount * w) ** 2 * (u / 2 + (np.sin(2 * (w * u + p)) - np.sin(2 * p)) / (4 * w))
        )

    def corners(self, size: tuple[int, int]) -> F64:
        """Where the page's corners are in the photo, ``[4, 2]`` pixels; by searching."""
        points = np.array([(0.0, 0.0), (1, 0), (1, 1), (0, 1)])
        at = np.tile(np.array(size, np.float64) / 2, (4, 1))
        for _ in range(60):
            here = np.stack(self.to_page(at[:, 0], at[:, 1], size), 1)
            jacobian = np.stack(
                [
                    np.stack(self.to_page(at[:, 0] + dx, at[:, 1] + dy, size), 1) - here
                    for dx, dy in ((1.0, 0.0), (0.0, 1.0))
                ],
                2,
            )
            step = np.linalg.solve(jacobian, (points - here)[:, :, None])[:, :, 0]
            at = at + np.clip(step, -400, 400)
        return at


def _desk(size: tuple[int, int], rng: Rng) -> F32:
    grain = rng.normal(0, 1, (size[1] // 8, max(4, size[0] // 60))).astype(np.float32)
    wood = cv2.resize(grain, size, interpolation=cv2.INTER_CUBIC)[:, :, None]
    return np.asarray(rng.uniform(20, 150, 3) + 12 * wood, np.float32)


def _light(size: tuple[int, int], rng: Rng) -> F32:
    """Uneven light, a shadow with a soft edge, and the colour of the lamp; ``[H, W, 3]``."""
    width, height = size
    ys, xs = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    around = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.6, 1.0) * (
        1 + rng.uniform(0, 0.35) * (np.cos(around) * xs + np.sin(around) * ys)
    )
    if rng.random() < 0.4:
        points = np.stack(
            [rng.uniform(-0.3, 1.3, 5) * width, rng.uniform(-0.3, 1.3, 5) * height], 1
        )
        small = np.zeros((height // 8, width // 8), np.uint8)
        cv2.fillPoly(small, [cv2.convexHull(np.rint(points / 8).astype(np.int32))], 255)
        soft = cv2.GaussianBlur(small, (0, 0), rng.uniform(1, 12))
        shadow = cv2.resize(soft, size, interpolation=cv2.INTER_LINEAR) / np.float32(255)
        light = light * (1 - rng.uniform(0.15, 0.5) * shadow)
    return np.asarray(light[:, :, None] * rng.uniform(0.93, 1.05, 3), np.float32)


def _jpeg(image: U8, rng: Rng, least: int) -> U8:
    quality = int(rng.integers(least, 96))
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)
