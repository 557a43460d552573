"""Questions put to a learning curve, each answered against the noise of that curve."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise

from dltool.core.statistics import (
    NORMAL,
    Interval,
    Line,
    bootstrap_difference,
    bootstrap_mean,
    fit_line,
    weighted_mean,
)
from dltool.rules.fit_status.curves import Curve

RESAMPLES = 500
T_99 = (31.82, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764)
"""One-sided 99 % points of Student's t for 1 to 10 degrees of freedom; beyond, the normal one with its first correction."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How the end of a curve falls: ``gain`` in as many points again, ``remaining`` for ever (inf when it falls straight).

    ``points_needed`` is how many more points bring it within 1 % of ``scale`` of where it is heading; None when straight.
    """

    slope: float
    significant: bool
    gain: float = 0.0
    remaining: float = 0.0
    points_needed: int | None = None


@dataclass(frozen=True, slots=True)
class Swing:
    """Changes from point to point: their median size, the share that reverse the one before, and the net progress."""

    amplitude: float
    alternation_ratio: float
    progress: float


def level(curve: Curve, confidence: float, reference: tuple[float, ...] = ()) -> Interval:
    """The loss at the end, averaged over the last points, with the noise over samples and over epochs together.

    The noise is that of a comparison: ``reference`` holds what the loss is compared with, by block, and hard blocks are hard
    for both. Without it the start of the curve stands in for it, where that makes the comparison sharper.
    """
    end = _window(curve)
    over_epochs = curve.jitter / math.sqrt(len(end)) if len(curve) >= 6 else 0.0
    over_samples = 0.0
    if end.blocks:
        means = _block_means(end)
        references = [reference] if reference else [(0.0,) * len(means), curve.blocks[0]]
        over_samples = min(
            bootstrap_mean([a - b for a, b in zip(means, r, strict=True)], end.weights, resamples=RESAMPLES).error
            for r in references[: len(curve)]
        )
    return _around(statistics.fmean(end.values), math.hypot(over_epochs, over_samples), confidence)


def rise_since_best(curve: Curve, confidence: float) -> tuple[Interval, int]:
    """How far the end lies above the lowest stretch of a curve, and where in that stretch the lowest point was.

    Both are means over the same number of points, and blocks are compared pair by pair. The lowest of many noisy stretches
    lies low by chance, so the confidence is shared out among them (Bonferroni).
    """
    width = len(_window(curve))
    stretches = [curve_slice(curve, first, width) for first in range(len(curve) - width + 1)]
    best = min(range(len(stretches)), key=lambda i: (statistics.fmean(stretches[i].values), i))
    end, low = stretches[-1], stretches[best]
    rise = statistics.fmean(end.values) - statistics.fmean(low.values)
    over_epochs = curve.jitter * math.sqrt(2.0 / width)
    over_samples = 0.0
    if end.blocks:
        pairs = [b - a for a, b in zip(_block_means(low), _block_means(end), strict=True)]
        over_samples = bootstrap_mean(pairs, end.weights, resamples=RESAMPLES).error
    shared = 1.0 - (1.0 - confidence) / max(1, len(stretches) - 1)
    return _around(rise, math.hypot(over_epochs, over_samples), shared), low.at[low.values.index(min(low.values))]


def gap(train: Curve, val: Curve, confidence: float) -> Interval:
    """Validation minus training loss at the end, with the noise over samples (unpaired bootstrap) and over epochs."""
    low, high = _window(train), _window(val)
    difference = statistics.fmean(high.values) - statistics.fmean(low.values)
    over_epochs = math.hypot(train.jitter / math.sqrt(len(low)), val.jitter / math.sqrt(len(high)))
    over_samples = 0.0
    if low.blocks and high.blocks:
        over_samples = bootstrap_difference(
            _block_means(low), _block_means(high), low.weights, high.weights, resamples=RESAMPLES
        ).error
    return _around(difference, math.hypot(over_epochs, over_samples), confidence)


def fall(curve: Curve, scale: float) -> Fall:
    """Whether the end of a curve falls beyond its scatter, and how much that would still bring.

    The last 60 % of the points, in three equal parts, give the ratio by which the fall slows down; with that ratio the fall
    is a geometric series (exponential decay) whose sum is what remains.
    """
    end = curve.tail(1.0 / 3.0, 4)
    if len(end) < 4:
        return Fall(slope=0.0, significant=False)
    line = fit_line(range(len(end)), end.values)
    points = len(curve)
    if not _falls(line, len(end)):
        return Fall(slope=line.slope, significant=False)
    third = max(1, math.ceil(0.6 * points) // 3)
    means = [statistics.fmean(curve.last(third * k).values[:third]) for k in (3, 2, 1)] if points >= 3 * third else []
    drops = [a - b for a, b in pairwise(means)]
    if len(drops) == 2 and drops[0] > 0.0 and 0.0 < drops[1] < 0.98 * drops[0]:
        ratio = drops[1] / drops[0]
        remaining = drops[1] * ratio / (1.0 - ratio) * math.sqrt(ratio)
        gain = remaining * (1.0 - ratio ** (points / third))
        needed = max(0, math.ceil(third * math.log(max(remaining / (0.01 * scale), 1.0)) / -math.log(ratio)))
        return Fall(slope=line.slope, significant=True, gain=gain, remaining=remaining, points_needed=needed)
    return Fall(slope=line.slope, significant=True, gain=-line.slope * points, remaining=math.inf)


def flat_since(curve: Curve, scale: float) -> int | None:
    """Index of the first point from which the curve stays within its noise (or 2 % of scale) of its last level."""
    end = curve.tail(1.0 / 3.0, 4)
    middle = statistics.median(end.values)
    band = max(3.0 * curve.jitter, 0.02 * scale)
    since = len(curve)
    for i in range(len(curve) - 1, -1, -1):
        around = curve.values[max(0, i - 1) : i + 2]
        if not abs(statistics.median(around) - middle) <= band:
            break
        since = i
    return since if since < len(curve) else None


def swing(curve: Curve) -> Swing | None:
    """How the later half of a curve goes back and forth; None for fewer than eight points."""
    end = curve.tail(0.5, 8)
    if len(end) < 8:
        return None
    steps = [b - a for a, b in pairwise(end.values)]
    turns = [a * b < 0.0 for a, b in pairwise(steps)]
    half = len(end) // 2
    return Swing(
        amplitude=statistics.median(abs(s) for s in steps),
        alternation_ratio=sum(turns) / len(turns),
        progress=statistics.fmean(end.values[:half]) - statistics.fmean(end.values[-half:]),
    )


def curve_slice(curve: Curve, first: int, count: int) -> Curve:
    """``count`` points from index ``first``."""
    part = slice(first, first + count)
    return Curve(
        at=curve.at[part], values=curve.values[part], blocks=curve.blocks[part], weights=curve.weights, unit=curve.unit
    )


def _window(curve: Curve) -> Curve:
    """The stretch that stands for "the end": a fifth of the points, five at most."""
    return curve.last(min(5, max(1, len(curve) // 5)))


def _block_means(curve: Curve) -> list[float]:
    return [weighted_mean(column) for column in zip(*curve.blocks, strict=True)]


def _around(estimate: float, error: float, confidence: float) -> Interval:
    half = NORMAL.inv_cdf(0.5 + confidence / 2.0) * error
    return Interval(estimate, estimate - half, estimate + half, error)


def _falls(line: Line, points: int) -> bool:
    freedom = points - 2
    limit = T_99[freedom - 1] if freedom <= len(T_99) else 2.326 * (1.0 + 1.6 / freedom)
    return line.slope < -limit * line.slope_error
