"""The loss while it is trained on: a bias-corrected moving average, and a trace of bounded length."""

from __future__ import annotations

import math
from typing import Any

from dltool.core.measured.training import LossTrace
from dltool.training.spikes import SpikeDetector

DECAY = 0.98
"""Weight of the past in the moving average: it looks back over about 1 / (1 - 0.98) = 50 steps."""
MOST_POINTS = 1000


class RunningLoss:
    """Every step's loss goes in; out come the moving average, the trace and the spikes.

    The average is m_t = d · m_(t-1) + (1 - d) · loss, divided by 1 - d^t: without it the first steps would be drawn towards
    the zero that m starts from (Kingma & Ba 2015, "Adam", section 3). The trace holds means over ``stride`` steps; when it
    is full, neighbours are merged and the stride doubles, so that its points depend on the losses alone.
    """

    def __init__(self, steps_planned: int) -> None:
        self._average = 0.0
        self._unseen = 1.0
        self._stride = 1
        self._sum = 0.0
        self._count = 0
        self._losses: list[float] = []
        self._smoothed: list[float] = []
        self._spikes = SpikeDetector(steps_planned)

    @property
    def smoothed(self) -> float:
        """The bias-corrected moving average; NaN before the first step."""
        return self._average / (1.0 - self._unseen) if self._unseen < 1.0 else math.nan

    def add(self, step: int, loss: float, *, full_batch: bool = True) -> None:
        """Take the loss of one step; ``full_batch`` is False for the shorter last batch of an epoch."""
        self._average = DECAY * self._average + (1.0 - DECAY) * loss
        self._unseen *= DECAY
        self._sum += loss
        self._count += 1
        if self._count == self._stride:
            self._losses.append(self._sum / self._count)
            self._smoothed.append(self._average / (1.0 - self._unseen))
            self._sum, self._count = 0.0, 0
            if len(self._losses) == MOST_POINTS:
                self._halve()
        if full_batch and math.isfinite(loss):
            self._spikes.add(step, loss)

    def trace(self) -> LossTrace:
        """The trace so far; the steps since its last full point make a point of their own, so that nothing is left out."""
        rest = ([self._sum / self._count], [self.smoothed]) if self._count else ([], [])
        return LossTrace(
            stride=self._stride,
            losses=tuple(self._losses + rest[0]),
            smoothed=tuple(self._smoothed + rest[1]),
            spikes=tuple(self._spikes.spikes),
        )

    def _halve(self) -> None:
        self._losses = [(a + b) / 2 for a, b in zip(self._losses[::2], self._losses[1::2], strict=True)]
        self._smoothed = self._smoothed[1::2]
        self._stride *= 2

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on bit for bit."""
        return {
            "average": self._average,
            "unseen": self._unseen,
            "stride": self._stride,
            "sum": self._sum,
            "count": self._count,
            "losses": list(self._losses),
            "smoothed": list(self._smoothed),
            "spikes": self._spikes.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._average, self._unseen = state["average"], state["unseen"]
        self._stride, self._sum, self._count = state["stride"], state["sum"], state["count"]
        self._losses, self._smoothed = list(state["losses"]), list(state["smoothed"])
        self._spikes.load_state_dict(state["spikes"])


class EpochMean:
    """The mean loss of one epoch's steps, each weighted by its samples."""

    def __init__(self, total: float = 0.0, samples: int = 0) -> None:
        self.total = total
        self.samples = samples

    def add(self, loss: float, samples: int) -> None:
        """``loss`` is the mean over ``samples``."""
        self.total += loss * samples
        self.samples += samples

    @property
    def mean(self) -> float:
        """NaN before the first step."""
        return self.total / self.samples if self.samples else math.nan
