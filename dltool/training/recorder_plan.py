"""On which steps the recorder looks, decided from sizes and counts before the first step, and never from the clock.

Work is in FLOP, with the constants of ``forward_work``: a step is three forward passes (the optimizer, which only makes
steps dearer, is left out), a look is one forward pass, as much again for reading its activations, and what it takes for each
module and each parameter. The run's budget is then a number of looks, and ``every`` the smallest interval within it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.training.forward_work import OPERATOR_FLOPS, ForwardWork
from dltool.training.remeasuring import STEP_IN_FORWARDS

LOOK_SHARE = 0.3
AUDIT_SHARE = 0.1
"""Parts of ``watch.overhead``: for the looks, and for the pass over unaugmented samples at the end. With the part that
re-measuring takes (``remeasuring.SHARE``) that leaves a fifth of the budget for what counting cannot see.
"""

SHORT_RUN_LOOKS = 16
SHORT_RUN_FLOPS = 3e8
"""A short run gets up to 16 looks beyond its budget as long as they stay below some 30 ms of work (3e8 FLOP)."""
FEWEST_LOOKS = 4
"""Looks that every run gets, however dear they are."""
MOST_LOOKS = 512
"""Looks beyond it would only lengthen the report."""
FEWEST_AUDIT_SAMPLES = 320
MOST_AUDIT_SAMPLES = 1024
"""299 samples prove that a unit which never fired fires on less than 1 % of them; many more only sharpen other shares."""

LOOK_OPERATORS = 60.0
PLACE_OPERATORS = 10.0
PARAMETER_OPERATORS = 15.0
"""Operators' worth of time (about 5 µs each) that a look takes once, for every place and for every parameter."""
ELEMENT_FLOPS = 20.0
"""FLOP's worth of time that a look takes for every element of a parameter: two norms in float64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What the cost of a look depends on."""

    places: int
    parameters: int
    elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPlan:
    """Looks at step 0, at the first ``doublings`` powers of two (1, 2, 4, ...), and at every multiple of ``every``."""

    every: int
    doublings: int

    def next_after(self, step: int) -> int:
        """The first look after ``step``."""
        regular = (step // self.every + 1) * self.every
        doubled = 1 << step.bit_length() if step > 0 else 1
        if step >= 0 and doubled < regular and doubled.bit_length() <= self.doublings:
            return doubled
        return max(0, regular)

    def looks(self, steps: int) -> list[int]:
        """All looks of a run of ``steps`` steps."""
        found = [0] if steps else []
        while found and (step := self.next_after(found[-1])) < steps:
            found.append(step)
        return found


def look_flops(work: ForwardWork, sizes: Sizes, batch_size: int) -> float:
    """What one look costs."""
    operators = LOOK_OPERATORS + PLACE_OPERATORS * sizes.places + PARAMETER_OPERATORS * sizes.parameters
    return 2.0 * work.flops(1, batch_size) + operators * OPERATOR_FLOPS + sizes.elements * ELEMENT_FLOPS


def step_flops(work: ForwardWork, batch_size: int) -> float:
    """What one training step costs, at least."""
    return STEP_IN_FORWARDS * work.flops(1, batch_size)


def plan_looks(*, steps: int, look: float, step: float, overhead: float, every: int | None = None) -> LookPlan:
    """The densest plan that the budget allows; ``every`` overrides it.

    Args:
        steps: steps of the run.
        look: work of one look.
        step: work of one step, in the same unit.
        overhead: share of the run that all watching may take.
        every: look at multiples of this, whatever it costs (``watch.every``).
    """
    if every is not None:
        return LookPlan(every=every, doublings=0)
    affordable = math.floor(LOOK_SHARE * overhead * steps * step / look)
    unnoticed = min(SHORT_RUN_LOOKS, math.floor(SHORT_RUN_FLOPS / look))
    looks = max(FEWEST_LOOKS, unnoticed, min(MOST_LOOKS, affordable)) if overhead > 0 else 1
    doublings = looks // 2
    interval = max(1, math.ceil(steps / looks))
    while len(LookPlan(every=interval, doublings=doublings).looks(steps)) > looks:
        interval += max(1, interval // 64)
    return LookPlan(every=interval, doublings=doublings)


def audit_flops(work: ForwardWork, places: int, batch_size: int) -> float:
    """What one batch of the pass at the end costs: a forward pass, as much again for counting, and every module."""
    return 2.0 * work.flops(1, batch_size) + (LOOK_OPERATORS + PLACE_OPERATORS * places) * OPERATOR_FLOPS


def audit_samples(*, steps: int, audit: float, step: float, overhead: float, batch_size: int) -> int:
    """Samples that the pass at the end may take, given the work of one of its batches."""
    batches = math.floor(AUDIT_SHARE * overhead * steps * step / audit)
    return max(FEWEST_AUDIT_SAMPLES, min(MOST_AUDIT_SAMPLES, batches * batch_size))
