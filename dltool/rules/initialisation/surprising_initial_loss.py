"""INI106 surprising-initial-loss."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.task import Output, Task
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import lowered


class SurprisingInitialLoss(Rule):
    """A classifier starts far worse than one that knows nothing.

    What it measures: the loss before the first step over what it should be when all classes are equally likely (the
    logarithm of their number for cross-entropy).

    Why it is bad: the net is sure of its random answers; the first epochs go into unlearning them, at the cost of large
    gradients, with which a rate that is right for unit scale overshoots.

    How to fix: a smaller initialisation of the output layer, normalised inputs, a bias that matches the class frequencies.

    When it is wrong: a pretrained net with a head for other classes. A start below the expected loss is never accused,
    and if the run learnt well the finding is lowered to information.

    References: Karpathy 2019, A recipe for training neural networks ("verify loss @ init"); keras issue 6259 (a start at 14
    instead of 2.3).
    """

    id = "INI106"
    name = "surprising-initial-loss"
    severity = Severity.WARNING
    needs = (Output, Task)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="ratio",
            default=3.0,
            unit="initial loss over the expected one",
            source="benchmarks/untrained.py: default nets start at 1.0 times ln 10, Kaiming at 1.6, N(0, 1) above 3",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("learning-rate-too-high", "oscillating-loss", "diverged")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        output = measured[Output]
        start, expected = output.initial_loss, output.expected_initial_loss
        if measured[Task].kind not in {"classification", "binary"}:
            return Skip("only the loss of a classifier has a known start")
        if start is None or expected is None or not expected > 0.0:
            return Skip("the loss at the start, or the one to expect, is not known")
        if not math.isfinite(start):
            return Skip("the loss was not finite from the start, which is another rule's matter")
        if start <= self.limits["ratio"] * expected:
            return ()
        return [
            self.finding(
                f"the loss starts at {start:.3g}, where {expected:.3g} is to be expected of a net that knows nothing",
                severity=lowered(self.severity, measured),
                where=Where(phase="loss"),
                evidence={"initial_loss": start, "expected_initial_loss": expected},
                limit={"ratio": self.limits["ratio"]},
                advice=("initialise the output layer with smaller weights (normal: {std: 0.01})", "normalise the inputs"),
            )
        ]
