"""Values so far from all others of their column that the column's own tail does not explain them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dltool.core.statistics import MAD_TO_STD
from dltool.scanning.record import Extreme

MOST = 100
"""At most so many values of one side are called extreme: more are a part of the distribution."""
TAIL = 100
"""Values next to them that say how the tail falls off."""
KEPT = MOST + TAIL + 1
RUN = 512
"""Values whose farthest one tells whether to look at them one by one."""
SHORT_TAIL, LEAST_TAIL = 20, 8
LEAST_COUNT = 30
"""Values from which on the fall of a tail can be judged."""
SHARE = 0.01
"""Extremes are at most this share of the values (one at least): Barnett & Lewis 1994 call them contaminants of a sample."""

LEAST_SCORE = 10.0
"""In robust standard deviations. Iglewicz & Hoaglin 1993 label from 3.5 on, which accuses every lognormal column."""
LEAST_RATIO = 3.0
"""A farthest value of a clean column is rarely three times as far out as the next."""
LEAST_LOG_P = -5.0 * math.log(10.0)
"""A gap must be less probable than 1e-5 under the tail that follows it: of 13,340 columns of 997 published tables (R's data
sets, statsmodels', scikit-learn's) this calls a value of one extreme that is merely large."""
ORDERS_OF_MAGNITUDE = 1000.0
"""A jump that is told in short columns too, and among codes, where tails cannot be fitted."""
BEYOND_MEDIAN = 10.0
"""Such a jump must lead to so many times the median: a sequence that has converged has next to no spread."""
FEW_DISTINCT = 50
"""Whole numbers of so few values are codes of categories or counts."""
NAMING = re.compile(
    r"^$|^unnamed|(?:^|[\W_])(?:id|ids|idx|index|identifier|uuid|guid|key|code|zip|zipcode|postcode|phone|rownames?)(?:[\W_]|$)"
    r"|(?-i:[a-z]I[Dd]$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The middle of a column, from a sample of it. ``spread`` is 0 where 98 % of the values are equal."""

    count: int
    median: float
    spread: float
    lower: float
    upper: float
    whole: bool
    distinct: int


_PLACES = np.arange(RUN)


class Far:
    """The largest values seen on one side, with their rows; of equal ones the first."""

    __slots__ = ("_bound", "_held", "_rows", "_sign", "_values")

    def __init__(self, sign: int) -> None:
        self._sign = float(sign)
        self._values: list[NDArray[np.float64]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._held = 0
        self._bound = -math.inf

    def wants(self, farthest: float) -> bool:
        """Whether a chunk whose farthest value this is may hold something new."""
        return self._sign * farthest > self._bound

    def find(self, values: NDArray[Any], ends: NDArray[Any] | None = None) -> NDArray[np.intp]:
        """Positions of values that belong among the farthest, at most as many as are kept.

        ``ends`` are the farthest values of all runs of ``RUN`` (the last may be shorter), where they are known.
        """
        beyond: Any = np.greater if self._sign > 0 else np.less
        cut = self._sign * self._bound
        if ends is None:
            found: NDArray[np.intp] = beyond(values, cut).nonzero()[0]
        else:
            if self._bound == -math.inf and len(ends) > KEPT:
                at = len(ends) - KEPT if self._sign > 0 else KEPT - 1
                cut = float(np.partition(ends, at)[at])  # reached by as many runs as values are kept
                beyond = np.greater_equal if self._sign > 0 else np.less_equal
            runs = beyond(ends, cut).nonzero()[0]
            places = (runs[:, None] * RUN + _PLACES).ravel()
            places = places[: np.searchsorted(places, len(values))]
            found = places[beyond(values[places], cut)]
        if len(found) > KEPT:
            reach = self._sign * values[found].astype(np.float64)
            cut = np.partition(reach, len(reach) - KEPT)[len(reach) - KEPT]
            above = np.flatnonzero(reach > cut)
            found = found[np.sort(np.append(above, np.flatnonzero(reach == cut)[: KEPT - len(above)]))]
        return found

    def add(self, values: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Values (k,) that ``find`` found, with their rows, which come after all rows so far."""
        self._values.append(values.astype(np.float64))
        self._rows.append(rows)
        self._held += len(rows)
        if self._held >= (2 * KEPT if self._bound > -math.inf else KEPT):
            self._sort()

    def _sort(self) -> None:
        every, places = np.concatenate(self._values), np.concatenate(self._rows)
        order = np.argsort(-self._sign * every, kind="stable")[:KEPT]
        self._values, self._rows, self._held = [every[order]], [places[order]], len(order)
        if len(order) == KEPT:
            self._bound = self._sign * float(every[order[-1]])

    def extremes(self, shape: Shape) -> list[Extreme]:
        """Those beyond the gap that the tail does not explain, farthest first; empty as a rule."""
        if not shape.spread > 0.0 or not self._held:
            return []
        farthest = max(float((self._sign * values).max()) for values in self._values if len(values))
        if farthest - self._sign * shape.median < LEAST_SCORE * shape.spread:
            return []
        self._sort()
        (values,), (rows,) = self._values, self._rows
        with np.errstate(over="ignore"):
            distances = self._sign * (values - shape.median)
        number = _beyond_gap(distances[distances > 0.0], shape)
        found = [
            Extreme(row=int(row), value=float(value), score=float(self._sign * distance / shape.spread))
            for row, value, distance in zip(rows[:number], values[:number], distances[:number], strict=True)
        ]
        return [extreme for extreme in found if not is_marker(extreme.value)]


def shape_of(ordered: NDArray[np.float64], count: int, distinct: int, *, whole: bool) -> Shape:
    """The shape of a column by a sample of its finite values (m,), m > 0, in ascending order."""
    lower, median, upper = (_quantile(ordered, q) for q in (0.01, 0.5, 0.99))
    with np.errstate(over="ignore", invalid="ignore"):
        spread = MAD_TO_STD * _quantile(np.sort(np.abs(ordered - median)), 0.5)
        if not spread > 0.0:
            spread = upper - lower
    return Shape(count, median, spread, lower, upper, whole, distinct)


def _quantile(ordered: NDArray[np.float64], q: float) -> float:
    """By linear interpolation, as numpy does, which would sort again (and imports its masked arrays for a median)."""
    place = q * (len(ordered) - 1)
    below = int(place)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(ordered) - 1)])
    share = place - below
    if low == high:
        return low
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1.0 - share)


def names_things(name: str) -> bool:
    """Whether a column of whole numbers of this name tells things apart: its numbers are no amounts."""
    return NAMING.search(name) is not None


def is_marker(value: float) -> bool:
    """Whether a value is one of those that stand for "no value" by custom: -9, -99, 999, -9999 and so on."""
    size = abs(value)
    return value == int(value) and size >= 9 and set(str(int(size))) == {"9"} if math.isfinite(value) else False


def _beyond_gap(distances: NDArray[np.float64], shape: Shape) -> int:
    """How many of the descending distances lie beyond the innermost implausible gap.

    Log-spacings of ordered values in a Pareto-like tail are exponential with mean 1 / (rank · tail index) (Rényi 1953);
    those of lighter tails are smaller still. So a spacing is compared with the mean of those that follow it (Hill 1975):
    the ratio of an exponential to the mean of m has survival (1 + t/m)^-m. This is the inward test for "dragon kings" of
    Wheatley & Sornette 2015 (arXiv:1507.08689).
    """
    most = min(MOST, max(1, int(shape.count * SHARE)), len(distances) - 2)
    if most < 1:
        return 0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        spacings = np.log(distances[:-1]) - np.log(distances[1:])
    spacings *= np.arange(1, len(distances))
    for number in range(most, 0, -1):
        ratio = math.exp(min(700.0, spacings[number - 1] / number))
        if ratio < LEAST_RATIO or distances[number - 1] < LEAST_SCORE * shape.spread:
            continue
        if _is_jump(distances, number, ratio, shape) or _is_unlike_tail(spacings, number, shape):
            return number
    return 0


def _is_jump(distances: NDArray[np.float64], number: int, ratio: float, shape: Shape) -> bool:
    """By orders of magnitude: more than the rest of the column spans from the edge of its middle half outwards."""
    if ratio < ORDERS_OF_MAGNITUDE:
        return False
    rest = float(distances[number]) / shape.spread
    return ratio >= max(rest, 1.0) ** 2 and float(distances[number - 1]) >= BEYOND_MEDIAN * abs(shape.median)


def _is_unlike_tail(spacings: NDArray[np.float64], number: int, shape: Shape) -> bool:
    if shape.count < LEAST_COUNT or (shape.whole and shape.distinct <= FEW_DISTINCT):
        return False
    length = min(TAIL, len(spacings) - number, max(SHORT_TAIL, shape.count // 100))
    if length < LEAST_TAIL:
        return False
    mean = float(np.mean(spacings[number : number + length]))
    if not mean > 0.0:
        return False
    return -length * math.log1p(float(spacings[number - 1]) / mean / length) < LEAST_LOG_P
