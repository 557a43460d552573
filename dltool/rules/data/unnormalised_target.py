"""DAT108 unnormalised-target."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.scan_tables import FeatureTable
from dltool.core.measured.task import Task
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import lowered

SQUARED = ("mse", "huber", "smooth_l1", "log_cosh", "gaussian_nll")
"""Losses that are squared near their minimum."""


class UnnormalisedTarget(Rule):
    """A regression target is far from the scale of a fresh net's outputs, under a squared loss.

    What it measures: mean and standard deviation of the training targets, as the loss gets them; the loss must be
    squared near its minimum. A scan, which knows of no loss, tells the scale of a target that is no class as
    information.

    Why it is bad: the gradient of a squared error is the error: targets in the hundreds give gradients in the
    hundreds, and a rate that is right for unit scale jumps over the valley; a large mean has to be walked to by the
    last bias alone.

    How to fix: `data.normalize_target: standard`; predictions are turned back with the same numbers.

    When it is wrong: targets in natural units that the net fits all the same: if the run learnt well the finding is
    lowered to information.

    References: LeCun et al. 1998, Efficient BackProp, section 4.5 (targets); Bishop 1995, Neural networks for pattern
    recognition, section 8.2.
    """

    id = "DAT108"
    name = "unnormalised-target"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="largest",
            default=10.0,
            unit="absolute mean or standard deviation of the targets",
            source="a fresh PyTorch net returns 0.1 to 1 (kaiming_uniform, a=sqrt(5)); at 10 first gradients are tenfold",
        ),
        Threshold(
            name="smallest",
            default=0.001,
            unit="standard deviation of the targets",
            source="the outputs of a fresh net (0.1 to 1) are then noise a hundred times the signal",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "exploding-gradient",
        "dead-relu",
        "saturated-activation",
        "collapsed-representation",
        "non-finite-forward",
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "oscillating-loss",
        "diverged",
        "not-converged",
        "plateau",
        "underfitting",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if Task not in measured:
            return self._judge_scan(measured)
        task = measured[Task]
        if task.kind != "regression" or not any(name in task.loss.lower() for name in SQUARED):
            return Skip("only a regression with a squared loss depends on the scale of its target")
        if task.target_mean is None or task.target_std is None:
            return Skip("the targets were not measured")
        mean, std = task.target_mean, task.target_std
        if abs(mean) <= self.limits["largest"] and self.limits["smallest"] <= std <= self.limits["largest"]:
            return ()
        return [
            self.finding(
                f"the targets have mean {mean:.4g} and standard deviation {std:.4g}; a fresh net returns numbers around 0",
                severity=lowered(self.severity, measured),
                where=Where(phase="input", key="data.normalize_target"),
                evidence={"mean": mean, "std": std, "min": task.target_min, "max": task.target_max},
                limit=dict(self.limits),
                advice=("set data.normalize_target: standard",),
            )
        ]

    def _judge_scan(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if FeatureTable not in measured:
            return Skip("not measured: task")
        if ClassTable in measured and measured[ClassTable].classes:
            return Skip("the target is a class, not a number")
        target = next((f for f in measured[FeatureTable].features if f.target), None)
        if target is None or target.mean is None or target.std is None:
            return Skip("no column of numbers was named as the target")
        mean, std = target.mean, target.std
        if abs(mean) <= self.limits["largest"] and self.limits["smallest"] <= std <= self.limits["largest"]:
            return ()
        return [
            self.finding(
                f"target {target.name} has mean {mean:.4g} and standard deviation {std:.4g}; a fresh net returns numbers "
                "around 0",
                severity=Severity.INFO,
                where=Where(phase="input", key=f"#{target.name}"),
                evidence={"mean": mean, "std": std, "min": target.minimum, "max": target.maximum},
                limit=dict(self.limits),
                advice=("standardise the target for training (data.normalize_target: standard)",),
            )
        ]
