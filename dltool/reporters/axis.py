"""The axes of a terminal plot: linear or logarithmic, with ticks at round values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

LOG_WORTHWHILE_RATIO = 30.0
"""From this ratio of largest to smallest value on, a linear axis squeezes the lower half of the story into one row."""

LOG_SPAN_RATIO = 1e12
"""What is smaller than the largest value by more than this, zero included, stands at the foot of a logarithmic axis."""

LARGEST = 1e150
"""Finite values beyond it are held at it: the difference of two such values must not overflow."""

SMALLEST = 1e-150
"""Values nearer to zero are zero: a tick's share of them must not vanish."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to 0 (low end) to 1 (high end); ``ticks`` are round values inside, lowest first."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value stands between the ends; values outside are held at them."""
        low, high, value = (math.log10(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        return min(1.0, max(0.0, (value - low) / (high - low)))


def fit_axis(values: Iterable[float], *, ticks: int) -> Axis:
    """An axis that holds every finite value; logarithmic when none is negative and they span more than a factor of 30.

    Args:
        values: at least one finite number; others are passed over.
        ticks: about how many ticks to set, at least 2.
    """
    finite = [min(LARGEST, max(-LARGEST, v)) if abs(v) > SMALLEST else 0.0 for v in values if math.isfinite(v)]
    low, high = min(finite), max(finite)
    if low >= 0 and high > 0:
        above_zero = max(min(v for v in finite if v > 0), high / LOG_SPAN_RATIO)
        if high / above_zero > LOG_WORTHWHILE_RATIO:
            return Axis(above_zero, high, log=True, ticks=_log_ticks(above_zero, high, ticks))
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        margin = 0.05 * abs(high) or 1.0
        low, high = low - margin, high + margin
    return Axis(low, high, log=False, ticks=_linear_ticks(low, high, ticks))


def whole_ticks(low: int, high: int, count: int) -> tuple[int, ...]:
    """Whole numbers for an axis of epochs or steps: both ends, and round ones between them."""
    if high <= low:
        return (low,)
    step = max(1, math.ceil(_round_step((high - low) / count)))
    between = range(math.ceil((low + step / 2) / step) * step, math.ceil(high - step / 2), step)
    return (low, *(tick for tick in between if low < tick < high), high)


def _linear_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    step = _round_step((high - low) / count)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _round_step(step: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(mantissa for mantissa in (1, 2, 5, 10) if mantissa * power >= step * (1 - 1e-9))


def _log_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """Powers of ten; where fewer than three of them fit, 2 and 5 times them as well."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / count))
    tens = [10.0**power for power in range(first, last + 1) if power % every == 0]
    inside = tuple(t for t in tens if low <= t <= high)
    if len(inside) >= 3 or every > 1:
        return inside
    finer = (m * 10.0**power for power in range(first, last + 1) for m in (1, 2, 5))
    return tuple(t for t in finer if low <= t <= high)
