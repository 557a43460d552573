"""What led up to a bad step: losses and gradient norms of the last good ones, and which layers grew."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dltool.core.measured.hunt import LEAP, LayerGrowth, LeadUp
from dltool.training.gradient_watch import Norms
from dltool.training.walk import Taken, Walk

MOST_STEPS = 32
MOST_LAYERS = 5


class History:
    """The last good steps of a walk: their numbers, and their gradients where those are few."""

    def __init__(self, walk: Walk) -> None:
        self._watch = walk.gradients
        self._steps: deque[tuple[Taken, Norms | None]] = deque(maxlen=MOST_STEPS)

    def add(self, taken: Taken) -> None:
        """One more good step, right after it was taken."""
        self._steps.append((taken, self._watch.norms))

    def before(self, step: int) -> LeadUp:
        """The steps before ``step``; whatever came after is forgotten."""
        while self._steps and self._steps[-1][0].info.step >= step:
            self._steps.pop()
        losses = tuple(taken.loss for taken, _ in self._steps)
        norms = tuple(taken.gradient_norm for taken, _ in self._steps)
        first = self._steps[0][0].info.step if self._steps else step
        found = LeadUp(first_step=first, losses=losses, gradient_norms=norms, growing_steps=0, growth_ratio=1.0)
        of_loss, of_gradients = (_with_growth(found, values) for values in (losses, norms))
        found = replace(of_loss, growing="loss") if of_loss.diverging and not of_gradients.diverging else of_gradients
        return replace(found, layers=self._growing_layers(found.growing_steps))

    def _growing_layers(self, steps: int) -> tuple[LayerGrowth, ...]:
        """Those whose gradients grew most over the last ``steps`` steps."""
        last = [norms for _, norms in list(self._steps)[-steps - 1 :] if norms is not None] if steps else []
        if len({tuple(map(id, norms.parameters)) for norms in last}) != 1:
            return ()
        rows = [norms.tolist() for norms in last]
        series = dict(zip(self._watch.names(last[0].parameters), zip(*rows, strict=True), strict=True))
        grown = {name: norms for name, norms in series.items() if 0 < norms[0] < norms[-1] < math.inf}
        fastest = sorted(grown, key=lambda name: grown[name][0] / grown[name][-1])[:MOST_LAYERS]
        return tuple(LayerGrowth(parameter=name, norms=grown[name]) for name in fastest)


def _with_growth(found: LeadUp, values: Sequence[float]) -> LeadUp:
    steps, ratio = growth(values)
    return replace(found, growing_steps=steps, growth_ratio=ratio)


def growth(values: Sequence[float]) -> tuple[int, float]:
    """For how many steps, up to the last, the values grew, and by what factor a step (geometric mean).

    Without a break; or, where the last one has leapt far above the smallest, since that one. Values at the end that
    overflowed tell no factor and are left out.
    """
    values = list(values)
    while values and not math.isfinite(values[-1]):
        values.pop()
    positive = [value for value in values if 0 < value < math.inf]
    if positive and values[-1] / LEAP >= min(positive):
        steps = len(values) - 1 - max(i for i, value in enumerate(values) if value == min(positive))
        return steps, _factor(min(positive), values[-1], steps)
    steps = 0
    for before, after in reversed(list(pairwise(values))):
        if not 0 < before < after < math.inf:
            break
        steps += 1
    return (steps, _factor(values[-steps - 1], values[-1], steps)) if steps else (0, 1.0)


def _factor(first: float, last: float, steps: int) -> float:
    """By which each of the steps multiplied, in logarithms: their quotient may be too large for a number."""
    return math.exp((math.log(last) - math.log(first)) / steps)
