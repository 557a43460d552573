"""What every question of the fit verdict is put to, and what it answers with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dltool.core.measured.task import Task
from dltool.core.measured.training import LabelSignal
from dltool.core.measurements import Measurements
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

PROVEN_Z = 2.326
"""One-sided 1 % point of the normal distribution: neighbours below it share labels no more often than by chance."""
MOST_LOST = 1.0 / 3.0
"""Most of a linear function's variance that may lie between neighbours, if what they share is to stand for what there is."""
ABSOLUTE_LOSSES = ("l1", "l1_loss")
"""Losses that grow with the error itself: where half of the variance is explained they fall by 1 - sqrt(1/2)."""
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
    def neighbour_share(self) -> float | None:
        """Share of the targets' variance (for classes: Gini's) that the inputs explain, going by near neighbours.

        For classes it is Goodman & Kruskal's tau, for numbers 1 minus Geary's C. Neighbours at a distance of r (1 between
        any two samples) differ by r² of what a linear function of the inputs varies, which is made up for. None where labels
        are not proven to be shared, or where neighbours are too far for that to mean anything.
        """
        signal = self.measured.get(LabelSignal)
        if signal is None or not signal.z >= PROVEN_Z or not signal.chance_ratio < 1.0:
            return None
        lost = 0.0 if signal.distance_ratio is None else signal.distance_ratio**2
        if not lost <= MOST_LOST:
            return None
        return (signal.agreement_ratio - signal.chance_ratio) / (1.0 - signal.chance_ratio) / (1.0 - lost)

    @property
    def has_reference(self) -> bool:
        """Whether samples have neighbours, which tell noise from what a net failed to learn; tokens and pixels have none."""
        task = self.measured.get(Task)
        return task is None or not task.per_element

    @property
    def explained_variance(self) -> float | None:
        """Share of the trivial loss that training removed, as a share of variance where the loss is an absolute one."""
        explained, task = self.curves.explained_ratio, self.measured.get(Task)
        if explained is None or task is None or task.loss not in ABSOLUTE_LOSSES:
            return explained
        return 1.0 - max(0.0, 1.0 - explained) ** 2

    @property
    def is_high(self) -> bool:
        """The training loss is far above what could be reached: little explained, or well above a neighbour's vote.

        Little is less than ``underfitting.explained``, and less than what near neighbours show to be within reach: where the
        targets are mostly noise, a net that explains as much as there is does all it can.
        """
        curves, neighbour = self.curves, self.neighbour_loss
        explained, share = self.explained_variance, self.neighbour_share
        least = self.limits["underfitting.explained"]
        if share is not None:
            least = min(least, self.limits["underfitting.neighbour_share"] * share)
        if explained is not None and not explained >= least:
            return True
        margin = self.limits["underfitting.neighbour_margin"] * curves.scale
        return neighbour is not None and not curves.train_loss <= neighbour + margin
