"""What a number of observations proves about a unit: exact binomial bounds, no normal approximation.

A unit shows itself ``seen`` times in ``n`` samples. The one-sided Clopper-Pearson bounds (Clopper & Pearson 1934) on its
true rate lie below (above) a tolerance exactly when the binomial tail at that tolerance is smaller than alpha, so that no
quantile is needed. With ``seen`` = 0 the upper bound is 1 - alpha^(1/n), the "rule of three" 3/n for alpha = 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dltool.core.measured.training import UnitShare

ALPHA = 0.05
"""One-sided error rate of each unit's bound."""

DEAD_TOLERANCE = 0.01
"""A unit that fires on fewer samples than this is as good as dead (SageMaker Debugger's threshold_inactivity, 1 %)."""

SATURATED_TOLERANCE = 0.5
"""A unit is saturated when it is so on more than half the samples (DeepDiagnosis's share, there of values)."""

EXAMPLES = 8
"""Units named as examples."""


def upper_bound_of_none(n: int, alpha: float = ALPHA) -> float:
    """Largest rate that is still compatible with no success in ``n`` trials: 1 - alpha^(1/n)."""
    return 1.0 if n == 0 else -math.expm1(math.log(alpha) / n)


def most_certain(n: int, tolerance: float, alpha: float = ALPHA) -> int:
    """Largest count k in ``n`` trials whose upper bound lies below ``tolerance``: P(X <= k) < alpha. -1 if there is none."""
    total, k = 0.0, -1
    for k, chance in enumerate(_probabilities(n, tolerance)):
        total += chance
        if not total < alpha:
            return k - 1
    return k


def most_possible(n: int, tolerance: float, alpha: float = ALPHA) -> int:
    """Largest count k in ``n`` trials whose lower bound lies below ``tolerance``: P(X >= k) > alpha."""
    total = 0.0
    for below, chance in enumerate(reversed(_probabilities(n, tolerance))):
        total += chance
        if total > alpha:
            return n - below
    return 0


def dead_share(fired: Sequence[int], n: int, *, all_samples: bool = False) -> UnitShare:
    """Share of units that are dead, given on how many of ``n`` samples each one fired.

    Dead is "never fired": a unit that fired once is alive however seldom it fires. ``lower`` counts the dead once ``n``
    proves that they fire on less than ``DEAD_TOLERANCE`` of the samples, or when these are ``all_samples`` there are.
    """
    proven = all_samples or upper_bound_of_none(n) < DEAD_TOLERANCE
    possible = 0 if all_samples else most_possible(n, DEAD_TOLERANCE)
    dead = [unit for unit, count in enumerate(fired) if count == 0]
    return UnitShare(
        share=len(dead) / len(fired),
        lower=len(dead) / len(fired) if proven else 0.0,
        upper=sum(count <= possible for count in fired) / len(fired),
        tolerance_ratio=DEAD_TOLERANCE,
        units=len(fired),
        observations=n,
        examples=tuple(dead[:EXAMPLES]),
    )


def saturated_share(unsaturated: Sequence[int], n: int, *, all_samples: bool = False) -> UnitShare:
    """Share of units that are saturated, given on how many of ``n`` samples each one was not.

    Saturated is "on more than half of the samples"; ``lower`` and ``upper`` count the units for which that is proven and
    those for which it is not ruled out.
    """
    half = math.ceil(n * SATURATED_TOLERANCE) - 1
    certain = half if all_samples else most_certain(n, SATURATED_TOLERANCE)
    possible = half if all_samples else most_possible(n, SATURATED_TOLERANCE)
    saturated = [unit for unit, count in enumerate(unsaturated) if count <= half]
    return UnitShare(
        share=len(saturated) / len(unsaturated),
        lower=sum(count <= certain for count in unsaturated) / len(unsaturated),
        upper=sum(count <= possible for count in unsaturated) / len(unsaturated),
        tolerance_ratio=SATURATED_TOLERANCE,
        units=len(unsaturated),
        observations=n,
        examples=tuple(saturated[:EXAMPLES]),
    )


def _probabilities(n: int, rate: float) -> list[float]:
    """Binomial probabilities of 0..n successes."""
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    top = math.lgamma(n + 1)
    return [
        math.exp(top - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_rate + (n - k) * log_rest) for k in range(n + 1)
    ]
