"""A picture in numbers: brightness, contrast, range, and a perceptual hash, all from a reduced array."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 28
"""A reduced picture's shorter side has at least as many pixels, where the picture itself has."""

MIN_SIDE = 8
MIN_CONTRAST = 1 / 255
"""Below a standard deviation of one level of 8 bits, a perceptual hash would be of noise."""

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in JFIF
FREQUENCIES = np.array(
    sorted(((u, v) for u in range(11) for v in range(11) if u + v), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
)
LOWEST = FREQUENCIES[:64]
BANDS = int(LOWEST.max()) + 1

Pixels = NDArray[Any]


class Look(NamedTuple):
    """Over all channels, on the scale 0-1 for integers; ``similarity`` is None where there is nothing to compare."""

    mean: float
    std: float
    minimum: float
    maximum: float
    similarity: int | None


def look(pixels: Pixels, scale: float = 255.0) -> Look:
    """Sum up a reduced picture.

    Args:
        pixels: (height, width) or (height, width, channels) without alpha; finite.
        scale: what stands for 1.
    """
    values = pixels.astype(np.float64) if pixels.ndim == 2 else pixels.reshape(pixels.shape[0], -1).astype(np.float64)
    flat = values.reshape(-1)
    mean = float(flat.sum()) / flat.size
    std = math.sqrt(max(float(flat @ flat) / flat.size - mean * mean, 0.0))
    gray = values
    if pixels.ndim == 3 and pixels.shape[2] > 1:
        gray = values.reshape(-1, pixels.shape[2])[:, :3] @ LUMA if pixels.shape[2] >= 3 else values[:, :: pixels.shape[2]]
        gray = gray.reshape(pixels.shape[:2])
    similarity = perceptual_hash(gray / scale) if std > MIN_CONTRAST * scale else None
    return Look(mean / scale, std / scale, float(flat.min()) / scale, float(flat.max()) / scale, similarity)


def perceptual_hash(gray: NDArray[np.float64]) -> int | None:
    """The signs of the 64 lowest frequencies (but the mean) of a discrete cosine transform, as 64 bits.

    Cosines are sampled at pixel centres, whatever the size, so that a picture and its resized copy agree. After C. Zauner,
    *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010), which thresholds at the median of 8x8
    frequencies of a picture resized to 32x32.

    Args:
        gray: (height, width), 0-1.

    Returns:
        None where a side is below 8 pixels or the contrast below one level of 8 bits.
    """
    height, width = gray.shape
    if min(height, width) < MIN_SIDE:
        return None
    spectrum = _cosines(height) @ gray @ _cosines(width).T
    signs = spectrum[LOWEST[:, 0], LOWEST[:, 1]] > 0
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


@lru_cache(maxsize=256)
def _cosines(count: int) -> NDArray[np.float64]:
    """(BANDS, count): the DCT-II basis."""
    at = (np.arange(count) + 0.5) / count
    return np.asarray(np.cos(np.pi * np.arange(BANDS)[:, None] * at))
