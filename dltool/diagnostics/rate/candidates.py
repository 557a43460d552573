"""What a ladder suggests: the rates that the known readings of a range test give, to be tried before they are believed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dltool.diagnostics.rate.ladder import FIRST_RUNGS, Climb

SPREAD = (1.0 / 3.0, 1.0, 3.0)
"""Every candidate is tried at these multiples of itself: ladders are noisy, and move the weights as they go."""

CLOSE_RATIO = 1.6
"""Rates nearer to each other than this factor are tried once: training hardly tells them apart."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rate, and which readings of the ladder it comes from."""

    lr: float
    origin: str


def slopes(rates: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Slope d loss / d log10 lr at every rung, by central differences (one-sided at the ends).

    By log lr, not by lr: against lr the slope of any noise at 1e-7 exceeds every real one (Lightning's rule does that).
    """
    x = [math.log10(rate) for rate in rates[: len(losses)]]
    if len(x) < 2:
        return [0.0] * len(x)
    last = len(x) - 1
    ends = [(max(0, i - 1), min(last, i + 1)) for i in range(len(x))]
    return [(losses[after] - losses[before]) / (x[after] - x[before]) for before, after in ends]


def valley(losses: Sequence[float]) -> int:
    """Half along the longest stretch of falling losses, as fastai reads it: its start plus a third and a sixth of it.

    The stretch is the longest strictly falling subsequence (fastai, ``callback/schedule.py``, ``valley``).
    """
    longest = [1] * len(losses)
    for i in range(1, len(losses)):
        longest[i] = 1 + max((longest[j] for j in range(i) if losses[j] > losses[i]), default=0)
    end = max(range(len(losses)), key=lambda i: (longest[i], -i))
    start = end - longest[end] if end else 0
    third = (end - start) / 3
    return start + int(third) + int(third / 2)


def readings(climb: Climb) -> dict[str, float]:
    """The rates that one ladder suggests, by reading; those that it has too few rungs for are left out."""
    smoothed = climb.smoothed()
    found: dict[str, float] = {}
    if climb.diverged_at is not None:
        found["diverged / 10"] = climb.diverged_at / 10.0
    if len(smoothed) <= FIRST_RUNGS + 2:
        return found
    lowest = min(range(FIRST_RUNGS, len(smoothed)), key=smoothed.__getitem__)
    found["minimum / 10"] = climb.rates[lowest] / 10.0
    slope = slopes(climb.rates, smoothed)
    steepest = min(range(FIRST_RUNGS, max(lowest, FIRST_RUNGS) + 1), key=slope.__getitem__)
    if slope[steepest] < 0.0:
        found["steepest"] = climb.rates[steepest]
    found["valley"] = climb.rates[valley(smoothed)]
    return found


def candidates(climbs: Iterable[Climb]) -> list[Candidate]:
    """Each reading's median over the ladders, in log lr; those that agree are one candidate. By rising rate."""
    by_reading: dict[str, list[float]] = {}
    for climb in climbs:
        for reading, lr in readings(climb).items():
            by_reading.setdefault(reading, []).append(math.log(lr))
    merged: list[list[tuple[float, str]]] = []
    for lr, reading in sorted((math.exp(statistics.median(logs)), reading) for reading, logs in by_reading.items()):
        if merged and lr <= CLOSE_RATIO * merged[-1][0][0]:
            merged[-1].append((lr, reading))
        else:
            merged.append([(lr, reading)])
    return [
        Candidate(two_digits(statistics.geometric_mean([lr for lr, _ in group])), ", ".join(name for _, name in group))
        for group in merged
    ]


def to_try(found: Sequence[Candidate]) -> list[Candidate]:
    """Every candidate at 1/3, 1 and 3 times itself, neighbours that agree tried once. By rising rate."""
    wanted = [
        Candidate(two_digits(one.lr * factor), one.origin if factor == 1.0 else f"{factor:.2g} x {one.origin}")
        for factor in SPREAD
        for one in found
    ]
    kept: list[Candidate] = []
    for one in sorted(wanted, key=lambda c: (abs(math.log(c.lr / _nearest(found, c.lr))), c.lr)):
        if all(max(one.lr, other.lr) > CLOSE_RATIO * min(one.lr, other.lr) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda c: c.lr)


def _nearest(found: Sequence[Candidate], lr: float) -> float:
    return min((one.lr for one in found), key=lambda own: abs(math.log(own / lr)))


def two_digits(lr: float) -> float:
    """Rounded so that what is tried is what is written.

    >>> [two_digits(x) for x in (0.012345, 3.16227e-5, 1.0)]
    [0.012, 3.2e-05, 1.0]
    """
    return float(f"{lr:.1e}")
