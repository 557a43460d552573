"""Statistics of one column of numbers, chunk by chunk: exact but for the middle, which comes from a sample of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.record import Extreme
from dltool.scanning.tables.extremes import RUN, Far, Shape, shape_of
from dltool.scanning.tables.rows import Rows

FIRST_ROWS = 1000
"""So many rows are named where values of a column are not what they should be."""


class Spots:
    """How many values of a kind there are, in which rows the first of them, and on which line the very first."""

    __slots__ = ("count", "line", "rows")

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[int] = []
        self.line: int | None = None

    def add(self, rows: NDArray[np.int64]) -> None:
        """Rows (k,), ascending and after all so far."""
        self.count += len(rows)
        if len(self.rows) < FIRST_ROWS:
            self.rows += rows[: FIRST_ROWS - len(self.rows)].tolist()


class Numbers:
    """Running statistics of finite values, and where the others are.

    ``mean`` and ``square_sum`` (of differences from the mean) are merged chunk by chunk (Chan, Golub & LeVeque 1983), so
    that a large mean does not eat the variance.
    """

    __slots__ = ("_base", "_high", "_low", "count", "maximum", "mean", "minimum", "nan", "negative_inf", "positive_inf",
                 "sample", "square_sum")  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.mean = self.square_sum = 0.0
        self._base: float | None = None
        self.nan, self.positive_inf, self.negative_inf = Spots(), Spots(), Spots()
        self.sample: list[NDArray[np.float64]] = []
        """Values of the rows that were drawn, NaN where there is none, in as many pieces as the rows."""
        self._high, self._low = Far(1), Far(-1)

    @property
    def seen(self) -> int:
        """How many values there are, finite or not."""
        return self.count + self.nan.count + self.positive_inf.count + self.negative_inf.count

    @property
    def std(self) -> float:
        """Population standard deviation; 0 for no values."""
        return math.sqrt(self.square_sum / self.count) if self.count else 0.0

    def add(self, values: NDArray[Any], rows: Rows) -> None:
        """Values (n,) of rows that come after all so far."""
        if not len(values):
            return
        with np.errstate(all="ignore"):
            lows, highs = _ends(values)
            low, high = float(lows.min()), float(highs.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                self.add(*self._without_non_finite(values, rows))
                return
            for far, farthest, ends in ((self._high, high, highs), (self._low, low, lows)):
                if far.wants(farthest):
                    found = far.find(values, ends)
                    far.add(values[found], found + rows if isinstance(rows, int) else rows[found])
            self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
            for start in range(0, len(values), CHUNK_ROWS):
                self._merge(values[start : start + CHUNK_ROWS], low, high)

    def summary(self) -> tuple[Shape | None, tuple[Extreme, ...]]:
        """The middle of the column, None where nothing is finite; and its extremes, the highest scores first."""
        drawn = np.concatenate(self.sample) if self.sample else np.empty(0)
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return None, ()
        shape = shape_of_drawn(drawn, self.count, is_constant=self.minimum == self.maximum)
        found = [*self._high.extremes(shape), *self._low.extremes(shape)]
        return shape, tuple(sorted(found, key=lambda extreme: (-abs(extreme.score), extreme.row)))

    def _without_non_finite(self, values: NDArray[Any], rows: Rows) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if isinstance(rows, int):
            rows = np.arange(rows, rows + len(values))
        self.nan.add(rows[np.isnan(values)])
        self.positive_inf.add(rows[np.isposinf(values)])
        self.negative_inf.add(rows[np.isneginf(values)])
        finite = np.isfinite(values)
        return values[finite], rows[finite]

    def _merge(self, values: NDArray[Any], low: float, high: float) -> None:
        count = len(values)
        if self._base is None:
            self._base = float(values.mean(dtype=np.float64))
        mean, square_sum = _mean_and_squares(values, self._base, max(high - self._base, self._base - low))
        shift, total = mean - self.mean, self.count + count
        self.mean += shift * (count / total)
        self.square_sum += square_sum + shift * shift * (self.count * (count / total))
        self.count = total


def _ends(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The lowest and the highest of each run of ``RUN`` values, the last of which may be shorter."""
    whole = len(values) // RUN
    lows, highs = np.empty((2, -(-len(values) // RUN)), values.dtype)
    runs = values[: whole * RUN].reshape(-1, RUN)
    for start in range(0, whole, CHUNK_ROWS // RUN):
        part = slice(start, min(start + CHUNK_ROWS // RUN, whole))
        np.minimum.reduce(runs[part], axis=1, out=lows[part])
        np.maximum.reduce(runs[part], axis=1, out=highs[part])
    if whole < len(lows):
        rest = values[whole * RUN :]
        lows[-1], highs[-1] = rest.min(), rest.max()
    return lows, highs


def _mean_and_squares(values: NDArray[Any], base: float, reach: float) -> tuple[float, float]:
    """Mean, and sum of squared differences from it. ``reach`` is how far values are from ``base``.

    Sums are taken of differences from ``base``, of float32 in float32 where squares neither overflow nor vanish; where
    ``base`` is far off, again from the mean itself, so that nothing cancels out.
    """
    count = len(values)
    floats = values if values.dtype == np.float32 and SMALL < reach < LARGE else values.astype(np.float64, copy=False)
    base, mean, squares = _about(floats, base)
    if math.isfinite(squares) and count * mean * mean > CANCELLED * squares:
        base, mean, squares = _about(values.astype(np.float64, copy=False), base + mean)
    return base + mean, max(0.0, squares - count * mean * mean) if math.isfinite(squares) else math.inf


def _about(floats: NDArray[Any], base: float) -> tuple[float, float, float]:
    """The base as it was taken off, and of differences from it the mean and the sum of squares."""
    start = floats.dtype.type(base)
    apart = floats - start
    total = float(apart.dot(ONES[floats.dtype][: len(apart)]))
    return float(start), total / len(apart), float(apart.dot(apart))


CHUNK_ROWS = 1 << 16
"""Values of a column that are looked at together: 256 KiB as float32, which stay in the cache."""
ONES: dict[Any, NDArray[Any]] = {np.dtype(kind): np.ones(CHUNK_ROWS, kind) for kind in (np.float32, np.float64)}
"""A product with them is three times as fast as a sum."""
SMALL, LARGE = 1e-12, 1e15
CANCELLED = 0.9
"""A larger share of squares that comes from ``base`` costs a digit of what is left."""


def shape_of_drawn(drawn: NDArray[np.float64], count: int, *, is_constant: bool) -> Shape:
    """The shape of ``count`` values by finite ones that were drawn, at least one."""
    ordered = np.sort(drawn)
    distinct = distinct_of(ordered, count, is_constant=is_constant)
    return shape_of(ordered, count, distinct, whole=bool(np.all(ordered == np.floor(ordered))))


def distinct_of(ordered: NDArray[np.float64], count: int, *, is_constant: bool) -> int:
    """How many different values there are among ``count``: exact where all were drawn, else the estimate of Chao 1984."""
    if is_constant:
        return 1
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    repeats = np.diff(np.append(starts, len(ordered)))
    if len(ordered) >= count:
        return len(repeats)
    once, twice = int(np.sum(repeats == 1)), int(np.sum(repeats == 2))
    unseen = once * once / (2.0 * twice) if twice else once * (once - 1) / 2.0
    return max(2, min(round(len(repeats) + unseen), count))
