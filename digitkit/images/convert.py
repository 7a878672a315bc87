"""Arrays of any kind to 8 bits without alpha, and to grey."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, F64, U8
from digitkit.errors import ImageError
from digitkit.images.cv import cv2


def from_array(array: npt.NDArray[np.generic], name: str = "array") -> U8:
    """Convert an array to 8 bits without alpha, as `decode` does with files.

    Args:
        array: bool, integer or float; ``[H, W]``, or ``[H, W, C]`` with C of 1 (grey), 2 (grey,
            alpha), 3 (BGR) or 4 (BGR, alpha). uint8 is kept as it is; other types are stretched
            from their lowest to their highest value, except floats within 0–1, which are scaled.
            Opaque is 255; in an integer array whose alpha exceeds that 65,535, or else the dtype's
            maximum; in a float array 1.
        name: of the image, for errors.

    Returns:
        uint8 ``[H, W]`` or ``[H, W, 3]``.

    Raises:
        ImageError: wrong shape or dtype, or no pixels.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and not 1 <= array.shape[2] <= 4):
        raise ImageError(
            f"an array of shape {list(array.shape)} is not an image",
            subject=name,
            hint="pass [H, W], or [H, W, C] with 1 to 4 channels",
        )
    if array.size == 0:
        raise ImageError(
            f"an image of {array.shape[1]}×{array.shape[0]} has no pixels", subject=name
        )
    if array.dtype.kind not in "buif":
        raise ImageError(
            f"an array of {array.dtype} is not an image",
            subject=name,
            hint="pass bool, integer or float values",
        )
    if array.ndim == 2:
        return _to_8_bits(array)
    channels = array.shape[2]
    if channels == 1:
        return _to_8_bits(array[:, :, 0])
    if channels == 3:
        return _to_8_bits(array)
    colour = _to_8_bits(array[:, :, 0] if channels == 2 else array[:, :, :3])
    return _flatten(colour, array[:, :, -1])


_BAND_VALUES = 1 << 18
"""Arithmetic that takes many bytes per value runs over bands of rows of about this many values."""


def _split_into_bands(array: npt.NDArray[np.generic]) -> list[slice]:
    rows = max(1, _BAND_VALUES // array[0].size)
    return [slice(first, first + rows) for first in range(0, len(array), rows)]


def _to_finite(array: npt.NDArray[np.generic]) -> F64:
    return np.nan_to_num(_to_float(array), nan=0.0, posinf=0.0, neginf=0.0)


def _to_float(array: npt.NDArray[np.generic]) -> F64:
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        return array.astype(np.float64)


def _to_8_bits(array: npt.NDArray[np.generic]) -> U8:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).view(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    bands = _split_into_bands(array)
    low = min(float(_to_finite(array[band]).min()) for band in bands)
    high = max(float(_to_finite(array[band]).max()) for band in bands)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    # Divided before subtracting: the range of float64 itself must not overflow.
    span = high / 2 - low / 2
    stretched = np.zeros(array.shape, np.uint8)
    if span > 0:
        for band in bands:
            stretched[band] = np.rint((_to_finite(array[band]) / 2 - low / 2) / span * 255)
    return stretched


def _find_opaque(alpha: npt.NDArray[np.generic]) -> int:
    """The value of alpha that is opaque: 8 and 16 bits are often kept in a larger integer."""
    if alpha.dtype.kind not in "iu":
        return 1
    most, largest = int(alpha.max()), int(np.iinfo(alpha.dtype.name).max)
    return min(next((limit for limit in (255, 65_535) if most <= limit), largest), largest)


def _compute_opacity(alpha: npt.NDArray[np.generic], opaque: int) -> F32:
    """Opacity, float32 ``[h, w]``, 0–1."""
    return (np.nan_to_num(_to_float(alpha)) / opaque).clip(0, 1).astype(np.float32)


def _flatten(image: U8, alpha: npt.NDArray[np.generic]) -> U8:
    """Lay a transparent image on white, or on black where the drawing is light."""
    bands, opaque = _split_into_bands(image), _find_opaque(alpha)
    if all(_compute_opacity(alpha[band], opaque).min() >= 1 for band in bands):
        return image
    drawn = light = 0.0
    for band in bands:
        weight = _compute_opacity(alpha[band], opaque)
        drawn += float(weight.sum())
        light += float((to_grey(image[band]) * weight).sum())
    paper = 0.0 if drawn > 0 and light / drawn > 127 else 255.0
    flat = np.empty_like(image)
    for band in bands:
        weight = _compute_opacity(alpha[band], opaque)
        if image.ndim == 3:
            weight = weight[:, :, None]
        flat[band] = np.rint(image[band] * weight + paper * (1 - weight))
    return flat


def to_grey(image: U8) -> U8:
    """Convert to luminance.

    Args:
        image: uint8 ``[H, W]``, which is returned as it is, or ``[H, W, 3]`` BGR.

    Returns:
        uint8 ``[H, W]``.
    """
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)  # type: ignore[return-value]
