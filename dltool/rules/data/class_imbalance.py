"""DAT112 class-imbalance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import Measurements, Task
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import lowered


class ClassImbalance(Rule):
    """One class has many times the samples of another.

    What it measures: the largest over the smallest number of training samples among the classes that occur.

    Why it is bad: the loss is dominated by the frequent classes, and accuracy flatters a net that names nothing else.

    How to fix: weigh the classes in the loss, sample the rare ones more often, and look at the loss or at recall per
    class.

    When it is wrong: classes that are rare in the world too, and where that is what should be learnt. If the run
    learnt well the finding is lowered to information.

    References: Japkowicz & Stephen 2002, The class imbalance problem; SageMaker Debugger, ClassImbalance (10).
    """

    id = "DAT112"
    name = "class-imbalance"
    severity = Severity.WARNING
    needs = (Task,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="ratio",
            default=10.0,
            unit="samples of the largest class over those of the smallest that occurs",
            source="SageMaker Debugger, ClassImbalance: threshold_imbalance 10",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("no-better-than-trivial", "ignores-input")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        counts = [count for count in measured[Task].class_counts or () if count > 0]
        if len(counts) < 2:
            return Skip("the training samples were not counted by class, or belong to one class")
        ratio = max(counts) / min(counts)
        if ratio < self.limits["ratio"]:
            return ()
        return [
            self.finding(
                f"the largest class has {ratio:.0f} times the samples of the smallest ({max(counts)} to {min(counts)})",
                severity=lowered(self.severity, measured),
                where=Where(phase="input"),
                evidence={"ratio": ratio, "largest": max(counts), "smallest": min(counts)},
                limit=dict(self.limits),
                advice=(
                    "weigh the classes in the loss (cross_entropy: {weight: [...]})",
                    "sample the rare classes more often",
                ),
            )
        ]
