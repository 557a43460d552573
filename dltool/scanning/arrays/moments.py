"""Statistics of the columns of an array, a stretch of rows at a time, near the speed of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDE = 4096
"""Numbers that rows are joined to before they are reduced: short rows cost a call each."""
PART_BYTES = 1 << 19
"""So much is reduced at a time, by five passes over it: it stays in the cache."""
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

    def put(self, columns: NDArray[np.intp], others: Moments) -> None:
        """Replace those of some columns."""
        self.count[columns], self.mean[columns], self.square_sum[columns] = others.count, others.mean, others.square_sum
        self.minimum[columns], self.maximum[columns] = others.minimum, others.maximum

    @property
    def std(self) -> Floats:
        """Population standard deviations."""
        return np.sqrt(self.square_sum / np.maximum(self.count, 1))


class Summing:
    """Moments of rows of some columns, block by block, by the same buffers.

    Args:
        values: (n, columns), the first rows; of them is taken what goes off all rows, so that squares do not drown the
            spread.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._columns = values.shape[1]
        self._joined = max(1, WIDE // self._columns)
        kind, size = values.dtype.kind, values.dtype.itemsize
        self._sum_type = np.dtype(np.float32 if (kind == "f" and size <= 4) or size <= 2 else np.float64)
        with np.errstate(all="ignore"):
            head = np.where(np.isfinite(values), values, 0).astype(np.float64)
            mean, std = head.mean(axis=0), head.std(axis=0)
        self._base: NDArray[Any] | None = None
        if not np.all(np.abs(mean) <= NEAR * std):
            self._base = np.tile(mean.astype(self._sum_type), self._joined)
        width = self._joined * self._columns
        self._lines = max(1, PART_BYTES // (width * size))
        self._ones = np.ones(self._lines, self._sum_type)
        self._apart = np.empty((self._lines, width), self._sum_type)

    def moments(self, values: NDArray[Any]) -> Moments:
        """Of rows (n, columns), C-contiguous, n > 0; values that are not finite are left out.

        Sums are taken in the type of the values (in float32 of short integers), over a few hundred terms each.
        """
        whole = len(values) - len(values) % self._joined
        with np.errstate(all="ignore"):
            parts = [self._moments(values[:whole].reshape(-1, self._joined * self._columns))] if whole else []
            if whole < len(values):
                parts.append(self._moments(values[whole:]))
            for other in parts[1:]:
                parts[0].merge(other)
            found = parts[0]
            odd = ~np.isfinite(found.minimum + found.maximum + found.square_sum)
        odd |= (found.square_sum == 0.0) & (found.minimum != found.maximum)
        if odd.any():
            found.put(np.flatnonzero(odd), finite_moments_of(values[:, odd]))
        return found

    def _moments(self, wide: NDArray[Any]) -> Moments:
        """Not finite where some value is not, or where squares are too large for their type; no spread where too small."""
        columns, count = self._columns, wide.size // self._columns
        low, high = wide[0].copy(), wide[0].copy()
        sums, squares = np.zeros((2, wide.shape[1]))
        base = None if self._base is None else self._base[: wide.shape[1]]
        for start in range(0, len(wide), self._lines):
            part = wide[start : start + self._lines]
            np.minimum(low, part.min(axis=0), out=low)
            np.maximum(high, part.max(axis=0), out=high)
            apart = self._apart[: len(part), : wide.shape[1]]
            ones = self._ones[: len(part)]
            floats = part.astype(self._sum_type, copy=False)
            if base is not None:
                floats = np.subtract(floats, base, out=apart)
            sums += ones @ floats
            squares += ones @ np.multiply(floats, floats, out=apart)
        low, high = _by_column(low, columns).min(axis=0), _by_column(high, columns).max(axis=0)
        square_sum = _by_column(squares, columns).sum(axis=0)
        mean = _by_column(sums, columns).sum(axis=0) / count
        square_sum = np.maximum(square_sum - count * mean * mean, 0.0)
        if base is not None:
            mean += base[:columns]
        return Moments(np.full(columns, count), low.astype(np.float64), high.astype(np.float64), mean, square_sum)


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


def _by_column(wide: NDArray[Any], columns: int) -> NDArray[Any]:
    return wide.reshape(-1, columns)
