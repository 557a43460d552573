"""How much of a regression's targets lies outside of what the output can say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.core.measured.design import Samples
from dltool.rules.spec.ranges import Bounds

SPREAD_SLACK = 0.1
"""The bulk of the targets is out of reach where their mean plus one deviation comes this close to a bound."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The side on which targets are out of reach, and how far the farthest is, in standard deviations of the targets."""

    side: str
    target: float
    bound: float
    excess_std: float


def has_spread(samples: Samples | None) -> bool:
    """Whether range and spread of the targets are known, and finite: what is not is for rules on the data."""
    if samples is None:
        return False
    facts = (samples.target_min, samples.target_max, samples.target_mean, samples.target_std)
    return all(fact is not None and math.isfinite(fact) for fact in facts)


def unreachable(bounds: Bounds, samples: Samples | None) -> Unreachable | None:
    """The worse side; None where neither is out of reach by anything, or what is out of reach is a rare few or noise."""
    if samples is None or samples.target_min is None or samples.target_max is None:
        return None
    low, high, mean, std = samples.target_min, samples.target_max, samples.target_mean, samples.target_std
    if mean is None or std is None:
        return None
    scale = std if std > 0.0 else max(abs(mean), 1e-12)
    sides = []
    if not math.isinf(bounds.low) and not (mean - scale) - bounds.low >= SPREAD_SLACK * scale:
        sides.append(Unreachable("below", low, bounds.low, (bounds.low - low) / scale))
    if not math.isinf(bounds.high) and not bounds.high - (mean + scale) >= SPREAD_SLACK * scale:
        sides.append(Unreachable("above", high, bounds.high, (high - bounds.high) / scale))
    return max((side for side in sides if not side.excess_std <= 0.0), key=lambda side: side.excess_std, default=None)
