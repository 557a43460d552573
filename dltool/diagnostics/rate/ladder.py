"""The ladder: rates evenly spaced in log lr, the loss smoothed without bias, and the rung at which it has diverged."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

RUNGS = 100
LOWEST_LR, HIGHEST_LR = 1e-7, 10.0
DECAY = 0.9
"""Weight of the past in the moving average: it looks back over 10 rungs, four fifths of a decade."""

FIRST_RUNGS = 10
"""At the lowest rates nothing moves yet: these losses tell where the loss starts and how much it varies by batch."""

CLEAR_OF_NOISE = 2.5
"""Standard deviations of single losses by which their moving average does not rise above the first ten by chance."""

SMALLEST_RISE_RATIO = 1e-3
"""Share of the loss at the start that a rise has to exceed where there is neither noise nor descent to compare it with."""


def rates(low: float, high: float, rungs: int = RUNGS) -> tuple[float, ...]:
    """``rungs`` rates from ``low`` to ``high``, each the same factor above the one before."""
    step = math.log(high / low) / (rungs - 1)
    return tuple(low * math.exp(step * rung) for rung in range(rungs))


class Smoother:
    """m_t = d · m_(t-1) + (1 - d) · loss, divided by 1 - d^t so that it starts unbiased (Kingma & Ba 2015, section 3)."""

    def __init__(self, decay: float = DECAY) -> None:
        self._decay = decay
        self._average = 0.0
        self._unseen = 1.0

    def add(self, loss: float) -> float:
        """The average with ``loss`` in it."""
        self._average = self._decay * self._average + (1.0 - self._decay) * loss
        self._unseen *= self._decay
        return self._average / (1.0 - self._unseen)


class Divergence:
    """Whether a ladder has come to its end: the loss is no number, or stands as far above its start as it fell below it.

    Differences alone are compared, so that negative losses, and losses around zero, are judged like any other. Where the
    loss did not fall, it has to rise clear of what it varies by from batch to batch.
    """

    def __init__(self) -> None:
        self._smoother = Smoother()
        self._first: list[float] = []
        self._noise = 0.0
        self._start = math.nan
        self._best = math.inf

    def reached(self, loss: float) -> bool:
        """Take the loss of one more rung; whether to climb no further."""
        if not math.isfinite(loss):
            return True
        smoothed = self._smoother.add(loss)
        if len(self._first) < FIRST_RUNGS:
            self._first.append(loss)
            self._start = sum(self._first) / len(self._first)
            self._noise = statistics.pstdev(self._first)
            self._best = min(self._start, smoothed)
            return loss - self._first[0] > 10.0 * max(abs(self._first[0]), 1.0)
        self._best = min(self._best, smoothed)
        scale = max(self._start - self._best, CLEAR_OF_NOISE * self._noise, SMALLEST_RISE_RATIO * abs(self._start))
        return smoothed > self._start + scale


@dataclass(frozen=True, slots=True)
class Climb:
    """One ladder: the losses of the rungs that were reached, and whether it ended because the loss diverged."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    diverged: bool

    @property
    def diverged_at(self) -> float | None:
        """The rate of the rung at which the loss had diverged."""
        return self.rates[len(self.losses) - 1] if self.diverged else None

    def smoothed(self) -> list[float]:
        """The moving average at every rung; a last loss that is no number stays out of it."""
        smoother = Smoother()
        return [smoother.add(loss) for loss in self.losses if math.isfinite(loss)]
