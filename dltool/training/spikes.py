"""Loss spikes: steps far above what the hundred steps before them led to expect, whatever the shape of the noise.

A multiple of the median absolute deviation, as for Gaussian noise, cries wolf on losses: the loss of a small batch is skewed
(most samples are right, a few are wrong by much). So the tail is measured: the ten largest excesses over the running median
give Hill's estimate of the tail index (Hill 1975, Ann. Statist. 3:1163), and Weissman's formula (1978, J. Amer. Statist.
Assoc. 73:812) gives the excess that one step exceeds with probability p,

    limit = median + y_(k+1) · (k / (n p))^γ,    γ = mean of log(y_(i) / y_(k+1)) over the k = 10 largest of n = 100.

With p = 0.01 / steps (Bonferroni), noise alone raises an alarm in about one healthy run in a hundred. A power-law tail is
the heaviest case: lighter noise (Gaussian, exponential) alarms less often still.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from dltool.core.measured.training import Spike

WINDOW = 100
TAIL = 10
RENEW_EVERY = 16
"""Steps for which one limit serves: sorting the window at every step would cost more than the step's own bookkeeping."""
FALSE_ALARMS_PER_RUN = 0.01
SMALLEST_RISE_RATIO = 0.1
"""A rise below a tenth of the loss is immaterial, however calm (a full batch has no noise) the steps before it were."""
MOST_SPIKES = 1000


class SpikeDetector:
    """Sees the loss of every step with a full batch; a ragged last batch is noisier and would be taken for a spike."""

    def __init__(self, steps_planned: int) -> None:
        self._odds = TAIL * max(steps_planned, 1) / (WINDOW * FALSE_ALARMS_PER_RUN)
        self._window: deque[float] = deque(maxlen=WINDOW)
        self._seen = 0
        self._limit = math.inf
        self._expected = math.nan
        self._in_spike = False
        self.spikes: list[Spike] = []

    def add(self, step: int, loss: float) -> None:
        """Judge one finite loss by the steps before it; steps in a row above the limit are one spike, the highest."""
        if loss > self._limit:
            self._record(step, loss)
        else:
            self._in_spike = False
        self._window.append(loss)
        self._seen += 1
        if self._seen % RENEW_EVERY == 0 and len(self._window) == WINDOW:
            self._renew()

    def _record(self, step: int, loss: float) -> None:
        if not self._in_spike and len(self.spikes) < MOST_SPIKES:
            self.spikes.append(Spike(step=step, loss=loss, expected=self._expected))
        elif self._in_spike and loss > self.spikes[-1].loss:
            self.spikes[-1] = Spike(step=self.spikes[-1].step, loss=loss, expected=self._expected)
        self._in_spike = True

    def _renew(self) -> None:
        ordered = sorted(self._window)
        median = (ordered[WINDOW // 2 - 1] + ordered[WINDOW // 2]) / 2
        start = ordered[-TAIL - 1] - median
        excess = 0.0
        if start > 0:
            tail_index = sum(math.log((loss - median) / start) for loss in ordered[-TAIL:]) / TAIL
            # an exponential that overflows only says that no loss at all would be surprising
            excess = start * self._odds**tail_index if tail_index * math.log(self._odds) < 700 else math.inf
        self._expected = median
        self._limit = median + max(excess, SMALLEST_RISE_RATIO * abs(median))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on."""
        return {
            "window": list(self._window),
            "seen": self._seen,
            "limit": self._limit,
            "expected": self._expected,
            "in_spike": self._in_spike,
            "spikes": [[spike.step, spike.loss, spike.expected] for spike in self.spikes],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._window.extend(state["window"])
        self._seen = state["seen"]
        self._limit = state["limit"]
        self._expected = state["expected"]
        self._in_spike = state["in_spike"]
        self.spikes = [Spike(step=step, loss=loss, expected=expected) for step, loss, expected in state["spikes"]]
