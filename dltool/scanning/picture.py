"""A picture in numbers: brightness, contrast, range, and a perceptual hash, all from a reduced array."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import sub
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORT_SIDE = 28
"""A reduced picture's shorter side has at least as many pixels, where the picture itself has."""

MIN_SIDE = 8
MIN_CONTRAST = 1 / 255
NEARLY_FLAT = 4 / 255
"""Below a standard deviation of one level of 8 bits, a perceptual hash would be of noise."""

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in JFIF


def _by_pitch(frequency: tuple[int, int]) -> tuple[float, tuple[int, int]]:
    return math.hypot(*frequency), frequency


LOWEST = np.array(sorted(((u, v) for u in range(11) for v in range(11) if u + v), key=_by_pitch)[:64])
BANDS = int(LOWEST.max()) + 1
PLACES = np.ascontiguousarray(LOWEST[:, 0] * BANDS + LOWEST[:, 1])

Pixels = NDArray[Any]


class Look(NamedTuple):
    """Over all channels, on the scale 0-1 for integers; ``similarity`` is None for pictures too small or too flat."""

    mean: float
    std: float
    minimum: float
    maximum: float
    similarity: int | None
    span: float
    """The largest range of a single channel."""

    @property
    def nearly_flat(self) -> bool:
        """It may be a fine pattern that averaged out."""
        return self.span <= NEARLY_FLAT


def look(pixels: Pixels, scale: float = 255.0, extent: tuple[float, float] | None = None) -> Look:
    """Sum up a reduced picture.

    Args:
        pixels: (height, width) or (height, width, channels) without alpha; finite.
        scale: what stands for 1.
        extent: height and width in reduced pixels before rounding up: the last row and column may stand for less.
    """
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    rows = pixels.reshape(height, width * channels)
    values = rows.astype(np.float64)
    flat = values.reshape(-1)
    mean = float(np.add.reduce(flat)) / flat.size
    std = math.sqrt(max(float(flat.dot(flat)) / flat.size - mean * mean, 0.0))
    lowest, highest, span = _range(rows, channels)
    similarity = _signs(values, channels, extent or (height, width)) if std > MIN_CONTRAST * scale else None
    return Look(mean / scale, std / scale, lowest / scale, highest / scale, similarity, span / scale)


def _range(rows: Pixels, channels: int) -> tuple[float, float, float]:
    """The least and the greatest value, and the largest range of a channel. Whole rows at a time: channels are short."""
    low, high = np.minimum.reduce(rows, axis=0), np.maximum.reduce(rows, axis=0)
    if channels == 1:
        least, greatest = [low.min().item()], [high.max().item()]
    else:
        least = np.minimum.reduce(low.reshape(-1, channels), axis=0).tolist()
        greatest = np.maximum.reduce(high.reshape(-1, channels), axis=0).tolist()
    return min(least), max(greatest), max(map(sub, greatest, least))


def _signs(values: NDArray[np.float64], channels: int, extent: tuple[float, float]) -> int | None:
    """The signs of the 64 lowest frequencies (but the mean) of a discrete cosine transform, as 64 bits.

    Cosines are sampled at pixel centres, whatever the size, so that a picture and its resized copy agree. After C. Zauner,
    *Implementation and Benchmarking of Perceptual Image Hash Functions* (2010), which thresholds at the median of 8x8
    frequencies of a picture resized to 32x32.

    Args:
        values: (height, width · channels), on any scale; of colours, their luma is taken.
        channels: 1, or 3 for colours.
        extent: as ``look`` has it.

    Returns:
        None where a side is below 8 pixels.
    """
    height, width = values.shape[0], values.shape[1] // channels
    if min(height, width) < MIN_SIDE:
        return None
    tall, wide = extent
    down, across = _cosines(height, tall), _gray_cosines(width, wide, channels)
    spectrum = down.dot(values.dot(across))
    if tall != height or wide != width:  # where all pixels are whole, a constant has no other frequency than 0
        constant = np.multiply.outer(np.add.reduce(down, axis=1), np.add.reduce(across, axis=0))
        spectrum -= constant * (spectrum[0, 0] / constant[0, 0])
    return int.from_bytes(np.packbits(spectrum.take(PLACES) > 0).data, "big")


@lru_cache(maxsize=256)
def _cosines(count: int, extent: float) -> NDArray[np.float64]:
    """(BANDS, count): the DCT-II basis, at the centre of each pixel and weighted by how much of it there is."""
    edges = np.minimum(np.arange(count + 1), max(extent, count - 1 + 1e-9))
    weights = np.diff(edges)
    at = (edges[:-1] + weights / 2) / edges[-1]
    return np.asarray(np.cos(np.pi * np.arange(BANDS)[:, None] * at) * weights)


@lru_cache(maxsize=256)
def _gray_cosines(count: int, extent: float, channels: int) -> NDArray[np.float64]:
    """(count · channels, BANDS): the same down its columns, for pixels that it turns gray."""
    share = LUMA if channels == 3 else np.eye(1, channels)[0]
    basis = np.multiply.outer(_cosines(count, extent).T, share).swapaxes(1, 2)
    return np.asarray(basis.reshape(count * channels, BANDS))
