"""Slopes of a function along many lines at once, from its values alone: step sizes, rounding, and points without a slope.

A line is one direction through the point; an element of a tensor is the line along its axis. Every line is first measured
with one step, near the best for float64 (ε^(1/3), Nocedal & Wright 2006, §8.1). Where that disagrees with what was expected,
or the slopes to both sides differ, six steps over five decades are tried, and the one with the lowest estimated error
(rounding, plus how far smaller steps disagree beyond theirs) is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Values = Callable[[Tensor, Tensor], Tensor]
"""(lines, offsets), each of shape (m,), to the function's value at ``offsets[i]`` along line ``lines[i]``; shape (m,)."""

EPSILON = torch.finfo(torch.float64).eps
STEP = 4 * EPSILON ** (1 / 3)
"""The first step, relative to the size of what is moved; the factor because losses of networks bend little over a weight."""
FACTORS = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001)
AGREES = 1e-6
"""Relative disagreement, and difference of the slopes to both sides, above which a line is looked at more closely."""
CLOSER_GAP = 1e-2
ROUNDING = 4.0
"""Standard deviations of the noise that are put down to rounding."""
CHUNK = 256


@dataclass(slots=True)
class Slopes:
    """What was found for each line, shape (m,): ``resolution`` is the error that rounding and the step may have caused.

    ``kink`` marks lines without a slope at the point; ``left`` and ``right`` are the slopes to smaller and larger values,
    known where a line was looked at more closely.
    """

    numeric: Tensor
    resolution: Tensor
    step: Tensor
    kink: Tensor
    left: Tensor
    right: Tensor


def measure(
    values: Values,
    expected: Tensor,
    sizes: Tensor,
    *,
    base: float,
    noise: float,
    scale: float,
    step: float = STEP,
) -> Slopes:
    """The slope along each line.

    Args:
        values: the function along the lines.
        expected: slopes to compare with, shape (m,); they decide where to look closer, never what is found.
        sizes: the size of what each line moves, which its steps are relative to, shape (m,).
        base: the function at the point.
        noise: the rounding error (standard deviation) of one value.
        scale: a slope that matters; one of lines that are to be compared as a whole.
        step: the first step, relative to the size.
    """
    lines = torch.arange(len(expected), device=expected.device)
    steps = _power_of_two(sizes * step)
    ahead, behind = values(lines.repeat(2), torch.cat((steps, -steps))).chunk(2)
    numeric = (ahead - behind) / (2 * steps)
    gap = (ahead + behind - 2 * base).abs() / steps
    rounding = ROUNDING * noise / steps
    found = Slopes(
        numeric,
        rounding,
        steps.clone(),
        torch.zeros_like(lines, dtype=torch.bool),
        (base - behind) / steps,
        (ahead - base) / steps,
    )
    allowed = AGREES * torch.maximum(numeric.abs() + expected.abs(), torch.full_like(numeric, scale))
    # Written so that NaN is looked at more closely
    fine = ((expected - numeric).abs() <= allowed) & (gap <= torch.maximum(1e4 * CLOSER_GAP * allowed, 2 * rounding))
    doubtful = lines[~fine]
    worst_first = doubtful[torch.argsort((expected - numeric)[doubtful].abs().nan_to_num(math.inf), descending=True)]
    for chunk in torch.split(worst_first, CHUNK) if len(doubtful) else ():
        _look_closer(values, chunk, steps[chunk], found, base=base, noise=noise, scale=scale)
        wrong = (expected - found.numeric)[chunk].abs() > found.resolution[chunk]
        if bool((wrong & ~found.kink[chunk]).all()):
            break  # plainly wrong, and what is left is less so: a closer look at every element changes nothing
    return found


def _look_closer(
    values: Values, lines: Tensor, steps: Tensor, found: Slopes, *, base: float, noise: float, scale: float
) -> None:
    ladder = torch.stack([steps * _power_of_two(torch.tensor(factor)).item() for factor in FACTORS])
    every = lines.expand(len(FACTORS), -1).reshape(-1)
    ahead = values(every, ladder.reshape(-1)).reshape(ladder.shape)
    behind = values(every, -ladder.reshape(-1)).reshape(ladder.shape)
    central, left, right = (ahead - behind) / (2 * ladder), (base - behind) / ladder, (ahead - base) / ladder
    rounding = ROUNDING * noise / ladder
    # Of two steps the smaller is nearer the truth but for its rounding, also where the larger ones agree (Lepski 1991)
    apart = (central.unsqueeze(1) - central.unsqueeze(0)).abs() - rounding.unsqueeze(0)
    smaller = torch.ones(len(FACTORS), len(FACTORS), dtype=torch.bool, device=lines.device).triu(1).unsqueeze(2)
    error = rounding + apart.where(smaller, 0.0).clamp_min(0.0).amax(1)
    best = error.nan_to_num(math.inf).argmin(0, keepdim=True)
    found.numeric[lines] = central.gather(0, best)[0]
    # Smaller steps show an error of this one only where it exceeds their rounding
    hidden = torch.cat((rounding[1:], rounding[-1:]))
    found.resolution[lines] = (error + hidden).gather(0, best)[0]
    found.step[lines] = ladder.gather(0, best)[0]
    kink, at = _kinks((right - left).abs(), rounding, scale)
    found.kink[lines] = kink
    found.left[lines], found.right[lines] = left.gather(0, at)[0], right.gather(0, at)[0]


def _kinks(gaps: Tensor, rounding: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Lines whose slopes to both sides stay apart as the step shrinks (of a smooth function they approach with it).

    Args:
        gaps: the difference of the slopes, by step (largest first) and line.
        rounding: what rounding alone does to a slope, likewise.
        scale: a slope that matters.

    Returns:
        Which lines, shape (m,), and the smallest step at which that was seen, shape (1, m).
    """
    real = gaps > torch.clamp(4 * rounding, min=AGREES * scale)
    # A gap from curvature shrinks tenfold from step to step, that of a kink not at all, that of a jump grows
    stays = real[2:-1] & real[3:] & (gaps[3:] > 0.5 * gaps[2:-1])
    # A kink nearby is left behind by a smaller step, unless rounding hides what that step would show
    left_behind = ~real[3:] & (4 * rounding[3:] < 0.5 * gaps[2:-1].amax(0))
    nearest = torch.arange(3, 3 + len(stays), device=gaps.device).unsqueeze(1) * stays
    return stays.any(0) & ~left_behind.any(0), nearest.amax(0, keepdim=True).clamp_min(3)


def _power_of_two(value: Tensor) -> Tensor:
    """The power of two next to each value, so that steps themselves are exact."""
    return torch.exp2(torch.round(torch.log2(value.to(torch.float64))))


def noise_of(values: Tensor) -> float:
    """The rounding error (standard deviation) of a function, from its values at equally spaced, very near points.

    ECNoise (Moré & Wild 2011, "Estimating computational noise", §4): fourth differences, in which slope and curvature
    cancel. At least the rounding of one value is assumed.
    """
    differences, factor = values.to(torch.float64), 1.0
    for order in range(1, 5):
        differences = differences[1:] - differences[:-1]
        factor *= order**2 / ((2 * order) * (2 * order - 1))
    estimate = math.sqrt(factor * float(differences.square().mean()))
    return max(estimate, EPSILON / 4 * float(values.abs().max()), 1e-300)
