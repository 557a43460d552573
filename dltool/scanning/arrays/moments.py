"""Statistics of the columns of an array, a stretch of rows at a time, near the speed of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDE = 4096
"""Numbers that rows are joined to before they are reduced: short rows cost a call each."""
NEAR = 4.0
"""Standard deviations from 0 within which squares need no shift: they lose four bits of 24."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Moments:
    """Of columns, over finite values: ``square_sum`` is of differences from the mean. All (columns,)."""

    count: NDArray[np.int64]
    minimum: Floats
    maximum: Floats
    mean: Floats
    square_sum: Floats

    def merge(self, other: Moments) -> None:
        """Take in the moments of other rows (Chan, Golub & LeVeque 1983)."""
        total = self.count + other.count
        share = other.count / np.maximum(total, 1)
        with np.errstate(all="ignore"):
            shift = np.where(other.count > 0, other.mean - self.mean, 0.0)
            self.square_sum = self.square_sum + other.square_sum + shift * shift * self.count * share
            self.mean = self.mean + shift * share
        self.minimum, self.maximum = np.minimum(self.minimum, other.minimum), np.maximum(self.maximum, other.maximum)
        self.count = total

    @property
    def std(self) -> Floats:
        """Population standard deviations."""
        return np.sqrt(self.square_sum / np.maximum(self.count, 1))


def base_of(values: NDArray[Any]) -> Floats | None:
    """What to take off all rows (n, columns) so that squares do not drown the spread; None where nothing need be."""
    with np.errstate(all="ignore"):
        head = np.where(np.isfinite(values), values, 0).astype(np.float64)
        mean, std = head.mean(axis=0), head.std(axis=0)
    return None if np.all(np.abs(mean) <= NEAR * std) else mean


def moments_of(values: NDArray[Any], base: Floats | None) -> Moments | None:
    """Of rows (n, columns), C-contiguous; None where some value is not finite.

    Sums are taken in the type of the values, over a few hundred terms each.
    """
    rows, columns = values.shape
    step = max(1, WIDE // columns)
    whole = rows - rows % step
    with np.errstate(all="ignore"):
        parts = [_part(values[:whole].reshape(-1, step * columns), columns, base)] if whole else []
        parts += [_part(values[whole:], columns, base)] if whole < rows else []
    if not all(np.isfinite(part.minimum).all() and np.isfinite(part.maximum).all() for part in parts):
        return None
    for part in parts[1:]:
        parts[0].merge(part)
    return parts[0]


def finite_moments_of(values: NDArray[Any]) -> Moments:
    """Of rows (n, columns) of which some values are not finite: these are left out."""
    finite = np.isfinite(values)
    with np.errstate(all="ignore"):
        floats = np.where(finite, values, 0).astype(np.float64)
        count = finite.sum(axis=0)
        mean = floats.sum(axis=0) / np.maximum(count, 1)
        square_sum = (np.where(finite, floats - mean, 0.0) ** 2).sum(axis=0)
        low = np.where(finite, values, np.inf).min(axis=0).astype(np.float64)
        high = np.where(finite, values, -np.inf).max(axis=0).astype(np.float64)
    return Moments(count, low, high, mean, square_sum)


def _part(wide: NDArray[Any], columns: int, base: Floats | None) -> Moments:
    low = wide.min(axis=0).astype(np.float64).reshape(-1, columns).min(axis=0)
    high = wide.max(axis=0).astype(np.float64).reshape(-1, columns).max(axis=0)
    if wide.dtype.kind != "f" or wide.dtype.itemsize < 4:  # sums of integers and of float16 overflow
        wide = wide.astype(np.float64)
    if base is not None:
        base = base.astype(wide.dtype)
        wide = wide - np.tile(base, wide.shape[1] // columns)
    count = wide.size // columns
    mean = wide.sum(axis=0).astype(np.float64).reshape(-1, columns).sum(axis=0) / count
    squares = np.einsum("ij,ij->j", wide, wide).astype(np.float64).reshape(-1, columns).sum(axis=0)
    square_sum = np.maximum(squares - count * mean * mean, 0.0)
    return Moments(np.full(columns, count), low, high, mean if base is None else mean + base, square_sum)
