"""Climbing the ladders: several from the same start, over other batches and random numbers, where the losses are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from dltool.core.measured.lr_find import CurvePoint
from dltool.diagnostics.rate.candidates import slopes
from dltool.diagnostics.rate.ladder import FIRST_RUNGS, HIGHEST_LR, LOWEST_LR, RUNGS, Climb, Divergence, Smoother, rates
from dltool.diagnostics.rate.runs import Runs

LADDERS = 3
FIRST_ORDER = 1
"""Order 0 is that of the training itself, and of the trials."""

SHIFT = 1e5
"""How far the ladder is moved when the action is beyond its ends; it is moved at most ``MOST_SHIFTS`` times."""
MOST_SHIFTS = 2

LOW_END = 3 * FIRST_RUNGS
"""A ladder that diverged before this rung began too high: it saw little of the rates that train."""


def climb_all(runs: Runs, climbs: list[Climb], ladders: int = LADDERS) -> None:
    """``ladders`` climbs over the rates in which the loss moves, begun at other batches each; ``climbs`` gets them."""
    runs.pace.expect(ladders * RUNGS)
    low, high = LOWEST_LR, HIGHEST_LR
    first = _climb(runs, rates(low, high), 0, ladders)
    for _ in range(MOST_SHIFTS):
        if first.diverged and len(first.losses) <= LOW_END:
            low, high = low / SHIFT, high / SHIFT
        elif _wants_more(first):
            low, high = low * SHIFT, high * SHIFT
        else:
            break
        runs.pace.expect(ladders * RUNGS)
        first = _climb(runs, rates(low, high), 0, ladders)
    climbs.append(first)
    for turn in range(1, ladders):
        climbs += [_climb(runs, rates(low, high), turn, ladders)]


def _wants_more(climb: Climb) -> bool:
    """The loss has not moved at all, or is at its lowest at the very top."""
    if climb.diverged:
        return False
    smoothed = climb.smoothed()
    return min(range(len(smoothed)), key=smoothed.__getitem__) >= len(smoothed) - 2 or len(set(climb.losses)) == 1


def _climb(runs: Runs, ladder: Sequence[float], turn: int, ladders: int) -> Climb:
    divergence = Divergence()
    losses: list[float] = []
    diverged = False
    with runs.begin(FIRST_ORDER + turn, part=turn / ladders) as walk:
        for lr in ladder:
            losses.append(walk.step(lr))
            runs.pace.advance(losses[-1])
            if diverged := divergence.reached(losses[-1]):
                break
    runs.pace.skip(len(ladder) - len(losses))
    return Climb(tuple(ladder), tuple(losses), diverged)


def curve(climbs: Sequence[Climb]) -> tuple[CurvePoint, ...]:
    """The mean over the ladders that reached a rung, as far as at least half of them did; the last may be non-finite."""
    if not climbs:
        return ()
    ladder = climbs[0].rates
    columns = [[c.losses[rung] for c in climbs if rung < len(c.losses)] for rung in range(len(ladder))]
    columns = [column for column in columns if 2 * len(column) >= len(climbs)]
    means = [statistics.fmean(column) for column in columns]
    smoother = Smoother()
    smoothed = [smoother.add(mean) for mean in means]
    finite = [value for value in smoothed if math.isfinite(value)]
    slope = slopes(ladder, finite) + [math.nan] * (len(smoothed) - len(finite))
    return tuple(
        CurvePoint(lr=lr, loss=mean, smoothed=average, slope=steep, ladders=len(column))
        for lr, mean, average, steep, column in zip(ladder, means, smoothed, slope, columns, strict=False)
    )


def diverged_at(climbs: Sequence[Climb]) -> float | None:
    """The median of the rates at which the ladders diverged; None where at most half of them did."""
    found = [climb.diverged_at for climb in climbs if climb.diverged_at is not None]
    return statistics.median_high(found) if 2 * len(found) > len(climbs) else None
