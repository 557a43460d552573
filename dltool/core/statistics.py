"""The statistics that rules and probes judge by: pure Python, seeded, the same numbers on every machine."""

from __future__ import annotations

import math
import random
import statistics as standard
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

NORMAL = standard.NormalDist()
MAD_TO_STD = 1.0 / NORMAL.inv_cdf(0.75)
"""Makes the median absolute deviation estimate the standard deviation of normal data (1.4826)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its two-sided confidence interval and its standard error, in the unit of the data."""

    estimate: float
    lower: float
    upper: float
    error: float


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line: ``slope`` per unit of x with its standard error; ``r_squared`` is the share of variance explained."""

    slope: float
    intercept: float
    slope_error: float
    r_squared: float


def weighted_mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Mean of ``values``; equal weights without ``weights``.

    Raises:
        ValueError: for no values, or weights of another length or without a positive sum.
    """
    if weights is None:
        weights = [1.0] * len(values)
    total = math.fsum(weights)
    if not values or len(weights) != len(values) or not total > 0.0:
        raise ValueError("a weighted mean needs values and as many weights with a positive sum")
    return math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total


def robust_std(values: Sequence[float]) -> float:
    """Standard deviation from the median absolute deviation: half the values may be outliers. 0 for fewer than two."""
    if len(values) < 2:
        return 0.0
    middle = standard.median(values)
    return MAD_TO_STD * standard.median(abs(v - middle) for v in values)


def jitter_std(values: Sequence[float]) -> float:
    """Standard deviation of the scatter of a series about its trend, from successive differences.

    Differences of independent noise have twice its variance (von Neumann 1941); their median is the trend and is taken off.
    0 for fewer than three values.
    """
    steps = [after - before for before, after in pairwise(values)]
    return robust_std(steps) / math.sqrt(2.0)


def fit_line(x: Sequence[float], y: Sequence[float]) -> Line:
    """Least squares; the standard error of the slope is infinite with two points.

    Raises:
        ValueError: for fewer than two points, or all at the same x.
    """
    n = len(x)
    if n < 2 or n != len(y):
        raise ValueError("a line needs at least two points")
    x_mean, y_mean = math.fsum(x) / n, math.fsum(y) / n
    sxx = math.fsum((a - x_mean) ** 2 for a in x)
    if not sxx > 0.0:
        raise ValueError("a line needs points at two places at least")
    slope = math.fsum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True)) / sxx
    intercept = y_mean - slope * x_mean
    residual = math.fsum((b - intercept - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    syy = math.fsum((b - y_mean) ** 2 for b in y)
    error = math.sqrt(residual / (n - 2) / sxx) if n > 2 else math.inf
    return Line(slope, intercept, error, 1.0 - residual / syy if syy > 0.0 else 1.0)


def theil_sen_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Median of the slopes between all pairs of points: up to 29 % of the points may be outliers (Sen 1968).

    Raises:
        ValueError: when no two points differ in x.
    """
    slopes = [(y[j] - y[i]) / (x[j] - x[i]) for i in range(len(x)) for j in range(i + 1, len(x)) if x[j] != x[i]]
    if not slopes:
        raise ValueError("a slope needs two points at different places")
    return standard.median(slopes)


def mann_kendall_z(values: Sequence[float]) -> float:
    """Trend of a series, N(0, 1) under none, corrected for ties (Mann 1945; Kendall 1975). 0 for fewer than three values."""
    n = len(values)
    score = sum((values[j] > values[i]) - (values[j] < values[i]) for i in range(n) for j in range(i + 1, n))
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    ties = sum(t * (t - 1) * (2 * t + 5) for t in counts.values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18.0
    if n < 3 or variance <= 0.0 or score == 0:
        return 0.0
    return (score - math.copysign(1.0, score)) / math.sqrt(variance)


def bootstrap_mean(
    values: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a weighted mean (Efron & Tibshirani 1993, ch. 13), drawing values with their weights.

    Given differences of paired blocks it is the paired block bootstrap. One value, or a non-finite one, bounds nothing:
    the interval is then infinite.

    Raises:
        ValueError: for no values, or weights that do not fit them.
    """
    estimate = weighted_mean(values, weights)
    if len(values) < 2 or not math.isfinite(estimate):
        return Interval(estimate, -math.inf, math.inf, math.inf)
    means = _resampled_means(values, weights, resamples, seed)
    return _interval(estimate, means, confidence)


def bootstrap_difference(
    first: Sequence[float],
    second: Sequence[float],
    first_weights: Sequence[float] | None = None,
    second_weights: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of mean(second) − mean(first) for unpaired blocks; see ``bootstrap_mean``."""
    estimate = weighted_mean(second, second_weights) - weighted_mean(first, first_weights)
    if len(first) < 2 or len(second) < 2 or not math.isfinite(estimate):
        return Interval(estimate, -math.inf, math.inf, math.inf)
    low = _resampled_means(first, first_weights, resamples, seed)
    high = _resampled_means(second, second_weights, resamples, seed + 1)
    return _interval(estimate, [b - a for a, b in zip(low, high, strict=True)], confidence)


def _resampled_means(values: Sequence[float], weights: Sequence[float] | None, resamples: int, seed: int) -> list[float]:
    draw = random.Random(seed)
    weights = [1.0] * len(values) if weights is None else weights
    pairs = [(w, w * v) for w, v in zip(weights, values, strict=True)]
    means: list[float] = []
    while len(means) < resamples:
        chosen = draw.choices(pairs, k=len(pairs))
        total = sum(w for w, _ in chosen)
        if total > 0.0:
            means.append(sum(v for _, v in chosen) / total)
    return means


def _interval(estimate: float, means: Sequence[float], confidence: float) -> Interval:
    ordered = sorted(means)
    tail = (1.0 - confidence) / 2.0
    last = len(ordered) - 1
    return Interval(
        estimate,
        ordered[math.floor(tail * last)],
        ordered[math.ceil((1.0 - tail) * last)],
        standard.pstdev(ordered),
    )
