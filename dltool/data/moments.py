"""Mean, standard deviation and range of columns, added up block by block; values that are not finite are left out."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from dltool.data.table import Array

Floats = NDArray[np.float64]


class Moments:
    """Statistics of K columns. Blocks are merged by the pairwise update of Chan, Golub & LeVeque (1983)."""

    def __init__(self, columns: int) -> None:
        self.count = np.zeros(columns)
        self.mean = np.zeros(columns)
        self.minimum = np.full(columns, np.inf)
        self.maximum = np.full(columns, -np.inf)
        self._squares = np.zeros(columns)

    def add(self, block: Array) -> None:
        """Take in a block (M, K)."""
        values = block.astype(np.float64)
        finite = np.isfinite(values)
        everything = bool(finite.all())
        count = np.full(values.shape[1], float(len(values))) if everything else finite.sum(axis=0).astype(np.float64)
        if not everything:
            values[~finite] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without any finite value has mean NaN
            mean = values.mean(axis=0) if everything else np.nanmean(values, axis=0)
            squares = np.nansum((values - mean) ** 2, axis=0)
            self.minimum = np.fmin(self.minimum, np.nanmin(values, axis=0, initial=np.inf))
            self.maximum = np.fmax(self.maximum, np.nanmax(values, axis=0, initial=-np.inf))
        self._merge(count, np.nan_to_num(mean), squares)

    def _merge(self, count: Floats, mean: Floats, squares: Floats) -> None:
        total = self.count + count
        share = np.divide(count, total, out=np.zeros_like(total), where=total > 0)
        difference = mean - self.mean
        self._squares += squares + difference**2 * self.count * share
        self.mean += difference * share
        self.count = total

    @property
    def std(self) -> Floats:
        """Population standard deviation (division by N), 0 for a column without values."""
        return np.sqrt(np.divide(self._squares, self.count, out=np.zeros_like(self.mean), where=self.count > 0))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Columns that hold one value, or none."""
        return ~(self.maximum > self.minimum)

    def pooled(self) -> tuple[float, float, float, float] | None:
        """Mean, standard deviation, minimum and maximum over all columns together; None without a finite value."""
        total = float(self.count.sum())
        if total == 0:
            return None
        mean = float((self.count * self.mean).sum() / total)
        squares = float((self._squares + self.count * (self.mean - mean) ** 2).sum())
        return mean, float(np.sqrt(squares / total)), float(self.minimum.min()), float(self.maximum.max())

    def moved(self, shift: Floats, scale: Floats) -> Moments:
        """The statistics of (value - shift) / scale, for positive ``scale``."""
        result = Moments(len(self.count))
        result.count = self.count
        result.mean = np.where(self.count > 0, (self.mean - shift) / scale, 0.0)
        result.minimum = (self.minimum - shift) / scale
        result.maximum = (self.maximum - shift) / scale
        result._squares = self._squares / scale**2
        return result
