"""Statistics of one column of numbers, chunk by chunk: exact but for the middle, which comes from a sample of rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.record import Extreme
from dltool.scanning.tables.extremes import Far, Shape, shape_of
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

    __slots__ = ("_high", "_low", "count", "maximum", "mean", "minimum", "nan", "negative_inf", "positive_inf", "sample",
                 "square_sum")  # fmt: skip

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.mean = self.square_sum = 0.0
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
            low, high = float(values.min()), float(values.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                values, rows = self._without_non_finite(values, rows)
                if not len(values):
                    return
                low, high = float(values.min()), float(values.max())
            for far, farthest in ((self._high, high), (self._low, low)):
                if far.wants(farthest):
                    found = far.find(values)
                    far.add(values[found], found + rows if isinstance(rows, int) else rows[found])
            self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
            self._merge(values.astype(np.float64, copy=False))

    def summary(self) -> tuple[Shape | None, tuple[Extreme, ...]]:
        """The middle of the column, None where nothing is finite; and its extremes, the highest scores first."""
        drawn = np.concatenate(self.sample) if self.sample else np.empty(0)
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return None, ()
        whole = bool(np.all(drawn == np.floor(drawn)))
        shape = shape_of(
            drawn, self.count, distinct_of(drawn, self.count, is_constant=self.minimum == self.maximum), whole=whole
        )
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

    def _merge(self, values: NDArray[np.float64]) -> None:
        count = len(values)
        mean = float(values.mean())
        apart = values - mean
        square_sum = float(np.einsum("i,i->", apart, apart))
        shift, total = mean - self.mean, self.count + count
        self.mean += shift * (count / total)
        self.square_sum += square_sum + shift * shift * (self.count * (count / total))
        self.count = total


def distinct_of(drawn: NDArray[np.float64], count: int, *, is_constant: bool) -> int:
    """How many different values there are among ``count``: exact where all were drawn, else the estimate of Chao 1984."""
    if is_constant:
        return 1
    _, repeats = np.unique(drawn, return_counts=True)
    if len(drawn) >= count:
        return len(repeats)
    once, twice = int(np.sum(repeats == 1)), int(np.sum(repeats == 2))
    unseen = once * once / (2.0 * twice) if twice else once * (once - 1) / 2.0
    return max(2, min(round(len(repeats) + unseen), count))
