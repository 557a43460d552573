"""What every question of the fit verdict is put to, and what it answers with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dltool.core.measurements import LabelSignal, Measurements, Task
from dltool.rules.fit_status.curves import Curves

FitStatus = Literal[
    "good-fit",
    "underfitting",
    "overfitting",
    "not-converged",
    "plateau",
    "oscillating",
    "diverged",
    "no-better-than-trivial",
    "ignores-input",
    "inconclusive",
]

LIKELIHOOD_LOSSES = ("cross_entropy", "crossentropy", "nll", "bce", "binary_cross_entropy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A verdict with its reason in one sentence, the numbers it rests on, and the advice of the field."""

    status: FitStatus
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run with its curves and the limits to judge them by (``<rule>.<threshold>``)."""

    measured: Measurements
    curves: Curves
    limits: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """Two-sided confidence of every interval."""
        return self.limits["overfitting.confidence"]

    @property
    def neighbour_loss(self) -> float | None:
        """Cross-entropy of predicting a near neighbour's label as often as neighbours agree; None for other losses.

        What the data itself shows to be within reach, whatever the model (Cover & Hart 1967).
        """
        task, signal = self.measured.get(Task), self.measured.get(LabelSignal)
        if task is None or signal is None or task.kind not in {"classification", "binary"} or task.per_element:
            return None
        if not any(name in task.loss.lower() for name in LIKELIHOOD_LOSSES):
            return None
        classes = max(2, task.outputs or 2)
        agreement = min(max(signal.agreement_ratio, 1.0 / classes), 0.999)
        if not math.isfinite(agreement):
            return None
        return -agreement * math.log(agreement) - (1.0 - agreement) * math.log((1.0 - agreement) / (classes - 1))

    @property
    def is_high(self) -> bool:
        """The training loss is far above what could be reached: little explained, or well above a neighbour's vote."""
        curves, neighbour = self.curves, self.neighbour_loss
        explained = curves.explained_ratio
        if explained is not None and not explained >= self.limits["underfitting.explained"]:
            return True
        margin = self.limits["underfitting.neighbour_margin"] * curves.scale
        return neighbour is not None and not curves.train_loss <= neighbour + margin
